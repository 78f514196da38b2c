//! Encoders that keep trying: a random node each time, one to two seconds after they lost the last.

use super::message::Message;
use super::world::{Event, World};
use crate::Session;

/// A frame of the real thing comes five times as often; what matters is that silence is a second.
const FRAME_EVERY_MS: u64 = 200;
/// Without progress for so long, it gives up its connection.
const PATIENCE_MS: u64 = 3000;

#[derive(Debug, Default)]
pub(super) struct Encoder {
    state: State,
    /// It keeps its connection and sends nothing.
    pub(super) is_frozen: bool,
    /// Counts what it began, so that what was planned before is known.
    turn: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Away,
    Waiting(Connection),
    Publishing(Connection),
}

#[derive(Clone, Copy, Debug)]
struct Connection {
    node: usize,
    life: u32,
    session: Session,
    since_ms: u64,
}

/// What it planned has come.
pub(super) fn act(world: &mut World, number: usize, turn: u32) {
    let encoder = &world.encoders[number];
    if encoder.turn != turn {
        return;
    }
    match encoder.state {
        State::Away => connect(world, number),
        State::Waiting(_) => disconnect(world, number),
        State::Publishing(connection) => publish(world, number, connection),
    }
}

fn connect(world: &mut World, number: usize) {
    let node = world.rng.index(world.nodes.len());
    if !world.nodes[node].is_up || world.encoders[number].is_frozen {
        return come_back(world, number);
    }
    let session = Session(world.sessions.len() as u64);
    world.sessions.push(number);
    let connection = Connection {
        node,
        life: world.nodes[node].life,
        session,
        since_ms: world.now_ms,
    };
    world.encoders[number].state = State::Waiting(connection);
    let life = connection.life;
    tell(world, connection, Message::Arrived { life, session });
    plan(world, number, PATIENCE_MS);
}

fn publish(world: &mut World, number: usize, connection: Connection) {
    let node = &world.nodes[connection.node];
    let is_there = node.is_up && node.life == connection.life;
    let stuck_ms = node
        .paused_at_ms
        .map_or(0, |since_ms| world.now_ms - since_ms);
    if !is_there || stuck_ms > PATIENCE_MS {
        return disconnect(world, number);
    }
    if !world.encoders[number].is_frozen {
        let Connection { life, session, .. } = connection;
        tell(world, connection, Message::Frame { life, session });
    }
    plan(world, number, FRAME_EVERY_MS);
}

/// The node says that it may send.
pub(super) fn won(world: &mut World, session: Session) {
    let number = world.sessions[session.0 as usize];
    if let State::Waiting(connection) = world.encoders[number].state
        && connection.session == session
    {
        world.encoders[number].state = State::Publishing(connection);
        let in_ms = world.rng.within(1..100);
        plan(world, number, in_ms);
    }
}

/// The node refuses it, or closes its connection.
pub(super) fn turned_away(world: &mut World, session: Session) {
    let number = world.sessions[session.0 as usize];
    if let State::Waiting(connection) | State::Publishing(connection) = world.encoders[number].state
        && connection.session == session
    {
        if let State::Waiting(_) = world.encoders[number].state {
            let waited_ms = world.now_ms - connection.since_ms;
            world.refused_after_ms = world.refused_after_ms.max(waited_ms);
        }
        come_back(world, number);
    }
}

pub(super) fn disconnect(world: &mut World, number: usize) {
    if let State::Waiting(connection) | State::Publishing(connection) = world.encoders[number].state
    {
        let Connection { life, session, .. } = connection;
        tell(world, connection, Message::Left { life, session });
        come_back(world, number);
    }
}

/// Nobody tells the node.
pub(super) fn pull_cable(world: &mut World, number: usize) {
    if !matches!(world.encoders[number].state, State::Away) {
        come_back(world, number);
    }
}

fn come_back(world: &mut World, number: usize) {
    world.encoders[number].state = State::Away;
    let in_ms = world.rng.within(1000..2000);
    plan(world, number, in_ms);
}

fn plan(world: &mut World, number: usize, in_ms: u64) {
    let encoder = &mut world.encoders[number];
    encoder.turn += 1;
    let turn = encoder.turn;
    world.at(world.now_ms + in_ms, Event::Encoder(number, turn));
}

fn tell(world: &mut World, connection: Connection, message: Message) {
    let to = connection.node;
    world.at(world.now_ms + 1, Event::Deliver { to, message });
}
