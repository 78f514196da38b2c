//! Live media formats without I/O.
//!
//! Bytes and a `now` go in, [`Frame`]s and bytes come out. Nothing here opens a socket, starts a
//! task or reads a clock, so every behaviour is a list of inputs and a list of outputs.
//!
//! Each format is a pair of mappings, to and from [`Frame`], and knows no other format. What
//! joins two of them (RTMP carrying FLV tag bodies, HLS carrying MPEG-TS) is named at the place
//! where they are joined.

pub mod amf0;
pub mod codec;
pub mod flv;
pub mod frame;
pub mod hls;
pub mod rtmp;
pub mod time;
pub mod ts;

pub use frame::{Codec, Frame, Kind, Track};
pub use time::{MediaMs, UnixMs};
