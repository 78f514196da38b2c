//! Taking publishers in: who may publish, who wins a room, and what their messages become.

mod admission;
mod allowance;
mod bans;
mod import;
mod tracks;

pub(crate) use admission::{Admission, Admitted, admit};
pub(crate) use bans::{Banned, Bans};
pub(crate) use import::{Import, Importer};
