mod outages;
mod races;
mod schemas;

use isocast_harness::Postgres as Server;
use isocast_media::UnixMs;

use super::*;
use crate::data::Secret;
use crate::data::scratch::Scratch;
use crate::rooms::{NewRoom, OnConflict, Playback, RoomId, RoomLimits};

/// What has to work has all the time it needs.
const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "p@ss/w%rd";

/// Brings the tables of a database up to date, as its owner.
pub(in crate::rooms) async fn migrated(server: &Server, database: &str) {
    let (source, _scratch) = source(&server.url(database), None);
    migrate(&source).await.expect("migrated");
}

/// The URL of a role that may do what a node does, and nothing more.
pub(in crate::rooms) fn role(server: &Server, database: &str) -> String {
    let url = server.role("isocast", PASSWORD, database);
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO isocast";
    server.sql(database, grant);
    url
}

/// The store of a node that is connected.
pub(in crate::rooms) async fn opened(url: &str, authority: Option<&str>) -> Postgres {
    let (store, mut keeper) = node(url, authority, PATIENCE);
    keeper.look().await.expect("it serves");
    store
}

fn node(url: &str, authority: Option<&str>, deadline: Duration) -> (Postgres, Keeper) {
    let (source, _scratch) = source(url, authority);
    Postgres::open_within(source, 8, hasher(3), deadline)
}

fn source(url: &str, authority: Option<&str>) -> (Source, Scratch) {
    let scratch = Scratch::new();
    scratch.write("url", url.as_bytes());
    let mut settings = config::Postgres {
        url_file: scratch.path().join("url"),
        ..config::Postgres::default()
    };
    if let Some(pem) = authority {
        scratch.write("ca.pem", pem.as_bytes());
        settings.ca_file = scratch.path().join("ca.pem");
    }
    (
        Source::new(&settings).expect("both files are right"),
        scratch,
    )
}

fn hasher(secret: u8) -> KeyHasher {
    KeyHasher::new(Secret::new([secret; 32]))
}

fn new(name: &str) -> NewRoom {
    NewRoom {
        id: id(name),
        playback: Playback::Private,
        on_conflict: OnConflict::Refuse,
        limits: RoomLimits::default(),
        created_at: UnixMs(1_700_000_000_000),
    }
}

fn id(text: &str) -> RoomId {
    RoomId::parse(text).expect("a room id")
}

const NOW: UnixMs = UnixMs(1_800_000_000_000);
