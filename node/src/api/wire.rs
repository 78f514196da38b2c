//! What the rooms API says, for the server and the command line alike.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /api/v1/rooms` [`CreateRoom`] | 201 [`CreatedRoom`] |
//! | `GET /api/v1/rooms` [`ListRooms`] as query | 200 [`RoomList`] |
//! | `GET /api/v1/rooms/<id>` | 200 [`RoomNow`] |
//! | `PATCH /api/v1/rooms/<id>` [`ChangeRoom`] | 200 [`Room`] |
//! | `DELETE /api/v1/rooms/<id>` | 204 |
//! | `POST /api/v1/rooms/<id>/rotate-key` [`RotateKey`], or nothing | 200 [`RotatedKey`] |
//! | `POST /api/v1/rooms/<id>/revoke-keys` | 200 [`RotatedKey`] |
//! | `GET /api/v1/rooms/<id>/live/publish-url` [`ExpiresIn`] as query | 200 [`PublishUrl`] |
//! | `GET /api/v1/rooms/<id>/stats` | 200 [`Stats`] |
//! | `GET /api/v1/rooms/<id>/live/play-url` [`ExpiresIn`] as query | 200 [`PlayUrls`] |
//! | `POST /api/v1/rooms/<id>/kick` [`Kick`], or nothing | 204 |
//!
//! Every other answer is an [`ErrorBody`].

mod stats;

use isocast_admin::object;
pub(crate) use isocast_admin::{ErrorBody, ErrorDetail};
use isocast_claims::Pair;
use isocast_media::UnixMs;
use serde::{Deserialize, Serialize};
pub(crate) use stats::{AudioStats, ByProtocol, Frames, Source, State, Stats, VideoStats};

use crate::rooms::{
    self, NewRoom, OnConflict, Playback, PublishKey, RoomId, RoomLimits, RoomLimitsChange,
};

/// Where all of it stands.
pub(crate) const ROOMS_PATH: &str = "/api/v1/rooms";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CreateRoom {
    /// Without one the room gets a random id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<RoomId>,
    pub playback: Playback,
    pub on_conflict: OnConflict,
    #[serde(
        skip_serializing_if = "RoomLimits::is_empty",
        deserialize_with = "object"
    )]
    pub limits: RoomLimits,
}

impl CreateRoom {
    pub(crate) fn at(self, now: UnixMs) -> NewRoom {
        NewRoom {
            id: self.id.unwrap_or_else(RoomId::random),
            playback: self.playback,
            on_conflict: self.on_conflict,
            limits: self.limits,
            created_at: now,
        }
    }
}

/// What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ChangeRoom {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playback: Option<Playback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<OnConflict>,
    #[serde(deserialize_with = "object")]
    pub limits: RoomLimitsChange,
}

