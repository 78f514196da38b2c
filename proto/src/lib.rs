//! What nodes say to each other by gRPC.
//!
//! [`v1`] is generated from `isocast/v1/peer.proto` and takes whatever a peer sends. Nothing of it goes further
//! than to this crate's own types, which hold only what a node can mean: [`Asked`], [`About`] and
//! [`Introduction`], and the answers of `isocast_claims`.

mod answer;
mod bad;
mod request;

/// As generated; `tests/generated.rs` compares it with the file that it is made of.
#[allow(clippy::all, missing_debug_implementations, unreachable_pub)]
pub mod v1 {
    include!("isocast.v1.rs");
}

pub use answer::{Description, Introduction, State, Verdict};
pub use bad::Bad;
pub use request::{About, Asked};

/// The largest message either side takes, in bytes. The longest ids there are come to 1 KiB; the rest is for
/// fields that later releases may add.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;
