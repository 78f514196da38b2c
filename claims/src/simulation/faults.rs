//! What goes wrong in a run, and when it is over.

use super::encoder;
use super::rng::Rng;
use super::world::{CALM_FROM_MS, Event, World};

/// Nothing goes wrong before this, so that most runs begin with an owner.
const FIRST_MS: u64 = 1500;
const HOUR_MS: u64 = 3_600_000;

#[derive(Clone, Debug)]
pub(super) enum Fault {
    Kill(usize),
    Start(usize),
    /// SIGSTOP.
    Pause(usize),
    Continue(usize),
    Cut(usize, usize),
    Mend(usize, usize),
    RegistryCut(usize),
    RegistryMend(usize),
    RegistryDown,
    RegistryUp,
    RegistrySlow {
        slow_ms: u64,
        replies_lost_percent: u64,
    },
    RegistryWiped,
    RegistryFailsOver {
        lost_ms: u64,
    },
    RegistrySpoilt(&'static str, &'static [u8]),
    ClockJumps(usize),
    Network {
        lost_percent: u64,
        delay_ms_max: u64,
    },
    /// The encoder comes back elsewhere, and its node is told nothing.
    CablePulled(usize),
    EncoderLeaves(usize),
    /// The encoder keeps its connection and sends nothing.
    EncoderFreezes(usize),
    EncoderThaws(usize),
    /// Everything that can be repaired is.
    AllHeal,
}

/// A clock within an hour of the right one.
pub(super) fn skew_ms(rng: &mut Rng) -> i64 {
    rng.within(0..2 * HOUR_MS) as i64 - HOUR_MS as i64
}

pub(super) fn plan(world: &mut World) {
    for _ in 0..world.rng.within(1..12) {
        let at_ms = world.rng.within(FIRST_MS..CALM_FROM_MS);
        world.at(at_ms, Event::Trouble);
    }
    world.at(CALM_FROM_MS, Event::Fault(Fault::AllHeal));
    if world.encoders.len() > 1 && world.rng.percent(50) {
        let frozen = world.rng.index(world.encoders.len());
        world.at(CALM_FROM_MS, Event::Fault(Fault::EncoderFreezes(frozen)));
    }
}

/// Something goes wrong now, and is over after a while.
pub(super) fn trouble(world: &mut World) {
    let from_ms = world.now_ms;
    let until_ms = (from_ms + world.rng.within(300..9000)).min(CALM_FROM_MS);
    for (at_ms, fault) in pick(world, from_ms, until_ms) {
        world.at(at_ms, Event::Fault(fault));
    }
}

fn pick(world: &mut World, from_ms: u64, until_ms: u64) -> Vec<(u64, Fault)> {
    let (nodes, encoders) = (world.nodes.len(), world.encoders.len());
    let owner = world
        .nodes
        .iter()
        .position(|node| node.room.owns().is_some());
    let rng = &mut world.rng;
    // Every other fault is the owner's.
    let owner = owner.filter(|_| rng.percent(50));
    let (node, encoder) = (owner.unwrap_or(rng.index(nodes)), rng.index(encoders));
    let span = |begins, ends| vec![(from_ms, begins), (until_ms, ends)];
    match rng.within(0..16) {
        0 | 1 => span(Fault::Kill(node), Fault::Start(node)),
        2 | 3 => span(Fault::Pause(node), Fault::Continue(node)),
        4 => {
            let to = (node + 1 + rng.index(nodes - 1)) % nodes;
            span(Fault::Cut(node, to), Fault::Mend(node, to))
        }
        5 => partition(world, from_ms, until_ms),
        6 => span(Fault::RegistryCut(node), Fault::RegistryMend(node)),
        7 => span(Fault::RegistryDown, Fault::RegistryUp),
        8 => {
            let slow = Fault::RegistrySlow {
                slow_ms: [200, 700, 2000][rng.index(3)],
                replies_lost_percent: rng.within(0..40),
            };
            let healthy = Fault::RegistrySlow {
                slow_ms: 0,
                replies_lost_percent: 0,
            };
            span(slow, healthy)
        }
        9 => vec![(from_ms, Fault::RegistryWiped)],
        10 => {
            let lost_ms = rng.within(1..6000);
            vec![(from_ms, Fault::RegistryFailsOver { lost_ms })]
        }
        11 => {
            let garbage: [(&str, &[u8]); 4] = [
                ("epoch", b"9223372036854775808"),
                ("epoch", b"x"),
                ("status", b"\xff"),
                ("viewer_count", b"-1"),
            ];
            let (field, value) = garbage[rng.index(garbage.len())];
            vec![(from_ms, Fault::RegistrySpoilt(field, value))]
        }
        12 => vec![(from_ms, Fault::ClockJumps(node))],
        13 => {
            let bad = Fault::Network {
                lost_percent: rng.within(0..50),
                delay_ms_max: [50, 400, 2500][rng.index(3)],
            };
            let good = Fault::Network {
                lost_percent: 0,
                delay_ms_max: 20,
            };
            span(bad, good)
        }
        _ => match rng.within(0..3) {
            0 => vec![(from_ms, Fault::CablePulled(encoder))],
            1 => vec![(from_ms, Fault::EncoderLeaves(encoder))],
            _ => span(Fault::EncoderFreezes(encoder), Fault::EncoderThaws(encoder)),
        },
    }
}

