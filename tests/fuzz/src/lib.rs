//! Fuzz targets: one module per parser of what strangers send.
//!
//! `target` takes any bytes and must return: a panic, a hang or an unequal round trip is a bug.
//! It answers one word for what became of the bytes. Files under `corpus/<target>/` start with
//! the word that they must get, so the replay in `tests/corpus.rs` is a table of answers too.

pub mod aac;
pub mod amf0;
pub mod avc;
pub mod chunk;
pub mod flv;
pub mod handshake;
pub mod message;
pub mod proxy;

/// Every target by its name, which is also the name of its corpus folder and of its binary.
pub const TARGETS: &[(&str, Target)] = &[
    ("aac", aac::target),
    ("amf0", amf0::target),
    ("avc", avc::target),
    ("chunk", chunk::target),
    ("flv", flv::target),
    ("handshake", handshake::target),
    ("message", message::target),
    ("proxy", proxy::target),
];

pub type Target = fn(&[u8]) -> &'static str;
