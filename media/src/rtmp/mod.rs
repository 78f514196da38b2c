//! RTMP 1.0 (Adobe, December 2012), both ends of a connection.
//!
//! The layers, each a file that knows only the one below it:
//!
//! - [`handshake`]: C0–C2 and S0–S2, plain and with digests;
//! - [`chunk`]: messages cut into chunks, many chunk streams interleaved (§5.3);
//! - [`message`]: what a message says (§5.4, §6, §7);
//! - [`session`]: who may say what when, for the serving and for the calling end.
//!
//! Audio, video and data messages carry FLV tag bodies (§7.1.4, §7.1.5). This module hands those
//! on untouched: it does not know FLV.

pub mod chunk;
mod error;
pub mod handshake;
pub mod message;
pub mod session;

pub use error::Error;
pub use session::{Call, Caller, CallerEvent, Capabilities, Event, Limits, Media, Session};
