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
/// sets along that take the place of the configuration's, which tells how to find them.
#[must_use]
pub fn picture(codec: Codec, config: Option<&[u8]>, key_frame: Option<&[u8]>) -> Option<Picture> {
    match codec {
        Codec::Avc => {
            let config = avc::DecoderConfig::parse(config?).ok()?;
            let newer = key_frame.and_then(|frame| config.sps_in(frame));
            Some(newer.unwrap_or(config.picture).into())
        }
        Codec::Hevc => {
            let config = hevc::DecoderConfig::parse(config?).ok()?;
            let newer = key_frame.and_then(|frame| config.sps_in(frame));
            Some(newer.unwrap_or(config.picture).into())
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
    const HEVC: &str = "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c959409210001002a42010101600000030090000003000003003ca00a080f16595952930bc05a020000030002000003003c1022000100064401c073c189";
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
