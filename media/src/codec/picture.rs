//! How large a video track's pictures are, and how many come a second.

use super::{FrameRate, Sps, av1, avc, hevc, vp9};
use crate::frame::Codec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width and height in luma samples shown, after cropping.
    pub size: (u32, u32),
    /// `None` where the stream does not say, or says something absurd.
    pub frame_rate: Option<FrameRate>,
}

/// What a key frame says of its pictures, or else the configuration before it. VP9 says it in key
/// frames alone and AV1 may, with a configuration or without one; H.264 and HEVC may bring parameter
/// sets along that take the place of the configuration's, which tells how to find them. Where there
/// are several, which of them the slices mean is theirs to say, so all of their pictures fit in this
/// one.
#[must_use]
pub fn picture(codec: Codec, config: Option<&[u8]>, key_frame: Option<&[u8]>) -> Option<Picture> {
    match codec {
        Codec::Avc => {
            let config = avc::DecoderConfig::parse(config?).ok()?;
            let newer = key_frame.and_then(|frame| around(config.sps_in(frame)));
            newer.or_else(|| around(config.sps_parsed()))
        }
        Codec::Hevc => {
            let config = hevc::DecoderConfig::parse(config?).ok()?;
            let newer = key_frame.and_then(|frame| around(config.sps_in(frame)));
            newer.or_else(|| around(config.sps_parsed()))
        }
        Codec::Av1 => {
            let newer = key_frame.and_then(|frame| av1::SequenceHeader::find(frame).ok()?);
            let told = || av1::CodecConfig::parse(config?).ok()?.sequence;
            newer.or_else(told).map(Picture::from)
        }
        Codec::Vp9 => Some(Picture {
            size: vp9::picture_size(key_frame?).ok()?,
            frame_rate: None,
        }),
        _ => None,
    }
}

/// As wide as the widest, as high as the highest and as fast as the fastest. By area a very wide or
/// high picture would hide behind a larger one.
fn around(pictures: impl Iterator<Item = impl Into<Picture>>) -> Option<Picture> {
    pictures.map(Into::into).reduce(|a: Picture, b| {
        let per_s = |it: &Picture| it.frame_rate.map_or(0.0, FrameRate::per_second);
        Picture {
            size: (a.size.0.max(b.size.0), a.size.1.max(b.size.1)),
            frame_rate: if per_s(&a) < per_s(&b) {
                b.frame_rate
            } else {
                a.frame_rate
            },
        }
    })
}

impl From<Sps> for Picture {
    fn from(sps: Sps) -> Self {
        Self {
            size: (sps.width, sps.height),
            frame_rate: sps.frame_rate,
        }
    }
}

impl From<hevc::Sps> for Picture {
    fn from(sps: hevc::Sps) -> Self {
        Self {
            size: (sps.width, sps.height),
            frame_rate: sps.frame_rate,
        }
    }
}

