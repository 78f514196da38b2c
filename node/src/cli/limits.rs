//! Flags that say what a room takes at most.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};

use crate::rooms::{CodecName, RoomLimits, RoomLimitsChange};

/// A limit, or `none` to leave it to the node's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    None,
    Max(NonZeroU32),
}

impl std::str::FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            _ => text
                .parse()
                .map(Self::Max)
                .map_err(|_| "it takes a whole number from 1, or none"),
        }
    }
}

#[derive(Clone, Debug, Default, Args)]
pub(super) struct LimitFlags {
    /// Kilobits a second of all tracks together, or none
    #[arg(long, value_name = "N")]
    bitrate_kbps_max: Option<Limit>,
    /// Width of the frame that pictures have to fit in, upright or turned, or none
    #[arg(long, value_name = "N")]
    width_max: Option<Limit>,
    /// Height of that frame, or none
    #[arg(long, value_name = "N")]
    height_max: Option<Limit>,
    /// Pictures a second, or none
    #[arg(long, value_name = "N")]
    frame_rate_max: Option<Limit>,
    /// Viewers at once, or none
    #[arg(long, value_name = "N")]
    viewers_max: Option<Limit>,
    /// Codecs that are taken, with commas between; none for all
    #[arg(long, value_name = "LIST")]
    codecs: Option<Codecs>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Codecs(Vec<CodecName>);

impl std::str::FromStr for Codecs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let names = text.split(',').map(|name| {
            let known: Result<CodecName, _> = name.parse();
            known.map_err(|_| format!("`{name}` is none of {}, and not `none`", every_name()))
        });
        names.collect::<Result<_, _>>().map(Self)
    }
}

fn every_name() -> String {
    let names = CodecName::value_variants().iter().map(ToString::to_string);
    names.collect::<Vec<_>>().join(", ")
}

impl LimitFlags {
    /// Of a room that is made.
    pub(super) fn limits(self) -> RoomLimits {
        let mut limits = RoomLimits::default();
        limits.change(self.change());
        limits
    }

    /// Of a room that is there.
    pub(super) fn change(self) -> RoomLimitsChange {
        let to = |flag: Option<Limit>| {
            flag.map(|limit| match limit {
                Limit::None => None,
                Limit::Max(max) => Some(max),
            })
        };
        RoomLimitsChange {
            bitrate_kbps_max: to(self.bitrate_kbps_max),
            width_max: to(self.width_max),
            height_max: to(self.height_max),
            frame_rate_max: to(self.frame_rate_max),
            viewers_max: to(self.viewers_max),
            codecs: self
                .codecs
                .map(|Codecs(names)| (!names.is_empty()).then_some(names)),
        }
    }
}
