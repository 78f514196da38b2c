//! What the operator says to nodes and hears from them.

mod client;
mod live;
mod watch;

#[cfg(test)]
pub(crate) mod fake;

pub(crate) use client::Error;
pub(crate) use live::{Changed, Live, NodeAddress, NodeState, Watches};