impl From<av1::SequenceHeader> for Picture {
    fn from(sequence: av1::SequenceHeader) -> Self {
        Self {
            size: (sequence.width, sequence.height),
            frame_rate: sequence.frame_rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::avc::tests::hex;
    use super::*;

    const AVC: &str =
        "0142c01effe100196742c01eda0280bfe5c044000003000400000300f03c58ba8001000468ce0fc8";
    const AVC_SPS_320: &str = "676e000da6cd94141fb0110000030001000003003c0f142996";
    const AVC_SPS_1080: &str = "67640028acd940780227e5c04400000fa40003a9803c60c658";
    const AVC_SPS_720X576: &str = "674d401eeca05a126c0440000003004000000c87c50a6580";
    const AVC_SPS_854X480: &str = "6764001eacd940d83de6f01100000303e90000bb800f162d96";
    const HEVC: &str = "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c959409210001002a42010101600000030090000003000003003ca00a080f16595952930bc05a020000030002000003003c1022000100064401c073c189";
    const HEVC_SPS_320: &str =
        "42010101600000030090000003000003003ca00a080f16595952930bc05a020000030002000003003c10";
    const HEVC_SPS_1080: &str =
        "420101016000000300900000030000030078a003c0801107cb965654a4c2f01680800001f480003a9804";
    const AV1_640: &str = "81010c000a0c0200000d2627fb3805f00080";
    const AV1_UNSIZED: &str = "811f0c00";
    const AV1_FRAME_854: &str = "12000a0e000000fa6355ef8842a20404042832f8";
    const VP9: &str = "010000000015820202020000";
    const VP9_FRAME_640: &str = "824983420027f016760638241c184a10";

    /// An access unit of these NAL units.
    fn unit(nals: &[&str]) -> String {
        let prefixed = |nal: &&str| format!("{:08x}{nal}", nal.len() / 2);
        nals.iter().map(prefixed).collect()
    }

    /// A configuration of these parameter sets of H.264, with no picture parameter set.
    fn record_of(sps: [&str; 2]) -> String {
        let prefixed = sps.map(|nal| format!("{:04x}{nal}", nal.len() / 2));
        format!("0142c01effe2{}00", prefixed.concat())
    }

    #[test]
    fn the_fastest_of_several_parameter_sets_counts() {
        let key_frame = hex(&unit(&[
            AVC_SPS_854X480,
            AVC_SPS_320,
            AVC_SPS_720X576,
            "6588",
        ]));
        let rate = picture(Codec::Avc, Some(&hex(AVC)), Some(&key_frame))
            .unwrap()
            .frame_rate;
        assert_eq!(rate.map(FrameRate::per_second), Some(30.0));
    }

    #[test]
    fn a_key_frame_says_it_before_its_configuration() {
        let (idr, idr_hevc) = ("6588", "2601af");
        for (name, codec, config, key_frame, size) in [
            ("H.264", Codec::Avc, AVC, unit(&[idr]), Some((640, 360))),
            (
                "H.264 with other parameter sets",
                Codec::Avc,
                AVC,
                unit(&["0910", AVC_SPS_320, idr]),
                Some((320, 240)),
            ),
            (
                "H.264, parameter sets behind the slice",
                Codec::Avc,
                AVC,
                unit(&[idr, AVC_SPS_320]),
                Some((640, 360)),
            ),
            (
                "H.264, broken parameter sets",
                Codec::Avc,
                AVC,
                unit(&["6742", idr]),
                Some((640, 360)),
            ),
            (
                "H.264, the larger parameter set behind",
                Codec::Avc,
                AVC,
                unit(&[AVC_SPS_320, AVC_SPS_1080, idr]),
                Some((1920, 1080)),
            ),
            (
                "H.264, a broken parameter set before",
                Codec::Avc,
                AVC,
                unit(&["6742", AVC_SPS_1080, idr]),
                Some((1920, 1080)),
            ),
            (
                "H.264, a higher and a wider one",
                Codec::Avc,
                AVC,
                unit(&[AVC_SPS_720X576, AVC_SPS_854X480, idr]),
                Some((854, 576)),
            ),
            (
                "H.264, several in the configuration",
                Codec::Avc,
                &record_of([AVC_SPS_320, AVC_SPS_1080]),
                String::new(),
                Some((1920, 1080)),
            ),
            (
                "H.264, no configuration",
                Codec::Avc,
                "",
                unit(&[AVC_SPS_320]),
                None,
            ),
            (
                "HEVC",
                Codec::Hevc,
                HEVC,
                unit(&[idr_hevc]),
                Some((320, 240)),
            ),
            (
                "HEVC with other parameter sets",
                Codec::Hevc,
                HEVC,
                unit(&["460110", HEVC_SPS_1080, idr_hevc]),
                Some((1920, 1080)),
            ),
            (
                "HEVC, the larger parameter set behind a small and a broken one",
                Codec::Hevc,
                HEVC,
                unit(&[HEVC_SPS_320, "4201", HEVC_SPS_1080, idr_hevc]),
                Some((1920, 1080)),
            ),
            ("AV1", Codec::Av1, AV1_640, String::new(), Some((640, 360))),
            (
                "AV1, other",
                Codec::Av1,
                AV1_640,
                AV1_FRAME_854.into(),
                Some((854, 480)),
            ),
            (
                "AV1, sizeless",
                Codec::Av1,
                AV1_UNSIZED,
                String::new(),
                None,
            ),
            (
                "AV1, no configuration",
                Codec::Av1,
                "",
                AV1_FRAME_854.into(),
                Some((854, 480)),
            ),
            ("VP9", Codec::Vp9, VP9, String::new(), None),
            (
                "VP9 with a frame",
                Codec::Vp9,
                VP9,
                VP9_FRAME_640.into(),
                Some((640, 360)),
            ),
            (
                "VP9, no configuration",
                Codec::Vp9,
                "",
                VP9_FRAME_640.into(),
                Some((640, 360)),
            ),
            ("sound", Codec::Aac, "1210", String::new(), None),
        ] {
            let (config, key_frame) = (hex(config), hex(&key_frame));
            let told = |bytes: &'_ Vec<u8>| !bytes.is_empty();
            let config = Some(&config).filter(|it| told(it)).map(Vec::as_slice);
            let key_frame = Some(&key_frame).filter(|it| told(it)).map(Vec::as_slice);
            let got = picture(codec, config, key_frame).map(|it| it.size);
            assert_eq!(got, size, "{name}");
        }
    }
}
