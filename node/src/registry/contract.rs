//! What every registry must do, run on each of them: here in memory, in `redis/tests.rs` on real servers. Which
//! change follows from which request is told by the tests of `isocast_claims::store`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use isocast_claims::record::{Continuation, Record, Status};
use isocast_claims::store::{self, Found, Mark};
use isocast_claims::{Incarnation, Owner};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::active::live_rooms;
use super::directory::living;
use super::failing::Failing;
use super::*;

/// For what has to become true.
const SOON: Duration = Duration::from_secs(20);

/// All of it, on a registry that nobody else writes to.
pub(super) async fn hold(registry: Arc<dyn Registry>) {
    let it = &*registry;
    replies_are_what_the_claims_crate_says(it).await;
    of_many_who_found_the_same_one_writes(&registry).await;
    many_are_answered_at_once(&registry).await;
    a_directory_has_whom_it_hears_of(it).await;
    only_what_was_seen_is_struck(it).await;
    rooms_without_a_record_leave_the_list(it).await;
    its_clock_is_known(it).await;
    assert!(it.is_reachable());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory() {
    hold(Arc::new(Memory::default())).await;
    hold(Arc::new(Memory::ahead(3_600_000))).await;
}

#[tokio::test]
async fn a_registry_that_is_gone_fails_every_call() {
    let (id, it) = (room("a"), &Failing);
    assert!(it.call(&id, Request::Read).await.is_err());
    let found = living::<Value>(it, &Directory::Nodes, 1000).await;
    assert!(found.is_err() && live_rooms(it).await.is_err());
    assert!(it.read(&id).await.is_err() && !it.is_reachable());
}

pub(super) fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

pub(super) fn node(id: &str) -> NodeId {
    NodeId::parse(id).unwrap()
}

/// A claim of this epoch by `node-<n>`, with all that a record can have.
pub(super) fn record(epoch: u64, n: u64) -> Record {
    let continuation = Continuation {
        next_msn: epoch,
        reserved: epoch + 8,
        target_duration_s: 2,
        discontinuity_sequence: 1,
        program_date_time_ms: 1_700_000_000_000,
        source_dts_ms: -40,
        source_offset_ms: 40,
    };
    Record {
        pair: Pair {
            epoch,
            owner: Owner {
                node: node(&format!("node-{n}")),
                incarnation: Incarnation(n),
            },
        },
        started_at_ms: 1_700_000_000_000,
        status: Status::Live,
        last_heartbeat_ms: 0,
        viewer_count: n,
        key_fingerprint: "0123456789abcdef".to_owned(),
        continuation: n.is_multiple_of(2).then_some(continuation),
    }
}

/// The registry's clock is its own.
fn without_heartbeat(reply: Reply) -> Reply {
    let still = |found: Found| Found {
        record: found.record.map(|record| {
            record.map(|record| Record {
                last_heartbeat_ms: 0,
                ..record
            })
        }),
        ..found
    };
    match reply {
        Reply::Found(found) => Reply::Found(still(found)),
        Reply::Conflict(found) => Reply::Conflict(still(found)),
        Reply::Written => Reply::Written,
    }
}

async fn replies_are_what_the_claims_crate_says(registry: &dyn Registry) {
    let (id, mut stored, mut last_ms) = (room("model"), None, 0);
    let mut mark = Mark::default();
    for step in 0..120_u64 {
        // Four nodes and eight epochs, so that every kind of meeting comes up.
        let chance = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let record = record(chance >> 3 & 7, chance & 3);
        let request = match chance >> 6 & 3 {
            0 => Request::Read,
            1 => Request::renew(record),
            2 => Request::release(record, Status::Interrupted),
            _ => Request::claim(mark.clone(), record),
        };
        let expected = without_heartbeat(store::apply(&mut stored, &request, 0));
        let reply = registry.call(&id, request.clone()).await.unwrap();
        assert_eq!(without_heartbeat(reply), expected, "{step}: {request:?}");
        mark = Mark::of(stored.as_ref());

        let Some(Ok(record)) = registry.read(&id).await.unwrap().record else {
            continue;
        };
        let now_ms = record.last_heartbeat_ms;
        assert!(now_ms >= last_ms && now_ms > 1_700_000_000_000, "{now_ms}");
        last_ms = now_ms;
    }
    assert!(last_ms > 0, "nothing was ever written");
}

async fn of_many_who_found_the_same_one_writes(registry: &Arc<dyn Registry>) {
    let id = room("race");
    for round in 0..5 {
        let found = registry.read(&id).await.unwrap();
        let claims = (1..=50).map(|n| {
            let claim = Request::claim(found.mark.clone(), record(round * 50 + n, n));
            let (registry, id) = (Arc::clone(registry), id.clone());
            tokio::spawn(async move { registry.call(&id, claim).await.unwrap() })
        });
        let replies: Vec<_> = join_all(claims)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let wins = replies.iter().filter(|reply| **reply == Reply::Written);
        assert_eq!(wins.count(), 1, "round {round}");
        let winner = registry.read(&id).await.unwrap().pair;
        for reply in replies {
            if let Reply::Conflict(found) = reply {
                assert_eq!(found.pair, winner, "round {round}");
            }
        }
    }
}

async fn many_are_answered_at_once(registry: &Arc<dyn Registry>) {
    let calls = |request: fn(u64) -> Request| {
        join_all((0..300).map(|n| {
            let (registry, id) = (Arc::clone(registry), room(&format!("many-{n}")));
            tokio::spawn(async move { registry.call(&id, request(n)).await.unwrap() })
        }))
    };
    let claims = calls(|n| Request::claim(Mark::default(), record(n + 1, n))).await;
    assert!(
        claims
            .into_iter()
            .all(|reply| reply.unwrap() == Reply::Written)
    );

    // Every third is renewed by somebody else.
    let renewals = calls(|n| Request::renew(record(n + 1, n + u64::from(n % 3 == 0)))).await;
    for (n, reply) in (0..).zip(renewals) {
        match reply.unwrap() {
            Reply::Conflict(found) => {
                assert_eq!((found.pair, n % 3), (Some(record(n + 1, n).pair), 0));
            }
            reply => assert!(reply == Reply::Written && n % 3 != 0, "{n}: {reply:?}"),
        }
    }
}

async fn a_directory_has_whom_it_hears_of(registry: &dyn Registry) {
    let directory = Directory::Replicas(room("held"));
    let entry = |n| json!({"number": n}).to_string();
    for (name, n) in [("node-a", 1), ("node-b", 2), ("node-a", 3)] {
        let put = registry.stamp(&directory, &node(name), entry(n)).await;
        let put: Value = serde_json::from_str(&put.unwrap()).unwrap();
        assert_eq!(put["number"], n);
        assert!(put["last_heartbeat"].as_u64().unwrap() > 1_700_000_000_000);
    }
    let all = living::<Value>(registry, &directory, 60_000).await.unwrap();
    let numbers: HashSet<_> = all
        .entries
        .iter()
        .map(|(id, entry)| (id.clone(), entry["number"].as_u64()))
        .collect();
    let expected = [(node("node-a"), Some(3)), (node("node-b"), Some(2))];
    assert_eq!((numbers, all.corrupt), (expected.into(), 0));

    // Who is not heard of any more is gone, for all readers.
    let gone = async {
        while !registry.scan(&directory).await.unwrap().entries.is_empty() {
            living::<Value>(registry, &directory, 1).await.unwrap();
        }
    };
    timeout(SOON, gone).await.expect("the silent are struck");
    let others = registry.scan(&Directory::Replicas(room("other"))).await;
    assert_eq!(others.unwrap().entries, []);
}

async fn its_clock_is_known(it: &dyn Registry) {
    let told = it.scan(&Directory::Nodes).await.unwrap().registry_ms;
    assert!(it.now_ms() >= told && it.now_ms() - told < 60_000);
}

async fn only_what_was_seen_is_struck(registry: &dyn Registry) {
    let (directory, id) = (Directory::Nodes, node("node-a"));
    let old = registry
        .stamp(&directory, &id, json!({"n": 1}).to_string())
        .await
        .unwrap();
    let new = registry
        .stamp(&directory, &id, json!({"n": 2}).to_string())
        .await
        .unwrap();
    registry.strike(&directory, "node-a", &old).await.unwrap();
    let left = registry.scan(&directory).await.unwrap();
    assert_eq!(left.entries, [("node-a".to_owned(), new.clone())]);
    registry.strike(&directory, "node-b", &new).await.unwrap();
    registry.strike(&directory, "node-a", &new).await.unwrap();
    assert_eq!(registry.scan(&directory).await.unwrap().entries, []);
}

async fn rooms_without_a_record_leave_the_list(registry: &dyn Registry) {
    let [live, gone, off] = ["live", "gone", "off"].map(room);
    let claim = Request::claim(Mark::default(), record(1, 1));
    for id in [&live, &off] {
        registry.call(id, claim.clone()).await.unwrap();
    }
    let all = [live.clone(), gone.clone(), off.clone()];
    registry.activate(&all).await.unwrap();
    registry.activate(&[]).await.unwrap();
    let listed: HashSet<_> = registry.listed().await.unwrap().rooms.into_iter().collect();
    assert_eq!(listed, all.into());
    registry.deactivate(&[off]).await.unwrap();
    registry.deactivate(&[]).await.unwrap();
    let live = vec![live];
    assert_eq!(live_rooms(registry).await.unwrap().rooms, live);
    assert_eq!(
        registry.listed().await.unwrap().rooms,
        live,
        "for all readers"
    );
}
