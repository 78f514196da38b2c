//! What the ends of a connection tell each other in `connect` and its answer (Enhanced RTMP v2,
//! "Enhancing NetConnection connect Command").

use crate::amf0::Value;
use crate::frame::{Codec, Track};

/// What an end of a connection can take. One that says nothing of it may still take more than
/// H.264 and AAC: most players do not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Of the codecs we know, those that it names by FourCC.
    pub codecs: Vec<Codec>,
    /// It goes elsewhere when it is asked to.
    pub reconnect: bool,
    pub multitrack: bool,
    pub mod_ex: bool,
    pub timestamp_nano_offset: bool,
}

/// `CapsExMask`.
mod caps_ex {
    pub(super) const RECONNECT: u32 = 0x01;
    pub(super) const MULTITRACK: u32 = 0x02;
    pub(super) const MOD_EX: u32 = 0x04;
    pub(super) const TIMESTAMP_NANO_OFFSET: u32 = 0x08;
}

/// `FourCcInfoMask.CanForward`: what is said of each codec, for we neither decode nor encode.
const CAN_FORWARD: f64 = 4.0;
const ANY: &str = "*";

const FOUR_CC_LIST: &str = "fourCcList";
const VIDEO_MAP: &str = "videoFourCcInfoMap";
const AUDIO_MAP: &str = "audioFourCcInfoMap";
const CAPS_EX: &str = "capsEx";

impl Capabilities {
    /// Ours, at either end. Parts of milliseconds are read and left out.
    #[must_use]
    pub fn ours() -> Self {
        Self {
            codecs: Codec::BY_FOUR_CC.iter().map(|(_, codec)| *codec).collect(),
            reconnect: true,
            multitrack: true,
            mod_ex: true,
            timestamp_nano_offset: false,
        }
    }

    /// From `connect`'s command object, or from an object of its answer. The list is of version 1,
    /// the maps are of version 2; in each, `*` stands for all codecs.
    pub(super) fn read(object: &Value) -> Self {
        let listed = |name: &str| match object.get(FOUR_CC_LIST) {
            Some(Value::StrictArray(names)) => names.iter().any(|it| it.as_str() == Some(name)),
            _ => false,
        };
        let mapped = |track, name: &str| {
            let map = match track {
                Track::Video => VIDEO_MAP,
                _ => AUDIO_MAP,
            };
            let flags = object.get(map).and_then(|map| map.get(name));
            flags.and_then(Value::as_f64).is_some_and(|it| it >= 1.0)
        };
        let knows = |(four_cc, codec): &&(&str, Codec)| {
            let named = |name| listed(name) || mapped(codec.track(), name);
            named(ANY) || named(four_cc)
        };
        let known = Codec::BY_FOUR_CC.iter().filter(knows);
        let flags = object.get(CAPS_EX).and_then(Value::as_f64);
        let flags = flags.unwrap_or_default() as u32;
        Self {
            codecs: known.map(|(_, codec)| *codec).collect(),
            reconnect: flags & caps_ex::RECONNECT != 0,
            multitrack: flags & caps_ex::MULTITRACK != 0,
            mod_ex: flags & caps_ex::MOD_EX != 0,
            timestamp_nano_offset: flags & caps_ex::TIMESTAMP_NANO_OFFSET != 0,
        }
    }

    /// From an answer's objects: some servers say it in the first, some in the second.
    pub(super) fn read_any(objects: &[Value]) -> Self {
        let read = objects.iter().map(Self::read);
        let said = |it: &Self| *it != Self::default();
        read.into_iter().find(said).unwrap_or_default()
    }