impl From<ChangeRoom> for rooms::Change {
    fn from(asked: ChangeRoom) -> Self {
        let ChangeRoom {
            playback,
            on_conflict,
            limits,
        } = asked;
        Self {
            playback,
            on_conflict,
            limits,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Room {
    pub id: RoomId,
    pub playback: Playback,
    pub on_conflict: OnConflict,
    #[serde(default, skip_serializing_if = "RoomLimits::is_empty")]
    pub limits: RoomLimits,
    pub created_at_ms: i64,
    pub key_generation: u32,
    /// Until when keys of the generation before open the room as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_key_until_ms: Option<i64>,
}

impl From<rooms::Room> for Room {
    fn from(room: rooms::Room) -> Self {
        let rooms::Room {
            id,
            playback,
            on_conflict,
            limits,
            created_at,
            key_generation,
            previous_key_until,
        } = room;
        Self {
            id,
            playback,
            on_conflict,
            limits,
            created_at_ms: created_at.0,
            key_generation,
            previous_key_until_ms: previous_key_until.map(|until| until.0),
        }
    }
}

/// A room, and who publishes it now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomNow {
    #[serde(flatten)]
    pub room: Room,
    pub publisher: Option<Publisher>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Publisher {
    /// The node that carries it.
    pub node: String,
    pub epoch: u64,
}

impl From<Pair> for Publisher {
    fn from(Pair { epoch, owner }: Pair) -> Self {
        let node = owner.node.to_string();
        Self { node, epoch }
    }
}

/// The only answer, with [`RotatedKey`], that holds a room's own key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CreatedRoom {
    pub room: Room,
    #[serde(with = "isocast_admin::revealed")]
    pub stream_key: PublishKey,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RotateKey {
    /// Seconds for which the old key, and what was minted beside it, opens the room too.
    pub overlap_s: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RotatedKey {
    #[serde(with = "isocast_admin::revealed")]
    pub stream_key: PublishKey,
}

/// A week; who is to stay away for longer gets the room's key replaced.
pub(crate) const BAN_S_MAX: u64 = 7 * 24 * 3600;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Kick {
    /// For so long its key is refused, or any that is minted for the room where it came with one; up
    /// to [`BAN_S_MAX`]. Of a publisher that has just gone too, while the room is held for it.
    pub ban_s: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListRooms {
    /// The `next` of the page before.
    pub after: Option<RoomId>,
    /// At most [`rooms::LIST_MAX`], which is also the default.
    pub limit: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomList {
    pub rooms: Vec<Room>,
    /// Where to go on; absent on the last page.
    pub next: Option<RoomId>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExpiresIn {
    pub expires_in_s: Option<u64>,
}

/// Where to publish, and a key that is good for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PublishUrl {
    pub rtmp_url: String,
    #[serde(with = "isocast_admin::revealed")]
    pub stream_key: PublishKey,
    pub expires_at_ms: u64,
    /// Whether a certain node was chosen: all of them take the stream alike.
    pub placed: bool,
}

/// Where a room is watched; nothing for what is switched off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlayUrls {
    pub hls_url: Option<String>,
    pub flv_url: Option<String>,
    pub ws_flv_url: Option<String>,
    pub rtmp_url: Option<String>,
    pub watch_url: String,
    /// Nothing for a public room: it needs no signature.
    pub expires_at_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_are_read() {
        let id = |text| RoomId::parse(text).expect("an id");
        let public = CreateRoom {
            playback: Playback::Public,
            ..CreateRoom::default()
        };
        for (text, expected) in [
            (r"{}", Some(CreateRoom::default())),
            (r#"{"playback":"public"}"#, Some(public)),
            (
                r#"{"id":"a","playback":"private","on_conflict":"takeover"}"#,
                Some(CreateRoom {
                    id: Some(id("a")),
                    playback: Playback::Private,
                    on_conflict: OnConflict::Takeover,
                    ..CreateRoom::default()
                }),
            ),
            (r#"{"id":"room_a"}"#, None),
            (r#"{"id":""}"#, None),
            (r#"{"playback":"Public"}"#, None),
            (r#"{"public":true}"#, None),
            (r"[]1", None),
        ] {
            assert_eq!(serde_json::from_str(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn answers_have_their_shape() {
        let stored = rooms::Room {
            id: RoomId::parse("a").expect("an id"),
            playback: Playback::Public,
            on_conflict: OnConflict::Refuse,
            limits: RoomLimits::default(),
            created_at: UnixMs(12),
            key_generation: 3,
            previous_key_until: None,
        };
        let stream_key = PublishKey::parse("room_a_key_x").expect("a key");
        let created = CreatedRoom {
            room: stored.into(),
            stream_key,
        };
        assert!(!format!("{created:?}").contains("key_x"));
        assert_eq!(
            serde_json::to_value(&created).expect("JSON"),
            json!({
                "room": {"id": "a", "playback": "public", "on_conflict": "refuse", "created_at_ms": 12, "key_generation": 3},
                "stream_key": "room_a_key_x",
            })
        );
        let list = RoomList {
            rooms: vec![],
            next: None,
        };
        assert_eq!(
            serde_json::to_value(&list).expect("JSON"),
            json!({"rooms": [], "next": null})
        );
        let request = CreateRoom::default();
        assert_eq!(
            serde_json::to_value(&request).expect("JSON"),
            json!({"playback": "signed", "on_conflict": "refuse"})
        );
    }
}