/// Two sides that do not hear of each other; one of them often keeps the registry.
fn partition(world: &mut World, from_ms: u64, until_ms: u64) -> Vec<(u64, Fault)> {
    let nodes = world.nodes.len();
    let rng = &mut world.rng;
    let sides: Vec<bool> = (0..nodes).map(|_| rng.percent(50)).collect();
    let mut faults = Vec::new();
    for (one, other) in (0..nodes).flat_map(|a| (0..nodes).map(move |b| (a, b))) {
        if sides[one] != sides[other] {
            faults.push((from_ms, Fault::Cut(one, other)));
            faults.push((until_ms, Fault::Mend(one, other)));
        }
    }
    if rng.percent(70) {
        for node in (0..nodes).filter(|node| sides[*node]) {
            faults.push((from_ms, Fault::RegistryCut(node)));
            faults.push((until_ms, Fault::RegistryMend(node)));
        }
    }
    faults
}

impl World {
    pub(super) fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(node) => self.kill(node),
            Fault::Start(node) => self.start(node),
            Fault::Pause(node) => self.nodes[node].pause(self.now_ms),
            Fault::Continue(node) => self.go_on(node),
            Fault::Cut(from, to) => self.network.cut(from, to),
            Fault::Mend(from, to) => self.network.mend(from, to),
            Fault::RegistryCut(node) => self.nodes[node].registry_cuts += 1,
            Fault::RegistryMend(node) => {
                let cuts = &mut self.nodes[node].registry_cuts;
                *cuts = cuts.saturating_sub(1);
            }
            Fault::RegistryDown => self.registry.is_down = true,
            Fault::RegistryUp => self.registry.is_down = false,
            Fault::RegistrySlow {
                slow_ms,
                replies_lost_percent,
            } => {
                self.registry.slow_ms = slow_ms;
                self.registry.replies_lost_percent = replies_lost_percent;
            }
            Fault::RegistryWiped => self.registry.wipe(),
            Fault::RegistryFailsOver { lost_ms } => {
                self.registry.fail_over(self.now_ms.saturating_sub(lost_ms));
            }
            Fault::RegistrySpoilt(field, value) => self.registry.spoil(field, value),
            Fault::ClockJumps(node) => self.nodes[node].skew_ms = skew_ms(&mut self.rng),
            Fault::Network {
                lost_percent,
                delay_ms_max,
            } => {
                self.network.lost_percent = lost_percent;
                self.network.delay_ms_max = delay_ms_max;
            }
            Fault::CablePulled(number) => encoder::pull_cable(self, number),
            Fault::EncoderLeaves(number) => encoder::disconnect(self, number),
            Fault::EncoderFreezes(number) => self.encoders[number].is_frozen = true,
            Fault::EncoderThaws(number) => self.encoders[number].is_frozen = false,
            Fault::AllHeal => self.heal(),
        }
    }

    fn heal(&mut self) {
        self.network.heal();
        // Some registries never come back; the others are enough.
        self.registry.is_down = !self.is_strict && self.rng.percent(15);
        self.registry.slow_ms = 0;
        self.registry.replies_lost_percent = 0;
        for encoder in &mut self.encoders {
            encoder.is_frozen = false;
        }
        for node in 0..self.nodes.len() {
            self.nodes[node].registry_cuts = 0;
            self.start(node);
            self.go_on(node);
        }
    }
}
