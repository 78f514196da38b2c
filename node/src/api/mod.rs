//! The HTTP API.

pub(crate) mod wire;
