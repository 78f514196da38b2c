//! What one node writes another one reads, and what no node writes is refused.

use std::fmt::Debug;

use isocast_admin::RoomId;
use isocast_claims::{Answer, Incarnation, NodeId, Owner, Pair, Standing};
use isocast_proto::{About, Asked, Bad, Description, Introduction, State, Verdict, v1};
use proptest::option;
use proptest::prelude::*;
use prost::Message;

/// Over the wire and back.
fn carried<Wire, Read>(written: &Wire, read: impl Fn(Wire) -> Result<Read, Bad>) -> Read
where
    Wire: Message + Default,
    Read: Debug,
{
    let bytes = written.encode_to_vec();
    let decoded = Wire::decode(&bytes[..]).expect("what was encoded");
    read(decoded).expect("what a node means")
}

prop_compose! {
    fn pair()(epoch: u64, node in "[A-Za-z0-9._-]{1,40}", incarnation: u64) -> Pair {
        let node = NodeId::parse(&node).expect("the pattern is of ids");
        Pair { epoch, owner: Owner { node, incarnation: Incarnation(incarnation) } }
    }
}

prop_compose! {
    fn room()(id in "[A-Za-z0-9_-]{1,59}") -> RoomId {
        RoomId::parse(&format!("a{id}")).expect("the pattern is of ids")
    }
}

fn standing() -> impl Strategy<Value = Standing> {
    let live = (pair(), any::<u64>(), any::<u64>());
    prop_oneof![
        Just(Standing::Free),
        Just(Standing::Pending),
        live.prop_map(|(pair, frames, age_ms)| Standing::Live {
            pair,
            frames,
            age_ms
        }),
    ]
}

fn state() -> impl Strategy<Value = State> {
    prop::sample::select(vec![
        State::None,
        State::Live,
        State::Interrupted,
        State::Ended,
    ])
}

proptest! {
    #[test]
    fn requests_are_read_as_they_were_written(pair in pair(), room in room()) {
        let to = pair.owner.node.clone();
        let about = About { to: to.clone(), room: room.clone() };
        prop_assert_eq!(&carried::<v1::DescribeRequest, About>(&(&about).into(), TryInto::try_into), &about);
        let asked = Asked { to, room, pair };
        prop_assert_eq!(&carried::<v1::QuestionRequest, Asked>(&(&asked).into(), TryInto::try_into), &asked);
        prop_assert_eq!(&carried::<v1::AnnounceRequest, Asked>(&(&asked).into(), TryInto::try_into), &asked);
    }

    #[test]
    fn answers_are_read_as_they_were_written(
        pair in pair(),
        floor in option::of(pair()),
        standing in standing(),
        state in state(),
        room_time_ms in option::of(any::<i64>()),
    ) {
        let me = Introduction(pair.owner.clone());
        prop_assert_eq!(&carried::<v1::IntroduceResponse, _>(&(&me).into(), Introduction::try_from), &me);
        let description = Description { state, pair: floor.clone(), room_time_ms };
        let read = carried::<v1::DescribeResponse, _>(&(&description).into(), Description::try_from);
        prop_assert_eq!(&read, &description);
        let answer = Answer { floor, standing };
        prop_assert_eq!(&carried(&(&answer).into(), v1::QuestionResponse::read), &answer);
        for verdict in [Verdict::Accepted, Verdict::Stale(pair)] {
            prop_assert_eq!(&carried::<v1::AnnounceResponse, _>(&(&verdict).into(), Verdict::try_from), &verdict);
        }
    }
}

fn good() -> v1::QuestionRequest {
    v1::QuestionRequest {
        to: "node-1".into(),
        room: "demo".into(),
        pair: Some(v1::Pair {
            epoch: 7,
            node: "node-2".into(),
            incarnation: 9,
        }),
    }
}

#[test]
fn requests_that_no_node_writes_are_refused() {
    let with = |change: fn(&mut v1::QuestionRequest)| {
        let mut request = good();
        change(&mut request);
        Asked::try_from(request)
    };
    assert!(with(|_| {}).is_ok());
    for (change, bad) in [
        (
            (|it| it.to = String::new()) as fn(&mut v1::QuestionRequest),
            Bad::Node("to"),
        ),
        (|it| it.to = "a b".into(), Bad::Node("to")),
        (|it| it.room = "../x".into(), Bad::Room),
        (|it| it.room = "a".repeat(65), Bad::Room),
        (|it| it.pair = None, Bad::Missing("pair")),
        (
            |it| it.pair.as_mut().expect("it is there").node = "\n".into(),
            Bad::Node("pair.node"),
        ),
    ] {
        assert_eq!(with(change), Err(bad));
    }
}

#[test]
fn answers_of_a_later_release_are_refused_and_not_guessed() {
    assert_eq!(
        v1::QuestionResponse::default().read(),
        Err(Bad::Missing("standing"))
    );
    assert_eq!(
        Verdict::try_from(v1::AnnounceResponse::default()),
        Err(Bad::Missing("verdict"))
    );
    for status in [0, 5, -1] {
        let description = v1::DescribeResponse {
            status,
            ..Default::default()
        };
        assert_eq!(
            Description::try_from(description),
            Err(Bad::Missing("status"))
        );
    }
}
