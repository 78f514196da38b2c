//! The shapes of the admin API, as JSON has them.

use serde::{Deserialize, Serialize};

use crate::key::revealed;
use crate::object::object;
use crate::{OnConflict, Playback, PublishKey, RoomId, RoomLimits};

/// Where a node says what it is.
pub const PATH_NODE: &str = "/admin/v1/node";
/// Where rooms are; one room has its id after a slash.
pub const PATH_ROOMS: &str = "/admin/v1/rooms";
/// Where a node tells what is live, and goes on telling.
pub const PATH_WATCH: &str = "/admin/v1/watch";

/// The room as it is to be: made if there is none, changed where it differs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutRoom {
    /// Who may watch.
    pub playback: Playback,
    /// What happens to a publisher whose room is already live.
    pub on_conflict: OnConflict,
    /// What it takes at most. Nothing: what the node's configuration says.
    #[serde(
        default,
        skip_serializing_if = "RoomLimits::is_empty",
        deserialize_with = "object"
    )]
    pub limits: RoomLimits,
    /// The key of this room, and of no other. JSON tells it in full.
    #[serde(with = "revealed")]
    pub stream_key: PublishKey,
}

/// The room as it now is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomIs {
    /// Its name.
    pub id: RoomId,
    /// Who may watch.
    pub playback: Playback,
    /// What happens to a publisher whose room is already live.
    pub on_conflict: OnConflict,
    /// What it takes at most by itself.
    #[serde(default, skip_serializing_if = "RoomLimits::is_empty")]
    pub limits: RoomLimits,
    /// 1 for the first publish key, one more with each new one.
    pub key_generation: u32,
    /// [`PublishKey::fingerprint`] of the present key.
    pub key_fingerprint: String,
    /// Whether the request made or changed anything.
    pub changed: bool,
}

/// A node, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeIs {
    /// Its name, from its configuration.
    pub node_id: String,
    /// The version of its program.
    pub version: String,
    /// Which room store it works on. It changes when the store was made anew: its rooms are gone.
    pub store_id: String,
}

/// One line of the watch. Lines are JSON and end with a newline.
///
/// First comes [`Hello`](Self::Hello), then [`Live`](Self::Live) for each room that is, then
/// [`Synced`](Self::Synced), then changes as they happen. A room that goes from one publisher to
/// the next quickly may be told `Live` twice; the newer line holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum WatchLine {
    /// Who speaks.
    Hello(NodeIs),
    /// The room has a publisher.
    Live {
        /// Which room.
        room: RoomId,
        /// When this publisher began, in milliseconds since 1970.
        since_ms: i64,
    },
    /// The room's publisher has gone.
    Ended {
        /// Which room.
        room: RoomId,
    },
    /// Every room that is live has been told.
    Synced,
    /// Nothing has changed for a while, and the node is there.
    Beat,
}

/// Any answer that is not the one asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong, twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json, to_value};

    fn room() -> RoomId {
        RoomId::parse("a").expect("an id")
    }

    fn node() -> NodeIs {
        NodeIs {
            node_id: "n".into(),
            version: "1".into(),
            store_id: "s".into(),
        }
    }

    fn with(mut value: Value, name: &str, more: Value) -> Value {
        value[name] = more;
        value
    }

    #[test]
    fn a_request_is_whole_and_holds_nothing_else() {
        let whole =
            json!({"playback": "public", "on_conflict": "refuse", "stream_key": "room_a_key_x"});
        let put: PutRoom = from_value(whole.clone()).expect("whole");
        assert!(!format!("{put:?}").contains("key_x"), "{put:?}");
        assert_eq!(to_value(&put).expect("JSON"), whole);

        let limits = json!({"viewers_max": 7});
        let limited: PutRoom = from_value(with(whole.clone(), "limits", limits)).expect("whole");
        assert_eq!(limited.limits.viewers_max.map(u32::from), Some(7));

        for missing in ["playback", "on_conflict", "stream_key"] {
            let mut cut = whole.clone();
            cut.as_object_mut().expect("an object").remove(missing);
            assert!(from_value::<PutRoom>(cut).is_err(), "{missing}");
        }
        for (name, value) in [
            ("unknown", json!(1)),
            ("playback", json!("Public")),
            ("on_conflict", json!("wait")),
            ("limits", json!({"viewers": 1})),
            ("stream_key", json!("room_a")),
        ] {
            let error = from_value::<PutRoom>(with(whole.clone(), name, value)).expect_err(name);
            assert!(!error.to_string().contains("room_a"), "{error}");
        }
    }

    #[test]
    fn answers_have_their_shape_and_may_grow() {
        let is = RoomIs {
            id: room(),
            playback: Playback::Private,
            on_conflict: OnConflict::Takeover,
            limits: RoomLimits::default(),
            key_generation: 2,
            key_fingerprint: "0123456789abcdef".into(),
            changed: true,
        };
        let shape = json!({
            "id": "a", "playback": "private", "on_conflict": "takeover",
            "key_generation": 2, "key_fingerprint": "0123456789abcdef", "changed": true,
        });
        assert_eq!(to_value(&is).expect("JSON"), shape);
        let newer = with(shape, "newer", json!([]));
        assert_eq!(from_value::<RoomIs>(newer).expect("read past"), is);

        let shape = json!({"node_id": "n", "version": "1", "store_id": "s"});
        assert_eq!(to_value(node()).expect("JSON"), shape);
        let newer = with(shape, "newer", json!({}));
        assert_eq!(from_value::<NodeIs>(newer).expect("read past"), node());
    }

    #[test]
    fn watch_lines_read_back_and_may_grow() {
        for (line, shape) in [
            (
                WatchLine::Hello(node()),
                json!({"type": "hello", "node_id": "n", "version": "1", "store_id": "s"}),
            ),
            (
                WatchLine::Live {
                    room: room(),
                    since_ms: 12,
                },
                json!({"type": "live", "room": "a", "since_ms": 12}),
            ),
            (
                WatchLine::Ended { room: room() },
                json!({"type": "ended", "room": "a"}),
            ),
            (WatchLine::Synced, json!({"type": "synced"})),
            (WatchLine::Beat, json!({"type": "beat"})),
        ] {
            assert_eq!(to_value(&line).expect("JSON"), shape);
            let newer = with(shape, "newer", json!(1));
            assert_eq!(from_value::<WatchLine>(newer).expect("read past"), line);
        }
    }
}
