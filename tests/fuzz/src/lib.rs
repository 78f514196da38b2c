//! Fuzz targets: one module per parser of what strangers send.
//!
//! `target` takes any bytes and must return: a panic, a hang or an unequal round trip is a bug.
//! It answers one word for what became of the bytes. Files under `corpus/<target>/` start with
//! the word that they must get, so the replay in `tests/corpus.rs` is a table of answers too.

pub mod aac;
pub mod ac3;
pub mod amf0;
pub mod av1;
pub mod avc;
pub mod chunk;
pub mod flac;
pub mod flv;
pub mod handshake;
pub mod hevc;
pub mod jwt;
pub mod message;
pub mod minted;
pub mod mp3;
pub mod name;
pub mod opus;
pub mod peer;
pub mod playlist;
pub mod proxy;
pub mod session;
pub mod signed;
pub mod vp9;

/// Every target by its name, which is also the name of its corpus folder and of its binary.
pub const TARGETS: &[(&str, Target)] = &[
    ("aac", aac::target),
    ("ac3", ac3::target),
    ("amf0", amf0::target),
    ("av1", av1::target),
    ("avc", avc::target),
    ("chunk", chunk::target),
    ("flac", flac::target),
    ("flv", flv::target),
    ("handshake", handshake::target),
    ("hevc", hevc::target),
    ("jwt", jwt::target),
    ("message", message::target),
    ("minted", minted::target),
    ("mp3", mp3::target),
    ("name", name::target),
    ("opus", opus::target),
    ("peer", peer::target),
    ("playlist", playlist::target),
    ("proxy", proxy::target),
    ("session", session::target),
    ("signed", signed::target),
    ("vp9", vp9::target),
];

pub type Target = fn(&[u8]) -> &'static str;
