//! A simulated node: the shell around a [`Room`], as thin as the real one should be.

use super::encoder;
use super::message::Message;
use super::world::{BEGAN_UNIX_MS, Event, World};
use crate::{Action, Incarnation, NodeId, Now, Owner, Pair, Room, Settings};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) room: Room,
    pub(super) is_up: bool,
    /// Owners send their frames to nodes with viewers only.
    pub(super) has_viewers: bool,
    /// Since when it is stopped, by SIGSTOP.
    pub(super) paused_at_ms: Option<u64>,
    /// How often it was started.
    pub(super) life: u32,
    /// Its clock minus the right one.
    pub(super) skew_ms: i64,
    /// How many faults keep it from the registry.
    pub(super) registry_cuts: u32,
    /// What publishers have sent to it.
    pub(super) frames: u64,
    /// What its viewers got last, and when.
    pub(super) served: Option<(Pair, u64)>,
    /// The highest claim that it was told of in this life.
    heard: Option<Pair>,
    /// What the kernel holds for it while it is stopped.
    inbox: Vec<Message>,
    wake_ms: Option<u64>,
    settings: Settings,
    number: usize,
    booted_unix_ms: u64,
}

pub(super) fn id(number: usize) -> NodeId {
    NodeId::parse(&format!("node-{number}")).expect("a node id")
}

impl Node {
    pub(super) fn new(number: usize, settings: Settings, skew_ms: i64) -> Self {
        let owner = Owner {
            node: id(number),
            incarnation: Incarnation(0),
        };
        Self {
            room: Room::new(owner, settings),
            is_up: false,
            has_viewers: true,
            paused_at_ms: None,
            life: 0,
            skew_ms,
            registry_cuts: 0,
            frames: 0,
            served: None,
            heard: None,
            inbox: Vec::new(),
            wake_ms: None,
            settings,
            number,
            booted_unix_ms: 0,
        }
    }

    /// Starts with nothing in memory.
    pub(super) fn boot(&mut self, now_ms: u64) {
        let unix_ms = self.now(now_ms).unix_ms;
        // Starting takes longer than a millisecond; a clock that went back does not hit the same one again.
        self.booted_unix_ms = unix_ms + u64::from(unix_ms == self.booted_unix_ms);
        let owner = Owner {
            node: id(self.number),
            incarnation: Incarnation(self.booted_unix_ms),
        };
        self.room = Room::new(owner, self.settings);
        self.is_up = true;
        self.paused_at_ms = None;
        self.life += 1;
        (self.served, self.heard, self.wake_ms) = (None, None, None);
        self.inbox.clear();
    }

    pub(super) fn pause(&mut self, now_ms: u64) {
        if self.is_up {
            self.paused_at_ms.get_or_insert(now_ms);
        }
    }

    pub(super) fn now(&self, now_ms: u64) -> Now {
        Now {
            monotonic_ms: now_ms,
            unix_ms: (BEGAN_UNIX_MS + now_ms).saturating_add_signed(self.skew_ms),
        }
    }

    pub(super) fn hears(&mut self, pair: &Pair) {
        if self.heard.as_ref() < Some(pair) {
            self.heard = Some(pair.clone());
        }
    }
}

impl World {
    pub(super) fn kill(&mut self, node: usize) {
        self.nodes[node].is_up = false;
        self.nodes[node].paused_at_ms = None;
    }

    pub(super) fn go_on(&mut self, node: usize) {
        if self.nodes[node].paused_at_ms.take().is_none() {
            return;
        }
        let inbox = std::mem::take(&mut self.nodes[node].inbox);
        // Timers and sockets are served in any order.
        if self.rng.percent(50) {
            self.tick(node);
        }
        for message in inbox {
            self.handle(node, message);
        }
        self.tick(node);
    }

    pub(super) fn wake(&mut self, node: usize) {
        if self.nodes[node].wake_ms == Some(self.now_ms) {
            self.nodes[node].wake_ms = None;
            if self.nodes[node].is_up && self.nodes[node].paused_at_ms.is_none() {
                self.tick(node);
            }
        }
    }

    pub(super) fn deliver(&mut self, to: usize, message: Message) {
        let node = &mut self.nodes[to];
        if !node.is_up {
            self.refuse_connection(to, message);
        } else if node.paused_at_ms.is_some() {
            node.inbox.push(message);
        } else {
            self.handle(to, message);
        }
    }

    pub(super) fn start(&mut self, node: usize) {
        if !self.nodes[node].is_up {
            self.nodes[node].boot(self.now_ms);
            self.nodes[node].room.start();
            self.act(node);
        }
    }

    /// A host whose program is down answers at once that nobody listens.
    fn refuse_connection(&mut self, by: usize, message: Message) {
        if let Message::Question {
            from, life, ticket, ..
        } = message
        {
            let answer = Message::Answer {
                from: by,
                life,
                ticket,
                answer: None,
            };
            self.send(by, from, answer);
        }
    }

    fn tick(&mut self, node: usize) {
        let now = self.nodes[node].now(self.now_ms);
        self.nodes[node].room.tick(now);
        self.act(node);
    }

    /// Viewers of a node get something.
    pub(super) fn serve(&mut self, number: usize, pair: &Pair) {
        let node = &mut self.nodes[number];
        let before = node.served.as_ref().map(|(pair, _)| pair);
        self.judge.viewer_got(before, pair);
        node.served = Some((pair.clone(), self.now_ms));
    }

    pub(super) fn act(&mut self, number: usize) {
        while let Some(action) = self.nodes[number].room.poll() {
            match action {
                Action::Call(ticket, request) => self.call(number, ticket, request),
                Action::Ask {
                    ticket,
                    peers: _,
                    pair,
                } => {
                    let question = Message::Question {
                        from: number,
                        life: self.nodes[number].life,
                        ticket,
                        pair,
                    };
                    self.tell_all(number, &question);
                }
                Action::Announce(pair) => {
                    self.tell_all(number, &Message::Announced { from: number, pair });
                }
                Action::Won { session, pair, .. } => {
                    self.judge.won(self.nodes[number].heard.as_ref(), &pair);
                    self.nodes[number].hears(&pair);
                    self.last_win_ms = self.now_ms;
                    encoder::won(self, session);
                }
                Action::Refused { session, .. } | Action::Closed { session, .. } => {
                    encoder::turned_away(self, session);
                }
                Action::Corrupt(_) => {}
            }
        }
        let due = self.nodes[number].room.due();
        if let Some(due_ms) = due
            && self.nodes[number]
                .wake_ms
                .is_none_or(|wake_ms| due_ms < wake_ms || wake_ms < self.now_ms)
        {
            self.nodes[number].wake_ms = Some(due_ms.max(self.now_ms));
            self.at(due_ms, Event::Wake(number));
        }
    }

    fn tell_all(&mut self, from: usize, message: &Message) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            self.send(from, to, message.clone());
        }
    }
}
