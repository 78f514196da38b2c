//! A key frame in the plainest file that there is for its codec. Every ffmpeg reads these; from FLV, those before 6.1
//! read H.264 alone.

use bytes::{BufMut, Bytes, BytesMut};
use isocast_media::codec::nal::NalUnits;
use isocast_media::codec::{avc, hevc};
use isocast_media::{Codec, Frame, Kind};

/// What ffmpeg's `-f` calls it, and its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) format: &'static str,
    pub(super) bytes: BytesMut,
}

const START_CODE: &[u8] = &[0, 0, 0, 1];
/// With its size, which is 0 (AV1 §5.6): each temporal unit begins with one.
const TEMPORAL_DELIMITER: &[u8] = &[0x12, 0];
/// What stands before the units of a record (AV1 in ISO base media file format §2.3.3).
const AV1_RECORD_HEAD_BYTES: usize = 4;

impl File {
    /// The last of these frames, behind what describes it; `None` where that cannot be read.
    pub(super) fn of(frames: &[Frame]) -> Option<Self> {
        let key = frames.last()?;
        let config = frames.iter().find(|frame| frame.kind == Kind::Config);
        let config = config.map_or(&[][..], |frame| &frame.data);
        match key.codec {
            Codec::Avc => {
                let config = avc::DecoderConfig::parse(config).ok()?;
                let sets = config.sps.iter().chain(&config.pps);
                Some(byte_stream("h264", sets, config.nal_units(&key.data)))
            }
            Codec::Hevc => {
                let config = hevc::DecoderConfig::parse(config).ok()?;
                let sets = config.vps.iter().chain(&config.sps).chain(&config.pps);
                Some(byte_stream("hevc", sets, config.nal_units(&key.data)))
            }
            Codec::Av1 => {
                let units = config.get(AV1_RECORD_HEAD_BYTES..).unwrap_or_default();
                let frame = key.data.strip_prefix(TEMPORAL_DELIMITER);
                let frame = frame.unwrap_or(&key.data);
                ivf(b"AV01", &[TEMPORAL_DELIMITER, units, frame])
            }
            Codec::Vp9 => ivf(b"VP90", &[&key.data]),
            _ => None,
        }
    }
}

/// NAL units behind start codes (H.264 annex B, H.265 annex B), up to the first that is cut short.
fn byte_stream<'a>(
    format: &'static str,
    sets: impl Iterator<Item = &'a Bytes>,
    own: NalUnits<'a>,
) -> File {
    let mut bytes = BytesMut::new();
    for nal in sets.map(AsRef::as_ref).chain(own.map_while(Result::ok)) {
        bytes.put_slice(START_CODE);
        bytes.put_slice(nal);
    }
    File { format, bytes }
}

/// One frame, in these parts, with On2's headers. The size of the picture is left to the frame, which says it.
fn ivf(four_cc: &[u8; 4], parts: &[&[u8]]) -> Option<File> {
    const HEADER_BYTES: u16 = 32;
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = BytesMut::new();
    bytes.put_slice(b"DKIF");
    bytes.put_u16_le(0); // version
    bytes.put_u16_le(HEADER_BYTES);
    bytes.put_slice(four_cc);
    bytes.put_u32_le(0); // width and height
    bytes.put_u32_le(25); // ticks a second
    bytes.put_u32_le(1);
    bytes.put_u32_le(1); // frames
    bytes.put_u32_le(0); // unused
    bytes.put_u32_le(u32::try_from(len).ok()?);
    bytes.put_u64_le(0); // the time of this frame
    parts.iter().for_each(|part| bytes.put_slice(part));
    Some(File {
        format: "ivf",
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use isocast_media::MediaMs;

    use super::*;

    const AVC: &[u8] = b"\x01\x42\xc0\x33\xff\xe1\x00\x18\x67\x42\xc0\x33\xda\x00\x40\x00\x48\x6c\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0c\x83\xc6\x0c\xa8\x01\x00\x04\x68\xce\x0f\xc8";

    fn file(codec: Codec, config: &'static [u8], key: &'static [u8]) -> Option<File> {
        let frame = |kind, data| Frame {
            codec,
            track_id: 0,
            kind,
            dts: MediaMs(0),
            pts_offset_ms: 0,
            data: Bytes::from_static(data),
        };
        let key = frame(Kind::Media { key: true }, key);
        File::of(&[frame(Kind::Config, config), key])
    }

    #[test]
    fn parameter_sets_come_before_the_frame() {
        // The last NAL unit is cut short.
        let key = b"\x00\x00\x00\x02\x65\x88\x00\x00\x00\x02\x65";
        let file = file(Codec::Avc, AVC, key).unwrap();
        assert_eq!(file.format, "h264");
        let expected = [
            START_CODE,
            &AVC[8..32],
            START_CODE,
            b"\x68\xce\x0f\xc8",
            START_CODE,
            b"\x65\x88",
        ];
        assert_eq!(file.bytes, expected.concat());
    }

    #[test]
    fn a_temporal_unit_has_one_delimiter_and_the_records_units() {
        let record = b"\x81\x01\x0c\x00\x0a\x01\x00";
        for key in [&b"\x12\x00\x32\x01\xff"[..], b"\x32\x01\xff"] {
            let file = file(Codec::Av1, record, key).unwrap();
            assert_eq!(file.format, "ivf");
            let (header, unit) = file.bytes.split_at(32 + 12);
            assert_eq!(&header[8..12], b"AV01");
            assert_eq!(header[32..36], [8, 0, 0, 0]);
            assert_eq!(unit, b"\x12\x00\x0a\x01\x00\x32\x01\xff");
        }
    }

    #[test]
    fn a_frame_of_vp9_is_as_it_came() {
        let file = file(Codec::Vp9, b"", b"\x82\x49").unwrap();
        assert_eq!(&file.bytes[8..12], b"VP90");
        assert_eq!(&file.bytes[44..], b"\x82\x49");
    }

    #[test]
    fn what_nothing_describes_makes_no_file() {
        for codec in [Codec::Avc, Codec::Hevc, Codec::Aac] {
            assert_eq!(file(codec, b"nothing", b"\x00"), None, "{codec:?}");
        }
    }
}
