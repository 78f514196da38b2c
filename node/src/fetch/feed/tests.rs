use isocast_claims::{Floor, Incarnation, NodeId, Owner};
use proptest::prelude::*;

use super::*;

/// A playlist of this claim from one number to another.
fn found(epoch: u64, first_msn: u64, count: u64, ended: bool) -> Found {
    let owner = Owner {
        node: NodeId::parse("a").unwrap(),
        incarnation: Incarnation(1),
    };
    let pair = Pair { epoch, owner };
    let mut text = format!("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:{first_msn}\n");
    for msn in first_msn..first_msn + count {
        text += &format!("{}/{msn}.ts\n", pair.name());
    }
    if ended {
        text += "#EXT-X-ENDLIST\n";
    }
    Found {
        pair,
        etag: None,
        body: text.into(),
    }
}

fn feed() -> Feed {
    Feed::new(RoomId::parse("a").unwrap(), Duration::from_secs(15))
}

proptest! {
    /// Whatever comes, in whatever order, and from whoever believes to own the room.
    #[test]
    fn what_is_handed_out_never_goes_back(
        offers in prop::collection::vec((1..4_u64, 1..20_u64, 1..6_u64, any::<bool>()), 1..40),
        floors in prop::collection::vec(0..4_u64, 40),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (feed, mut floor) = (feed(), Floor::default());
            let mut before: Option<Arc<Playlist>> = None;
            for ((epoch, first_msn, count, ended), seen) in offers.into_iter().zip(floors) {
                if seen > 0 {
                    floor.admit(&found(seen, 1, 1, false).pair, 0).ok();
                }
                let offered = found(epoch, first_msn, count, ended);
                let taken = feed.offer(offered.clone(), |pair| floor.admit(pair, 0));
                let now = feed.last();
                match taken {
                    Ok(()) => prop_assert_eq!(now.as_ref().map(|it| &it.text), Some(&offered.body)),
                    // A higher claim may be known, of which no playlist has come yet.
                    Err(_) => prop_assert_eq!(&now, &before),
                }
                if let (Some(before), Some(now)) = (&before, &now) {
                    prop_assert!(now.pair >= before.pair);
                    if now.pair == before.pair {
                        prop_assert!(now.listed.last_msn() >= before.listed.last_msn());
                        prop_assert!(!before.listed.ended || now.listed.ended || now.listed.last_msn() > before.listed.last_msn());
                    }
                }
                before = now;
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn what_is_no_playlist_is_not_handed_out() {
    let feed = feed();
    let garbage = Found {
        body: "<html>".into(),
        ..found(1, 1, 1, false)
    };
    let taken = feed.offer(garbage, |_| panic!("nothing is admitted for it"));
    assert_eq!(taken, Err(Unfit::NotListed(NotListed::NoPlaylist)));
    assert!(feed.last().is_none());
}

#[tokio::test]
async fn segments_are_expected_while_a_player_may_know_of_them() {
    let feed = feed();
    let admit = |_: &Pair| Ok(());
    feed.offer(found(1, 10, 3, false), admit).unwrap();
    feed.offer(found(2, 13, 3, false), admit).unwrap();
    let expects = |epoch, msn| {
        let claim = ClaimName::parse(&found(epoch, 1, 1, false).pair.name()).unwrap();
        feed.standing.borrow().expects(SegmentName { claim, msn })
    };
    for (epoch, msn, expected) in [
        (2, 13, true),
        (2, 15, true),
        (2, 16, true),
        (2, 17, false),
        (1, 12, true),
        (1, 9, true),
        (1, 8, false),
        (3, 14, false),
    ] {
        assert_eq!(expects(epoch, msn), expected, "{epoch}/{msn}");
    }
}
