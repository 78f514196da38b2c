//! What a room takes at most.

use std::num::NonZeroU32;

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, Serialize};

/// What a room takes at most. What is left out is up to the node's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoomLimits {
    /// Kilobits a second of all tracks together, on average over some seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps_max: Option<NonZeroU32>,
    /// Luma samples in a row. With [`Self::height_max`] it makes a frame that a picture fits in
    /// upright or turned; one alone holds for both sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width_max: Option<NonZeroU32>,
    /// Rows of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height_max: Option<NonZeroU32>,
    /// Pictures a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate_max: Option<NonZeroU32>,
    /// Viewers at once, over all protocols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewers_max: Option<NonZeroU32>,
    /// The codecs that are taken; none means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codecs: Vec<CodecName>,
}

/// A codec by the name that people know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is its own name")]
pub enum CodecName {
    H264,
    H265,
    Av1,
    Vp9,
    Aac,
    Opus,
    Flac,
    Ac3,
    Eac3,
    Mp3,
}

impl std::fmt::Display for CodecName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.to_possible_value();
        f.write_str(name.as_ref().map_or("", |name| name.get_name()))
    }
}

impl std::str::FromStr for CodecName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ValueEnum::from_str(text, false)
    }
}

impl RoomLimits {
    /// Whether all is up to the node's configuration.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These limits, and those of `other` where they say nothing. Width and height belong together.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        let frame = match (self.width_max, self.height_max) {
            (None, None) => other,
            _ => &self,
        };
        let (width_max, height_max) = (frame.width_max, frame.height_max);
        Self {
            bitrate_kbps_max: self.bitrate_kbps_max.or(other.bitrate_kbps_max),
            width_max,
            height_max,
            frame_rate_max: self.frame_rate_max.or(other.frame_rate_max),
            viewers_max: self.viewers_max.or(other.viewers_max),
            codecs: match self.codecs.is_empty() {
                true => other.codecs.clone(),
                false => self.codecs,
            },
        }
    }

    /// The frame that pictures have to fit in, width and height; `None` where any size does.
    #[must_use]
    pub fn frame_max(&self) -> Option<(u32, u32)> {
        let width = self.width_max.or(self.height_max)?;
        let height = self.height_max.unwrap_or(width);
        Some((width.get(), height.get()))
    }

    /// Changes what `change` names.
    pub fn change(&mut self, change: RoomLimitsChange) {
        let RoomLimitsChange {
            bitrate_kbps_max,
            width_max,
            height_max,
            frame_rate_max,
            viewers_max,
            codecs,
        } = change;
        for (limit, to) in [
            (&mut self.bitrate_kbps_max, bitrate_kbps_max),
            (&mut self.width_max, width_max),
            (&mut self.height_max, height_max),
            (&mut self.frame_rate_max, frame_rate_max),
            (&mut self.viewers_max, viewers_max),
        ] {
            if let Some(to) = to {
                *limit = to;
            }
        }
        if let Some(to) = codecs {
            self.codecs = to.unwrap_or_default();
        }
    }
}

/// A change of some limits, as JSON Merge Patch has it (RFC 7396): what is left out stays, and
/// `null` takes the limit away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of RoomLimits")]
pub struct RoomLimitsChange {
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps_max: Option<Option<NonZeroU32>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub width_max: Option<Option<NonZeroU32>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub height_max: Option<Option<NonZeroU32>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub frame_rate_max: Option<Option<NonZeroU32>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub viewers_max: Option<Option<NonZeroU32>>,
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub codecs: Option<Option<Vec<CodecName>>>,
}

/// Tells `null` from nothing.
fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json, to_value};

    fn limits(value: Value) -> RoomLimits {
        from_value(value).expect("limits")
    }

    #[test]
    fn limits_read_back_and_zero_is_none() {
        for value in [
            json!({}),
            json!({"bitrate_kbps_max": 3000}),
            json!({
                "bitrate_kbps_max": 1, "width_max": 2, "height_max": 3, "frame_rate_max": 4,
                "viewers_max": 5, "codecs": ["h264", "eac3"],
            }),
        ] {
            assert_eq!(to_value(limits(value.clone())).expect("JSON"), value);
        }
        for value in [
            json!({"viewers_max": 0}),
            json!({"viewers_max": -1}),
            json!({"viewers_max": 1.5}),
            json!({"viewers_max": 4_294_967_296_u64}),
            json!({"codecs": ["H264"]}),
            json!({"codecs": "h264"}),
            json!({"unknown": 1}),
        ] {
            assert!(from_value::<RoomLimits>(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn what_a_room_leaves_out_is_the_nodes() {
        let node = limits(
            json!({"width_max": 1920, "height_max": 1080, "viewers_max": 9, "codecs": ["h264"]}),
        );
        for (room, expected) in [
            (json!({}), node.clone()),
            (
                json!({"viewers_max": 20, "frame_rate_max": 30, "codecs": ["av1"]}),
                limits(json!({
                    "width_max": 1920, "height_max": 1080, "viewers_max": 20, "frame_rate_max": 30,
                    "codecs": ["av1"],
                })),
            ),
            (
                json!({"height_max": 640}),
                limits(json!({"height_max": 640, "viewers_max": 9, "codecs": ["h264"]})),
            ),
        ] {
            assert_eq!(limits(room.clone()).or(&node), expected, "{room}");
        }
    }

    #[test]
    fn one_side_alone_holds_for_both() {
        for (value, frame) in [
            (json!({}), None),
            (
                json!({"width_max": 1280, "height_max": 720}),
                Some((1280, 720)),
            ),
            (json!({"width_max": 1280}), Some((1280, 1280))),
            (json!({"height_max": 720}), Some((720, 720))),
        ] {
            assert_eq!(limits(value.clone()).frame_max(), frame, "{value}");
        }
    }

    #[test]
    fn a_change_touches_what_it_names() {
        let before = json!({"bitrate_kbps_max": 3000, "viewers_max": 5, "codecs": ["h264"]});
        for (change, after) in [
            (json!({}), before.clone()),
            (
                json!({"viewers_max": 7, "width_max": 640}),
                json!({"bitrate_kbps_max": 3000, "viewers_max": 7, "width_max": 640, "codecs": ["h264"]}),
            ),
            (
                json!({"viewers_max": null, "codecs": null, "height_max": null}),
                json!({"bitrate_kbps_max": 3000}),
            ),
        ] {
            let mut changed = limits(before.clone());
            let read: RoomLimitsChange = from_value(change.clone()).expect("a change");
            assert_eq!(to_value(&read).expect("JSON"), change, "told on as it came");
            changed.change(read);
            assert_eq!(changed, limits(after), "{change}");
        }
        let unknown = json!({"bitrate": 1});
        assert!(from_value::<RoomLimitsChange>(unknown).is_err());
    }
}
