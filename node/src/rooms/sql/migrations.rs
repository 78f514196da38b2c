use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Steps are only added, never changed: each is checked against what the database has seen. Both
/// databases have the same ones.
macro_rules! migrations {
    ($database:literal) => {
        migrations!($database, [
            (1, "0001_rooms"),
            (2, "0002_store"),
            (3, "0003_play"),
            (4, "0004_limits"),
            (5, "0005_restreams"),
            (6, "0006_secret"),
        ])
    };
    ($database:literal, [$(($version:literal, $name:literal)),* $(,)?]) => {
        Migrator::with_migrations(vec![$(
            step($version, $name, include_str!(concat!(
                "../../../../migrations/", $database, "/", $name, ".sql"
            ))),
        )*])
    };
}

pub(in crate::rooms) fn sqlite_migrations() -> Migrator {
    migrations!("sqlite")
}

pub(in crate::rooms) fn postgres_migrations() -> Migrator {
    migrations!("postgres")
}

fn step(version: i64, name: &'static str, sql: &'static str) -> Migration {
    let sql = sql.into_sql_str();
    Migration::new(version, name.into(), MigrationType::Simple, sql, false)
}
