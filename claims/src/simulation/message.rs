//! What nodes hear, and what they make of it.

use super::node::id;
use super::world::World;
use crate::store::Reply;
use crate::{Answer, Arrival, Now, Pair, Rejected, Session, Ticket};

#[derive(Clone, Debug)]
pub(super) enum Message {
    Question {
        from: usize,
        life: u32,
        ticket: Ticket,
        pair: Pair,
    },
    Answer {
        from: usize,
        life: u32,
        ticket: Ticket,
        answer: Option<Answer>,
    },
    Announced {
        from: usize,
        pair: Pair,
    },
    Relayed {
        from: usize,
        pair: Pair,
    },
    Stale {
        floor: Pair,
    },
    Reply {
        life: u32,
        ticket: Ticket,
        reply: Option<Reply>,
    },
    Arrived {
        life: u32,
        session: Session,
    },
    Left {
        life: u32,
        session: Session,
    },
    Frame {
        life: u32,
        session: Session,
    },
}

impl World {
    pub(super) fn handle(&mut self, number: usize, message: Message) {
        let now = self.nodes[number].now(self.now_ms);
        let node = &mut self.nodes[number];
        match message {
            Message::Question {
                from,
                life,
                ticket,
                pair,
            } => {
                let answer = Some(node.room.question(&pair, now));
                let answer = Message::Answer {
                    from: number,
                    life,
                    ticket,
                    answer,
                };
                self.send(number, from, answer);
            }
            Message::Answer {
                from,
                life,
                ticket,
                answer,
            } if life == node.life => {
                if let Some(floor) = answer.as_ref().and_then(|answer| answer.floor.clone()) {
                    node.hears(&floor);
                }
                node.room.answered(ticket, &id(from), answer, now);
            }
            Message::Announced { from, pair } => {
                node.hears(&pair);
                if let Err(Rejected::Stale { floor }) = node.room.admit(&pair, now) {
                    self.send(number, from, Message::Stale { floor });
                }
            }
            Message::Stale { floor } => {
                node.hears(&floor);
                let _ = node.room.admit(&floor, now);
            }
            Message::Relayed { from, pair } => {
                node.hears(&pair);
                match node.room.admit(&pair, now) {
                    Ok(()) => self.serve(number, &pair),
                    Err(Rejected::Stale { floor }) => {
                        self.judge.rejected += 1;
                        self.send(number, from, Message::Stale { floor });
                    }
                    Err(Rejected::EpochAhead) => {}
                }
            }
            Message::Reply {
                life,
                ticket,
                reply,
            } if life == node.life => self.replied(number, ticket, reply, now),
            Message::Arrived { life, session } if life == node.life => {
                let nodes = self.nodes.len();
                let arrival = Arrival {
                    session,
                    takeover: self.takeover,
                    key_fingerprint: "0123456789abcdef".to_owned(),
                    peers: (0..nodes).filter(|peer| *peer != number).map(id).collect(),
                };
                self.nodes[number].room.arrive(arrival, now);
            }
            Message::Left { life, session } if life == node.life => node.room.leave(session, now),
            Message::Frame { life, session } if life == node.life => {
                if node.room.holder() == Some(session)
                    && let Some(pair) = node.room.owns().cloned()
                {
                    node.frames += 1;
                    node.room
                        .heard(session, node.frames, Some(now.monotonic_ms));
                    self.serve(number, &pair);
                    let relays = |to: &usize| *to != number && self.nodes[*to].has_viewers;
                    for to in (0..self.nodes.len()).filter(relays).collect::<Vec<_>>() {
                        let pair = pair.clone();
                        self.send(number, to, Message::Relayed { from: number, pair });
                    }
                }
            }
            Message::Answer { .. }
            | Message::Reply { .. }
            | Message::Arrived { .. }
            | Message::Left { .. }
            | Message::Frame { .. } => {}
        }
        self.act(number);
    }

    fn replied(&mut self, number: usize, ticket: Ticket, reply: Option<Reply>, now: Now) {
        let node = &mut self.nodes[number];
        if let Some(Reply::Found(found) | Reply::Conflict(found)) = &reply
            && let Some(pair) = found.pair.as_ref().filter(|it| it.epoch < u64::MAX / 2)
        {
            node.hears(pair);
        }
        self.nodes[number].room.replied(ticket, reply, now);
    }
}
