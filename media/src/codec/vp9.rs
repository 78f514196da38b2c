//! VP9: its configuration record, and the picture's size in the header of a key frame.

use super::bits::BitReader;
use super::{Error, SIDE_MAX};

/// A record has 8 bytes; 64 KiB more may follow for codecs that have initialisation data.
const RECORD_BYTES_MAX: usize = 4 * 1024;
/// Version 1 and no flags: the box header that ffmpeg writes before the record.
const FULL_BOX: &[u8] = &[1, 0, 0, 0];

/// A `VPCodecConfigurationRecord` (VP codecs in ISO media file format).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecConfig {
    pub profile: u8,
    /// Ten times the level: 31 is 3.1.
    pub level: u8,
    pub bit_depth: u8,
}

impl CodecConfig {
    pub fn parse(record: &[u8]) -> Result<Self, Error> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Error::TooLarge(record.len()));
        }
        // As a record this would be of profile 1, level 0 and no bit depth.
        let record = record.strip_prefix(FULL_BOX).unwrap_or(record);
        let (&[profile, level, format, _, _, _, high, low], data) =
            record.split_first_chunk().ok_or(Error::Truncated)?;
        if profile > 3 {
            return Err(Error::Range("profile"));
        }
        let bit_depth = format >> 4;
        if !matches!(bit_depth, 8 | 10 | 12) {
            return Err(Error::Range("bitDepth"));
        }
        if data.len() < usize::from(u16::from_be_bytes([high, low])) {
            return Err(Error::Truncated);
        }
        Ok(Self {
            profile,
            level,
            bit_depth,
        })
    }

    /// `vp09.PP.LL.DD` (VP codecs in ISO media file format, "Codecs Parameter String").
    #[must_use]
    pub fn codec_string(&self) -> String {
        let (profile, level, depth) = (self.profile, self.level, self.bit_depth);
        format!("vp09.{profile:02}.{level:02}.{depth:02}")
    }
}

/// Width and height of a key frame (VP9 §6.2, `uncompressed_header`).
pub fn picture_size(key_frame: &[u8]) -> Result<(u32, u32), Error> {
    const SYNC_CODE: u32 = 0x49_83_42;
    const COLOR_SPACE_RGB: u8 = 7;
    let reader = &mut BitReader::new(key_frame);
    if reader.u8(2)? != 2 {
        return Err(Error::Marker("a VP9 frame marker"));
    }
    let (profile_low, profile_high) = (reader.u8(1)?, reader.u8(1)?);
    let profile = profile_high << 1 | profile_low;
    if profile == 3 {
        reader.skip(1)?;
    }
    let shows_existing_frame = reader.bit()?;
    let is_inter_frame = reader.bit()?;
    if shows_existing_frame || is_inter_frame {
        return Err(Error::Marker("a VP9 key frame"));
    }
    reader.skip(2)?; // show_frame, error_resilient_mode
    if reader.u(24)? != SYNC_CODE {
        return Err(Error::Marker("VP9's sync code"));
    }
    reader.skip(if profile >= 2 { 1 } else { 0 })?; // ten_or_twelve_bit
    let has_subsampling = profile & 1 == 1;
    if reader.u8(3)? == COLOR_SPACE_RGB {
        reader.skip(if has_subsampling { 1 } else { 0 })?;
    } else {
        reader.skip(if has_subsampling { 4 } else { 1 })?; // color_range first
    }
    let (width, height) = (reader.u(16)? + 1, reader.u(16)? + 1);
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(Error::Range("frame_size"));
    }
    Ok((width, height))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::avc::tests::hex;
    use super::*;

    /// Name, record, start of the first frame, codec string, width and height.
    type Row = (
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        (u32, u32),
    );

    /// Made by libvpx.
    #[rustfmt::skip]
    const STREAMS: [Row; 4] = [
        ("profile 0", "010000000015820202020000", "824983420027f016760638241c184a10", "vp09.00.21.08", (640, 360)),
        ("profile 1, 4:4:4", "010000000114860202020000", "a249834200027e01dec0c70484830940", "vp09.01.20.08", (320, 240)),
        ("profile 2, 10 bits", "010000000214a20202020000", "92498342000a08078b031c120e0c2c00", "vp09.02.20.10", (322, 242)),
        ("without the box's header", "0015820202020000", "824983420027f016760638241c184a10", "vp09.00.21.08", (640, 360)),
    ];

    #[test]
    fn streams_of_a_real_encoder() {
        for (name, record, frame, codec_string, size) in STREAMS {
            let config = CodecConfig::parse(&hex(record)).expect(name);
            assert_eq!(config.codec_string(), codec_string, "{name}");
            assert_eq!(picture_size(&hex(frame)), Ok(size), "{name}");
        }
    }

    #[test]
    fn broken_records_say_why() {
        let too_large = RECORD_BYTES_MAX + 1;
        for (record, error) in [
            (vec![], Error::Truncated),
            (hex("01000000"), Error::Truncated),
            (hex("00158202020200"), Error::Truncated),
            (hex("0415820202020000"), Error::Range("profile")),
            (hex("0015920202020000"), Error::Range("bitDepth")),
            (hex("0015820202020001"), Error::Truncated),
            (vec![0; too_large], Error::TooLarge(too_large)),
        ] {
            assert_eq!(CodecConfig::parse(&record), Err(error), "{record:x?}");
        }
    }

    #[test]
    fn what_is_no_key_frame_has_no_size() {
        for (frame, error) in [
            ("", Error::Truncated),
            ("42498342", Error::Marker("a VP9 frame marker")),
            (
                "86004092f121400400987f1df4",
                Error::Marker("a VP9 key frame"),
            ),
            ("88", Error::Marker("a VP9 key frame")),
            ("82498343", Error::Marker("VP9's sync code")),
            ("824983420027f0", Error::Truncated),
            ("824983420ffff0ffff", Error::Range("frame_size")),
        ] {
            assert_eq!(picture_size(&hex(frame)), Err(error), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..24)) {
            let _ = CodecConfig::parse(&data);
            let _ = picture_size(&data);
        }

        #[test]
        fn no_changed_byte_makes_a_frame_panic(which in 0..STREAMS.len(), at in 0usize..16, byte: u8) {
            let mut frame = hex(STREAMS[which].2);
            frame[at] = byte;
            if let Ok((width, height)) = picture_size(&frame) {
                prop_assert!((1..=SIDE_MAX).contains(&width) && (1..=SIDE_MAX).contains(&height));
            }
        }
    }
}
