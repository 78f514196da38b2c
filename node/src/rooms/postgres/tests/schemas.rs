//! Databases whose tables, or secret, are not this node's.

use futures_util::future::join_all;

use super::*;
use crate::rooms::sql::postgres_migrations;
use crate::rooms::{Change, Error, PublishKey, Rooms};

const LATER: &str = "INSERT INTO _sqlx_migrations
     VALUES (1000, 'later', now(), true, '\\x00', 0);
     ALTER TABLE rooms ADD COLUMN later TEXT NOT NULL DEFAULT 'x';
     ALTER TABLE restreams ADD COLUMN later TEXT;
     ALTER TABLE store ADD COLUMN later TEXT";

#[tokio::test]
async fn a_node_waits_for_tables_and_makes_none() {
    let server = Server::shared();
    let database = server.database();
    let url = server.url(&database);
    let (store, mut keeper) = node(&url, None, PATIENCE);
    let needed = Schema::needed();
    let trouble = keeper.look().await.expect_err("there are no tables");
    assert_eq!(
        trouble.to_string(),
        format!("PostgreSQL has schema 0, this release needs {needed}: run `isocast-node migrate`")
    );
    let refused = store
        .create(new("a"))
        .await
        .expect_err("no tables")
        .to_string();
    assert!(refused.contains("isocast-node migrate"), "{refused}");
    let tables = server.ask(
        &database,
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
    );
    assert_eq!(tables.trim(), "0");

    let mut release_before = postgres_migrations();
    release_before.migrations.to_mut().pop();
    let (source, _scratch) = source(&url, None);
    let mut connection = sqlx::ConnectOptions::connect(&source.without_deadline())
        .await
        .expect("there");
    release_before.run(&mut connection).await.expect("made");
    let number = needed - 1;
    assert_eq!(
        keeper.look().await,
        Err(Trouble::Schema(Misfit::Older { number }))
    );

    assert_eq!(migrate(&source).await.expect("migrated").number, number);
    keeper.look().await.expect("it serves now");
    store.create(new("a")).await.expect("made");
}

#[tokio::test]
async fn many_may_migrate_at_once() {
    let server = Server::shared();
    let url = server.url(&server.database());
    let (source, _scratch) = source(&url, None);
    for done in join_all((0..4).map(|_| migrate(&source))).await {
        done.expect("one works, the others wait");
    }
    let schema = Schema::of(&source).await.expect("answers");
    assert_eq!(schema.number, Schema::needed());
    schema.serves_us().expect("its own");
}

/// What nodes of this release meet while the next one is rolled out.
#[tokio::test]
async fn tables_of_a_later_release_serve_until_they_say_otherwise() {
    let server = Server::shared();
    let database = server.database();
    migrated(&server, &database).await;
    let (store, mut keeper) = node(&server.url(&database), None, PATIENCE);
    keeper.look().await.expect("it serves");
    let (_, key) = store.create(new("a")).await.expect("made");
    let own = PublishKey::generate(&id("c"));

    server.sql(&database, LATER);
    keeper.look().await.expect("it serves");
    // By connections that know the tables as they were.
    store.create(new("b")).await.expect("made");
    store.put(new("c"), &own).await.expect("put");
    store
        .change(
            &id("b"),
            Change {
                playback: Some(Playback::Public),
                ..Change::default()
            },
        )
        .await
        .expect("changed");
    store.rotate_key(&id("b"), None).await.expect("replaced");
    assert_eq!(store.list(None, 9).await.expect("answers").len(), 3);
    assert!(
        store
            .authenticate(&key, NOW)
            .await
            .expect("answers")
            .is_some()
    );
    store.put_restreams(&id("a"), &[]).await.expect("put");
    store.delete(&id("a")).await.expect("deleted");
    let (source, _scratch) = source(&server.url(&database), None);
    assert_eq!(migrate(&source).await.expect("nothing to do").number, 1000);

    server.sql(&database, "UPDATE store SET serves_from = 1000");
    let later = Misfit::Later {
        number: 1000,
        serves_from: 1000,
    };
    assert_eq!(keeper.look().await, Err(Trouble::Schema(later)));
}

#[tokio::test]
async fn a_node_with_another_secret_is_told_so() {
    let server = Server::shared();
    let database = server.database();
    migrated(&server, &database).await;
    let url = server.url(&database);
    let first = opened(&url, None).await;
    let (_, key) = first.create(new("a")).await.expect("made");
    let (source, _scratch) = source(&url, None);
    let (other, mut keeper) = Postgres::open_within(source, 2, hasher(4), PATIENCE);
    let trouble = keeper.look().await.expect_err("no key would work");
    assert!(
        trouble.to_string().contains("rooms.secret_file"),
        "{trouble}"
    );
    let refused = other.authenticate(&key, NOW).await;
    assert!(
        matches!(refused, Err(Error::Unavailable(_))),
        "and not None"
    );
    assert!(
        first
            .authenticate(&key, NOW)
            .await
            .expect("answers")
            .is_some()
    );
}
