//! Who owns a room among equal nodes.
//!
//! No runtime, no store, no clock: messages, answers and [`Now`] go in, [`Action`]s come out.
//!
//! A claim is a [`Pair`]: an epoch, and who minted it. Of two claims the higher one holds, wherever they meet,
//! and every node remembers the highest it has seen ([`Floor`]). So nothing has to be agreed on to be safe: a
//! stale owner may believe what it likes, for nobody takes anything from it. What is left to settle is that
//! there is one owner, and the right one:
//!
//! 1. A newcomer's node reads the registry and asks all peers ([`Room::question`]). Whoever has a publisher that
//!    has sent within a second keeps the room if it sends again; no answer is no objection.
//! 2. It writes its claim where it found what it read ([`store::put`]), so that of several newcomers one wins.
//!    Without a registry the question does that: of two who ask for one room, the lower claim gives up.
//! 3. It tells all peers. Whoever owned the room sees the higher claim, there, in the registry when it renews,
//!    or from a receiver that refuses its frames, and closes its publisher.
//!
//! The caller keeps one [`Room`] for each room, and does as its actions say. The simulation in this crate's
//! tests does the same with nodes that crash, stop and lose each other and their registry.

mod defences;
mod floor;
mod pair;
pub mod record;
mod room;
#[cfg(test)]
mod simulation;
pub mod store;

pub use floor::{Floor, Rejected};
pub use pair::{BadNodeId, EPOCH_AHEAD_MAX_MS, Incarnation, NodeId, Owner, Pair};
pub use room::{Action, Answer, Arrival, Now, Refusal, Room, Session, Settings, Standing, Ticket};
