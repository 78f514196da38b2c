//! What every registry must do, run on each of them. Which change follows from which request is told by the
//! tests of `isocast_claims::store`; here it is that the registry does just that, at once.

use isocast_claims::record::{Record, Status};
use isocast_claims::store::{Found, Mark};

use super::*;

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

fn record(epoch: u64) -> Record {
    Record {
        pair: Claim::of(room("a"), epoch).pair,
        started_at_ms: 1,
        status: Status::Live,
        last_heartbeat_ms: 0,
        viewer_count: 0,
        key_fingerprint: "0123456789abcdef".to_owned(),
        continuation: None,
    }
}

async fn found(registry: &dyn Registry, id: &str) -> Found {
    match registry.call(&room(id), Request::Read).await.unwrap() {
        Reply::Found(found) => found,
        other => panic!("{other:?}"),
    }
}

async fn a_claim_replaces_only_what_was_found(registry: &dyn Registry) {
    let nothing = found(registry, "a").await;
    assert_eq!(nothing.record, None);
    let claim = |expected: &Mark, epoch| Request::claim(expected.clone(), record(epoch));
    let first = registry.call(&room("a"), claim(&nothing.mark, 1)).await;
    assert_eq!(first.unwrap(), Reply::Written);
    let late = registry.call(&room("a"), claim(&nothing.mark, 2)).await;
    let stored = found(registry, "a").await;
    assert_eq!(late.unwrap(), Reply::Conflict(stored.clone()));
    assert_eq!(stored.mark, Mark::of_pair(&record(1).pair));

    let second = registry.call(&room("a"), claim(&stored.mark, 2)).await;
    assert_eq!(second.unwrap(), Reply::Written);
    let stored = found(registry, "a").await.record.unwrap().unwrap();
    assert_eq!(stored.pair, record(2).pair);
    assert_ne!(stored.last_heartbeat_ms, 0, "the registry's clock");
    assert_eq!(found(registry, "b").await.record, None, "another room");
}

#[tokio::test]
async fn memory() {
    a_claim_replaces_only_what_was_found(&Memory::default()).await;
}
