use bytes::Bytes;
use isocast_media::UnixMs;
use serde::Serialize;
use tokio::time::Instant;

use crate::config::EventKind;
use crate::data::random;
use crate::rooms::RoomId;

/// Why a publisher is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// It said that it was done.
    Ended,
    /// Its connection was closed, or went dead.
    HungUp,
    /// An operator sent it away.
    Kicked,
    /// Another publisher has the room, or the room is gone.
    Revoked,
    /// This node is stopping.
    Stopped,
    /// What it sent cannot be taken.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Happening {
    Publish {
        /// The publish key's fingerprint, as the log has it.
        #[serde(rename = "key_fingerprint", skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    Unpublish {
        reason: Reason,
        duration_ms: u64,
    },
    FirstViewer,
    LastViewer,
}

impl Happening {
    pub(super) fn kind(&self) -> EventKind {
        match self {
            Self::Publish { .. } => EventKind::Publish,
            Self::Unpublish { .. } => EventKind::Unpublish,
            Self::FirstViewer => EventKind::FirstViewer,
            Self::LastViewer => EventKind::LastViewer,
        }
    }
}

/// One event as it is sent, however often.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub id: String,
    pub room: RoomId,
    pub body: Bytes,
    pub(super) made_at: Instant,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    room: &'a RoomId,
    node: &'a str,
    epoch: u64,
    at_ms: i64,
    #[serde(flatten)]
    happening: Happening,
}

impl Event {
    pub(super) fn new(
        room: &RoomId,
        node: &str,
        epoch: u64,
        happening: Happening,
        at: UnixMs,
    ) -> Self {
        let id = uuid_v7(at, random::bytes());
        let body = Body {
            id: &id,
            room,
            node,
            epoch,
            at_ms: at.0,
            happening,
        };
        let body = serde_json::to_vec(&body).expect("words and numbers are JSON");
        Self {
            id,
            room: room.clone(),
            body: body.into(),
            made_at: Instant::now(),
        }
    }
}

/// A UUID that sorts by time (RFC 9562 §5.7).
fn uuid_v7(at: UnixMs, random: [u8; 10]) -> String {
    let ms = u128::from(at.0.unsigned_abs()) << 80;
    let random = random
        .iter()
        .fold(0, |bits, byte| bits << 8 | u128::from(*byte));
    const VERSION_AND_VARIANT: u128 = 0xf << 76 | 0b11 << 62;
    let bits = (ms | random) & !VERSION_AND_VARIANT | 0x7 << 76 | 0b10 << 62;
    let hex = format!("{bits:032x}");
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9562, appendix A.6.
    #[test]
    fn an_id_is_a_uuid() {
        let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        let at = UnixMs(0x017F_22E2_79B0);
        assert_eq!(uuid_v7(at, random), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        let all_set = uuid_v7(UnixMs(0), [0xff; 10]);
        assert_eq!(all_set, "00000000-0000-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn bodies_have_their_shape() {
        let room = RoomId::parse("show").expect("an id");
        for (happening, expected) in [
            (
                Happening::Publish {
                    key: Some("ab12".into()),
                },
                r#""type":"publish","key_fingerprint":"ab12"}"#,
            ),
            (Happening::Publish { key: None }, r#""type":"publish"}"#),
            (
                Happening::Unpublish {
                    reason: Reason::HungUp,
                    duration_ms: 1500,
                },
                r#""type":"unpublish","reason":"hung_up","duration_ms":1500}"#,
            ),
            (Happening::FirstViewer, r#""type":"first_viewer"}"#),
            (Happening::LastViewer, r#""type":"last_viewer"}"#),
        ] {
            let event = Event::new(&room, "n1", 7, happening, UnixMs(12));
            let id = &event.id;
            let start = format!(r#"{{"id":"{id}","room":"show","node":"n1","epoch":7,"at_ms":12,"#);
            assert_eq!(event.body, start + expected);
        }
    }
}
