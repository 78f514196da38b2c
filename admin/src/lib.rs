//! What the operator and a node say to each other, and the words for it: rooms, publish keys and
//! the shapes of the admin API.
//!
//! The admin API stands on a node's internal port. Every request carries the node's admin token,
//! `Authorization: Bearer <token>`.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET` [`PATH_NODE`] | 200 [`NodeIs`] |
//! | `PUT` [`PATH_ROOMS`]`/<id>` [`PutRoom`] | 200 [`RoomIs`] |
//! | `DELETE` [`PATH_ROOMS`]`/<id>` | 204, or 404 where there is none |
//! | `GET` [`PATH_WATCH`] | 200, [`WatchLine`]s for as long as both sides like |
//!
//! Every other answer is an [`ErrorBody`]. A node refuses what it does not know in a request; its
//! callers read past what they do not know in an answer, so that a node may be newer than they are.

pub mod base62;
mod id;
mod key;
mod limits;
mod object;
pub mod random;
mod room;
mod secret;
mod wire;

pub use id::{BadId, RoomId};
pub use key::{BadKey, PublishKey, SECRET_CHARS_MIN, revealed};
pub use limits::{CodecName, RoomLimits, RoomLimitsChange};
pub use object::{Object, object, objects};
pub use room::{OnConflict, Playback};
pub use secret::Secret;
pub use wire::{
    ErrorBody, ErrorDetail, NodeIs, PATH_NODE, PATH_ROOMS, PATH_WATCH, PutRoom, RoomIs, WatchLine,
};
