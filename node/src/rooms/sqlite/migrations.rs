use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Migrations are only added, never changed: each is checked against what the file has seen.
pub(super) fn migrations() -> Migrator {
    let step = |version, name: &'static str, sql: &'static str| {
        let sql = sql.into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(vec![
        step(
            1,
            "rooms",
            include_str!("../../../../migrations/sqlite/0001_rooms.sql"),
        ),
        step(
            2,
            "store",
            include_str!("../../../../migrations/sqlite/0002_store.sql"),
        ),
        step(
            3,
            "play",
            include_str!("../../../../migrations/sqlite/0003_play.sql"),
        ),
        step(
            4,
            "limits",
            include_str!("../../../../migrations/sqlite/0004_limits.sql"),
        ),
        step(
            5,
            "restreams",
            include_str!("../../../../migrations/sqlite/0005_restreams.sql"),
        ),
    ])
}
