//! Chunks (§5.3): messages cut in pieces, so that many chunk streams share one connection.

mod reader;
mod writer;

pub use reader::{ReadLimits, Reader};
pub use writer::write;

use bytes::Bytes;

/// The chunk size both ends start with (§5.4.1), in bytes.
pub const CHUNK_SIZE_DEFAULT: usize = 128;
/// Larger announced sizes mean this one: no message is longer than its 24-bit length (§5.4.1).
pub const CHUNK_SIZE_MAX: usize = 0xFF_FFFF;
/// In the 24-bit timestamp field: the value follows in 32 bits (§5.3.1.3).
const EXTENDED: u32 = 0xFF_FFFF;

/// One whole message, its payload not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The chunk stream it came or goes by, 2..=65599.
    pub csid: u32,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    pub type_id: u8,
    /// The message stream; 0 is the connection itself.
    pub stream_id: u32,
    pub payload: Bytes,
}

#[cfg(test)]
mod tests;
