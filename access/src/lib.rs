//! Who may do what, told by what they carry: signed addresses, minted publish keys and the tokens of others; and who they
//! are, told by the proxy that they come through.
//!
//! No runtime, no store, no clock: the secrets and the time are handed in, the answer is a value.

mod keyring;
mod minted;
mod pass;
pub mod proxy;
mod token;

pub use keyring::{BadKeyring, Keyring};
pub use minted::Minted;
pub use pass::{Denied, Malformed, Pass};
pub use token::{Action, BadKeySet, BadToken, Expected, Grant, KeySet, key_named_by};
