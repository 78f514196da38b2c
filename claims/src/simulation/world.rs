//! A cluster in virtual time: nodes with one room, a network, a registry, encoders, and viewers on every node.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::encoder::{self, Encoder};
use super::faults::{self, Fault, skew_ms};
use super::judge::{Broken, Judge};
use super::message::Message;
use super::network::Network;
use super::node::Node;
use super::registry::Registry;
use super::rng::Rng;
use crate::store::{Reply, Request};
use crate::{Settings, Ticket};

/// When the last fault is over.
pub(super) const CALM_FROM_MS: u64 = 14_000;
/// By when one owner serves everybody, after the last fault is over.
pub(super) const SETTLED_WITHIN_MS: u64 = 10_000;
/// How long it is then watched.
const WATCHED_MS: u64 = 2500;
/// 2023-11-14 22:13:20 UTC.
pub(super) const BEGAN_UNIX_MS: u64 = 1_700_000_000_000;

#[derive(Debug)]
pub(super) enum Event {
    Deliver {
        to: usize,
        message: Message,
    },
    Wake(usize),
    Call {
        from: usize,
        life: u32,
        ticket: Ticket,
        request: Request,
    },
    Encoder(usize, u32),
    /// Something is about to go wrong.
    Trouble,
    Fault(Fault),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) now_ms: u64,
    pub(super) rng: Rng,
    pub(super) nodes: Vec<Node>,
    pub(super) encoders: Vec<Encoder>,
    pub(super) network: Network,
    pub(super) registry: Registry,
    pub(super) judge: Judge,
    /// Which session is whose, by its number.
    pub(super) sessions: Vec<usize>,
    pub(super) takeover: bool,
    pub(super) is_strict: bool,
    /// When a claim was won last.
    pub(super) last_win_ms: u64,
    pub(super) refused_after_ms: u64,
    queue: BinaryHeap<Reverse<Queued>>,
    queued: u64,
}

#[derive(Debug)]
struct Queued {
    at_ms: u64,
    number: u64,
    event: Event,
}

/// What a run was like.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) broken: Option<Broken>,
    pub(super) wins: usize,
    /// Frames of stale owners.
    pub(super) rejected: u32,
    pub(super) shared_epochs: u32,
    /// How long after the last fault the owner changed last.
    pub(super) settled_after_ms: u64,
    /// The longest that a newcomer waited to be refused.
    pub(super) refused_after_ms: u64,
}

/// What a cluster is made of.
#[derive(Clone, Copy, Debug)]
struct Shape {
    nodes: usize,
    encoders: usize,
    strict: bool,
    takeover: bool,
    clocks_are_skewed: bool,
}

impl Shape {
    fn any(rng: &mut Rng) -> Self {
        let encoders = [1, 1, 1, 2, 2, 3][rng.index(6)];
        Self {
            nodes: 3 + rng.index(3),
            encoders,
            strict: rng.percent(10),
            // Several of them would take the room from each other for ever.
            takeover: encoders == 1 && rng.percent(15),
            clocks_are_skewed: rng.percent(60),
        }
    }
}

impl World {
    fn new(shape: Shape, mut rng: Rng) -> Self {
        let settings = Settings {
            strict: shape.strict,
            ..Settings::default()
        };
        let node = |number| {
            let skew_ms = match shape.clocks_are_skewed {
                true => skew_ms(&mut rng),
                false => rng.within(0..100) as i64,
            };
            let mut node = Node::new(number, settings, skew_ms);
            node.has_viewers = rng.percent(70);
            node.boot(0);
            node
        };
        let nodes: Vec<Node> = (0..shape.nodes).map(node).collect();
        let mut world = Self {
            now_ms: 0,
            network: Network::new(shape.nodes),
            nodes,
            encoders: (0..shape.encoders).map(|_| Encoder::default()).collect(),
            registry: Registry::default(),
            judge: Judge::default(),
            sessions: Vec::new(),
            takeover: shape.takeover,
            is_strict: shape.strict,
            last_win_ms: 0,
            refused_after_ms: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            rng,
        };
        for number in 0..shape.encoders {
            let at_ms = world.rng.within(0..60);
            world.at(at_ms, Event::Encoder(number, 0));
        }
        world
    }

    /// Several publishers with the right key at once, and nothing goes wrong; the registry may be away.
    pub(super) fn race(seed: u64, has_registry: bool) -> Outcome {
        let shape = Shape {
            nodes: 3,
            encoders: 3,
            strict: false,
            takeover: false,
            clocks_are_skewed: seed.is_multiple_of(2),
        };
        let mut world = Self::new(shape, Rng::new(seed));
        world.registry.is_down = !has_registry;
        world.run_until(CALM_FROM_MS);
        world.judge_the_end();
        world.outcome()
    }

