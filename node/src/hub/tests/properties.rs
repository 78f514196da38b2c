use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Push(Codec, Kind, i64, usize),
    Publish,
    Leave,
    Subscribe,
    Read(usize),
    Unsubscribe,
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let media = |key| Kind::Media { key };
    let what = prop_oneof![
        1 => Just((Codec::Script, Kind::Metadata)),
        1 => Just((Codec::Avc, Kind::Config)),
        1 => Just((Codec::Aac, Kind::Config)),
        2 => Just((Codec::Aac, media(true))),
        3 => any::<bool>().prop_map(move |key| (Codec::Avc, media(key))),
    ];
    let dts = prop_oneof![8 => 0i64..20_000, 1 => any::<u32>().prop_map(i64::from)];
    let len = prop_oneof![8 => 0usize..2000, 1 => 0usize..300_000];
    prop_oneof![
        20 => (what, dts, len).prop_map(|((codec, kind), dts, len)| Step::Push(codec, kind, dts, len)),
        1 => Just(Step::Publish),
        1 => Just(Step::Leave),
        2 => Just(Step::Subscribe),
        6 => any::<usize>().prop_map(Step::Read),
        1 => Just(Step::Unsubscribe),
        1 => (0u64..400).prop_map(Step::Tick),
    ]
}

/// What a viewer has seen so far.
struct Seen {
    viewer: Subscriber,
    last_end: u64,
    times: [MediaMs; 2],
    awaits_key: bool,
}

impl Seen {
    fn check(&mut self, items: &[Item]) -> Result<(), TestCaseError> {
        prop_assert!(
            self.last_end > 0 || matches!(items[0], Item::Join(_)),
            "frames before the first join"
        );
        for item in items {
            let slot = match item {
                Item::Join(_) => {
                    self.awaits_key = true;
                    continue;
                }
                Item::Frame(slot) => slot,
            };
            prop_assert!(
                slot.sequence() + 1 > self.last_end,
                "not in the ring's order"
            );
            self.last_end = slot.sequence() + 1;
            if !slot.frame.is_media() {
                continue;
            }
            let time = &mut self.times[usize::from(slot.frame.track() == Track::Video)];
            prop_assert!(slot.frame.dts >= *time, "time goes back on a track");
            *time = slot.frame.dts;
            if slot.frame.track() == Track::Video {
                prop_assert!(
                    !self.awaits_key || slot.frame.is_key(),
                    "video joined without a key frame"
                );
                self.awaits_key = false;
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_happens_viewers_see_frames_in_order(steps in prop::collection::vec(step(), 1..300)) {
        let world = World::with(Limits { hold: Duration::from_secs(15), ..LIMITS });
        let mut publisher = None;
        let mut viewers: Vec<Seen> = Vec::new();
        let mut now = Instant::now();
        for step in steps {
            match step {
                Step::Push(codec, kind, dts, len) => {
                    now += Duration::from_millis(20);
                    if let Some(publisher) = &publisher {
                        let publisher: &Publisher = publisher;
                        let sent = publisher.push(frame(codec, kind, dts, &vec![0; len]), now);
                        prop_assert_eq!(sent, Ok(()));
                    }
                }
                Step::Publish => publisher = Some(world.publish("a").0),
                Step::Leave => publisher = None,
                Step::Subscribe => {
                    if let Some(stream) = world.hub.stream(&room("a")) {
                        let viewer = stream.subscribe(Protocol::Rtmp);
                        let times = [MediaMs(i64::MIN); 2];
                        viewers.push(Seen { viewer, last_end: 0, times, awaits_key: true });
                    }
                }
                Step::Read(which) => {
                    if viewers.is_empty() {
                        continue;
                    }
                    let at = which % viewers.len();
                    match told(&mut viewers[at].viewer) {
                        Some(Delivery::Items(items)) => {
                            prop_assert!(!items.is_empty());
                            viewers[at].check(&items)?;
                        }
                        Some(Delivery::Ended | Delivery::Gone | Delivery::TooSlow | Delivery::SentAway) => {
                            viewers.swap_remove(at);
                        }
                        Some(Delivery::Interrupted) | None => {}
                    }
                }
                Step::Unsubscribe => drop(viewers.pop()),
                Step::Tick(seconds) => world.tick(Duration::from_secs(seconds)),
            }
            // Viewers of a stream that is gone count no longer with the hub.
            prop_assert!(world.hub.viewers() <= viewers.len());
        }
    }
}
