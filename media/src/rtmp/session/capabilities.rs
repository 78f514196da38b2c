//! What the ends of a connection tell each other in `connect` and its answer (Enhanced RTMP v2,
//! "Enhancing NetConnection connect Command").

use crate::amf0::Value;
use crate::frame::{Codec, Track};

/// What the other end can do. Which codecs it can take is not read: most players name none and play
/// what they get, so everyone is given the stream as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// It goes elsewhere when it is asked to.
    pub reconnect: bool,
    pub multitrack: bool,
}

/// `CapsExMask`. `TimestampNanoOffset`, 0x08, is not ours: parts of milliseconds are left out.
mod caps_ex {
    pub(super) const RECONNECT: u32 = 0x01;
    pub(super) const MULTITRACK: u32 = 0x02;
    pub(super) const MOD_EX: u32 = 0x04;
}

/// `FourCcInfoMask.CanForward`: what is said of each codec, for we neither decode nor encode.
const CAN_FORWARD: f64 = 4.0;

const FOUR_CC_LIST: &str = "fourCcList";
const VIDEO_MAP: &str = "videoFourCcInfoMap";
const AUDIO_MAP: &str = "audioFourCcInfoMap";
const CAPS_EX: &str = "capsEx";

impl Capabilities {
    /// From `connect`'s command object.
    pub(super) fn read(object: &Value) -> Self {
        let flags = object.get(CAPS_EX).and_then(Value::as_f64);
        let flags = flags.unwrap_or_default() as u32;
        Self {
            reconnect: flags & caps_ex::RECONNECT != 0,
            multitrack: flags & caps_ex::MULTITRACK != 0,
        }
    }
}

/// The properties that say what we can do, at either end. Codecs are named in a list for version 1
/// and in maps for version 2.
pub(super) fn ours() -> [(String, Value); 4] {
    let names = Codec::BY_FOUR_CC.map(|(name, _)| Value::String(name.into()));
    let map = |track| {
        let of_kind = Codec::BY_FOUR_CC
            .iter()
            .filter(|(_, codec)| codec.track() == track);
        let flags = of_kind.map(|(name, _)| ((*name).into(), Value::Number(CAN_FORWARD)));
        Value::Object(flags.collect())
    };
    let flags = caps_ex::RECONNECT | caps_ex::MULTITRACK | caps_ex::MOD_EX;
    [
        (FOUR_CC_LIST.into(), Value::StrictArray(names.into())),
        (VIDEO_MAP.into(), map(Track::Video)),
        (AUDIO_MAP.into(), map(Track::Audio)),
        (CAPS_EX.into(), Value::Number(flags.into())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::{decode_all, encode_all};

    fn read(flags: Value) -> Capabilities {
        Capabilities::read(&Value::Object(vec![(CAPS_EX.into(), flags)]))
    }

    #[test]
    fn what_we_say_is_heard() {
        let bytes = encode_all(&[Value::Object(ours().into())]);
        let said = &decode_all(&bytes).unwrap()[0];
        let all = Capabilities {
            reconnect: true,
            multitrack: true,
        };
        assert_eq!(Capabilities::read(said), all);
    }

    #[test]
    fn we_forward_every_codec_by_both_versions() {
        let said = Value::Object(ours().into());
        let Some(Value::StrictArray(list)) = said.get("fourCcList") else {
            panic!("{said:?}");
        };
        for (name, map) in [
            ("avc1", "videoFourCcInfoMap"),
            ("hvc1", "videoFourCcInfoMap"),
            ("av01", "videoFourCcInfoMap"),
            ("vp09", "videoFourCcInfoMap"),
            ("mp4a", "audioFourCcInfoMap"),
            ("Opus", "audioFourCcInfoMap"),
            ("fLaC", "audioFourCcInfoMap"),
            ("ac-3", "audioFourCcInfoMap"),
            ("ec-3", "audioFourCcInfoMap"),
            (".mp3", "audioFourCcInfoMap"),
        ] {
            assert!(list.iter().any(|it| it.as_str() == Some(name)), "{name}");
            let flags = said.get(map).and_then(|map| map.get(name));
            assert_eq!(flags.and_then(Value::as_f64), Some(4.0), "{name}");
        }
        assert_eq!(said.get("capsEx").and_then(Value::as_f64), Some(7.0));
    }

    #[test]
    fn flags_are_told_apart() {
        for (flags, reconnect, multitrack) in [
            (0.0, false, false),
            (1.0, true, false),
            (2.0, false, true),
            (12.0, false, false),
            (15.0, true, true),
        ] {
            let expected = Capabilities {
                reconnect,
                multitrack,
            };
            assert_eq!(read(Value::Number(flags)), expected, "{flags}");
        }
    }

    #[test]
    fn odd_flags_are_no_flags() {
        for flags in [f64::NAN, -1.0, 0.5] {
            assert_eq!(read(Value::Number(flags)), Capabilities::default());
        }
        assert_eq!(read(Value::String("3".into())), Capabilities::default());
        assert_eq!(Capabilities::read(&Value::Null), Capabilities::default());
        assert!(read(Value::Number(f64::INFINITY)).reconnect);
    }
}