    /// A run with faults, and a verdict after them.
    pub(super) fn run(seed: u64) -> Outcome {
        let mut rng = Rng::new(seed);
        let mut world = Self::new(Shape::any(&mut rng), rng);
        faults::plan(&mut world);
        world.run_until(CALM_FROM_MS + SETTLED_WITHIN_MS);
        let owners = world.nodes.iter().filter_map(|node| node.room.owns());
        world.judge.settle(owners.cloned().collect());
        world.run_until(CALM_FROM_MS + SETTLED_WITHIN_MS + WATCHED_MS);
        world.judge_the_end();
        world.outcome()
    }

    fn outcome(self) -> Outcome {
        Outcome {
            wins: self.judge.wins(),
            rejected: self.judge.rejected,
            shared_epochs: self.judge.shared_epochs(),
            settled_after_ms: self.last_win_ms.saturating_sub(CALM_FROM_MS),
            refused_after_ms: self.refused_after_ms,
            broken: self.judge.broken,
        }
    }

    pub(super) fn run_until(&mut self, until_ms: u64) {
        while self.judge.broken.is_none() {
            match self.queue.peek() {
                Some(Reverse(next)) if next.at_ms <= until_ms => {}
                _ => break,
            }
            let Some(Reverse(next)) = self.queue.pop() else {
                break;
            };
            self.now_ms = next.at_ms;
            self.happens(next.event);
        }
    }

    pub(super) fn at(&mut self, at_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse(Queued {
            at_ms: at_ms.max(self.now_ms),
            number: self.queued,
            event,
        }));
    }

    /// The right time, in milliseconds since 1970.
    pub(super) fn unix_ms(&self) -> u64 {
        BEGAN_UNIX_MS + self.now_ms
    }

    pub(super) fn send(&mut self, from: usize, to: usize, message: Message) {
        if let Some(delay_ms) = self.network.delay_ms(from, to, &mut self.rng) {
            self.at(self.now_ms + delay_ms, Event::Deliver { to, message });
        }
    }

    pub(super) fn call(&mut self, from: usize, ticket: Ticket, request: Request) {
        let event = Event::Call {
            from,
            life: self.nodes[from].life,
            ticket,
            request,
        };
        let delay_ms = self.rng.within(1..4) + self.rng.within(0..self.registry.slow_ms + 1);
        self.at(self.now_ms + delay_ms, event);
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Deliver { to, message } => self.deliver(to, message),
            Event::Wake(node) => self.wake(node),
            Event::Call {
                from,
                life,
                ticket,
                request,
            } => self.registry_gets(from, life, ticket, request),
            Event::Encoder(number, turn) => encoder::act(self, number, turn),
            Event::Trouble => faults::trouble(self),
            Event::Fault(fault) => self.strike(fault),
        }
    }

    fn registry_gets(&mut self, from: usize, life: u32, ticket: Ticket, request: Request) {
        let is_cut = self.registry.is_down || self.nodes[from].registry_cuts > 0;
        let reply: Option<Reply> = if is_cut {
            // Half of the time it is noticed, and half of the time it just takes too long.
            if self.rng.percent(50) {
                return;
            }
            None
        } else {
            let unix_ms = self.unix_ms();
            let stored = self.registry.pair(unix_ms);
            let reply = self.registry.apply(&request, self.now_ms, unix_ms);
            self.judge.wrote(stored.as_ref(), &request, &reply);
            if self.rng.percent(self.registry.replies_lost_percent) {
                return;
            }
            Some(reply)
        };
        let delay_ms = self.rng.within(1..4) + self.rng.within(0..self.registry.slow_ms + 1);
        let message = Message::Reply {
            life,
            ticket,
            reply,
        };
        self.at(self.now_ms + delay_ms, Event::Deliver { to: from, message });
    }

    /// Every node's viewers get something, to the end, and the registry says from whom.
    fn judge_the_end(&mut self) {
        if !self.registry.is_down {
            self.judge.stored(self.registry.live());
        }
        for (number, node) in self.nodes.iter().enumerate() {
            let served_ms = node.served.as_ref().map_or(0, |(_, at_ms)| *at_ms);
            if node.has_viewers && served_ms + 1000 < self.now_ms {
                self.judge.breaks(Broken::NotServed { node: number });
            }
        }
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.number).cmp(&(other.at_ms, other.number))
    }
}
