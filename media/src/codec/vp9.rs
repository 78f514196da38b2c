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