    /// The properties that say it.
    pub(super) fn properties(&self) -> Vec<(String, Value)> {
        let named = Codec::BY_FOUR_CC
            .iter()
            .filter(|(_, codec)| self.codecs.contains(codec));
        let list = named.clone().map(|(name, _)| Value::String((*name).into()));
        let map = |track| {
            let of_kind = named.clone().filter(|(_, codec)| codec.track() == track);
            let flags = of_kind.map(|(name, _)| ((*name).into(), Value::Number(CAN_FORWARD)));
            Value::Object(flags.collect())
        };
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = flag(self.reconnect, caps_ex::RECONNECT)
            | flag(self.multitrack, caps_ex::MULTITRACK)
            | flag(self.mod_ex, caps_ex::MOD_EX)
            | flag(self.timestamp_nano_offset, caps_ex::TIMESTAMP_NANO_OFFSET);
        vec![
            (FOUR_CC_LIST.into(), Value::StrictArray(list.collect())),
            (VIDEO_MAP.into(), map(Track::Video)),
            (AUDIO_MAP.into(), map(Track::Audio)),
            (CAPS_EX.into(), Value::Number(flags.into())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::{decode_all, encode_all};

    fn object(properties: &[(&str, Value)]) -> Value {
        let named = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
        Value::Object(properties.iter().map(named).collect())
    }

    fn text(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn what_is_said_is_heard() {
        let some = Capabilities {
            codecs: vec![Codec::Hevc, Codec::Opus],
            timestamp_nano_offset: true,
            ..Capabilities::default()
        };
        for said in [Capabilities::ours(), some, Capabilities::default()] {
            let bytes = encode_all(&[Value::Object(said.properties())]);
            assert_eq!(Capabilities::read(&decode_all(&bytes).unwrap()[0]), said);
        }
    }

    #[test]
    fn every_way_to_name_codecs_is_heard() {
        use Codec::{Aac, Ac3, Av1, Avc, Eac3, Flac, Hevc, Mp3, Opus, Vp9};
        let list = |names: &[&str]| Value::StrictArray(names.iter().copied().map(text).collect());
        let can = Value::Number(2.0);
        for (name, said, codecs) in [
            ("nothing", object(&[]), vec![]),
            ("no object", Value::Null, vec![]),
            (
                "a list",
                object(&[("fourCcList", list(&["hvc1", "av01", "vvc1"]))]),
                vec![Hevc, Av1],
            ),
            (
                "all of a list",
                object(&[("fourCcList", list(&["*"]))]),
                Capabilities::ours().codecs,
            ),
            (
                "maps",
                object(&[
                    ("videoFourCcInfoMap", object(&[("avc1", can.clone())])),
                    ("audioFourCcInfoMap", object(&[("Opus", can.clone())])),
                ]),
                vec![Avc, Opus],
            ),
            (
                "all of a map",
                object(&[("videoFourCcInfoMap", object(&[("*", can.clone())]))]),
                vec![Avc, Hevc, Av1, Vp9],
            ),
            (
                "all of the other map",
                object(&[("audioFourCcInfoMap", object(&[("*", can)]))]),
                vec![Aac, Opus, Flac, Ac3, Eac3, Mp3],
            ),
            (
                "a map without flags",
                object(&[
                    (
                        "videoFourCcInfoMap",
                        object(&[("hvc1", Value::Number(0.0)), ("av01", Value::Null)]),
                    ),
                    ("audioFourCcInfoMap", Value::Number(1.0)),
                ]),
                vec![],
            ),
            (
                "a list that is none",
                object(&[("fourCcList", text("hvc1"))]),
                vec![],
            ),
        ] {
            assert_eq!(Capabilities::read(&said).codecs, codecs, "{name}");
        }
    }

    #[test]
    fn odd_flags_are_no_flags() {
        for flags in [f64::NAN, -1.0, 0.5] {
            let said = object(&[("capsEx", Value::Number(flags))]);
            assert_eq!(Capabilities::read(&said), Capabilities::default());
        }
        let all = object(&[("capsEx", Value::Number(f64::INFINITY))]);
        assert!(Capabilities::read(&all).reconnect);
    }

    #[test]
    fn either_object_of_an_answer_may_say_it() {
        let said = Value::Object(Capabilities::ours().properties());
        for objects in [
            vec![said.clone(), object(&[])],
            vec![Value::Null, said.clone()],
        ] {
            assert_eq!(Capabilities::read_any(&objects), Capabilities::ours());
        }
        assert_eq!(Capabilities::read_any(&[]), Capabilities::default());
    }
}
