//! The H.264 sequence parameter set, as far as a server needs it.

use super::bits::BitReader;
use super::{Error, FrameRate, SIDE_MAX};

/// `aspect_ratio_idc` of an aspect ratio written out (H.264 table E-1).
const EXTENDED_SAR: u8 = 255;

/// Profile, level and picture format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    pub profile: u8,
    /// The byte of constraint flags between profile and level.
    pub compatibility: u8,
    pub level: u8,
    /// Luma samples shown, after cropping.
    pub width: u32,
    pub height: u32,
    /// `None` where the stream does not say, or says something absurd.
    pub frame_rate: Option<FrameRate>,
}

impl Sps {
    /// Reads a NAL unit of type 7, its header byte included (H.264 §7.3.2.1.1).
    pub fn parse(nal: &[u8]) -> Result<Self, Error> {
        let (&header, payload) = nal.split_first().ok_or(Error::Truncated)?;
        if header & 0x1F != 7 {
            return Err(Error::NotAParameterSet(header & 0x1F));
        }
        let reader = &mut BitReader::rbsp(payload);
        let (profile, compatibility, level) = (reader.u8(8)?, reader.u8(8)?, reader.u8(8)?);
        reader.ue_max(31, "seq_parameter_set_id")?;
        let chroma = if has_chroma_format(profile) {
            Chroma::parse(reader)?
        } else {
            Chroma::YUV420
        };
        skip_picture_order(reader)?;
        let (width, height) = picture_size(reader, chroma)?;
        Ok(Self {
            profile,
            compatibility,
            level,
            width,
            height,
            // Broken VUI is common and decoders forgive it; what came before still holds.
            frame_rate: frame_rate(reader).unwrap_or(None),
        })
    }
}

/// The profiles whose parameter sets state a chroma format (H.264 §7.3.2.1.1).
fn has_chroma_format(profile: u8) -> bool {
    matches!(
        profile,
        44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244
    )
}

/// How many luma samples one chroma sample covers, across and down (H.264 table 6-1).
#[derive(Clone, Copy)]
struct Chroma {
    across: u32,
    down: u32,
}

impl Chroma {
    const YUV420: Self = Self { across: 2, down: 2 };

    fn parse(reader: &mut BitReader<'_>) -> Result<Self, Error> {
        let format = reader.ue_max(3, "chroma_format_idc")?;
        if format == 3 {
            // Separate planes are cropped by luma samples, and so are the joint ones of 4:4:4.
            reader.skip(1)?;
        }
        reader.ue_max(6, "bit_depth_luma_minus8")?;
        reader.ue_max(6, "bit_depth_chroma_minus8")?;
        reader.skip(1)?;
        if reader.bit()? {
            skip_scaling_lists(reader, if format == 3 { 12 } else { 8 })?;
        }
        Ok(match format {
            1 => Self::YUV420,
            2 => Self { across: 2, down: 1 },
            _ => Self { across: 1, down: 1 },
        })
    }
}

/// H.264 §7.3.2.1.1.1: the first six lists have 16 entries, the others 64.
fn skip_scaling_lists(reader: &mut BitReader<'_>, lists: u32) -> Result<(), Error> {
    for list in 0..lists {
        if !reader.bit()? {
            continue;
        }
        let entries = if list < 6 { 16 } else { 64 };
        let mut last = 8;
        for _ in 0..entries {
            let delta = reader.se()?;
            if !(-128..=127).contains(&delta) {
                return Err(Error::Range("delta_scale"));
            }
            let next = (last + delta) & 0xFF;
            if next == 0 {
                break;
            }
            last = next;
        }
    }
    Ok(())
}

/// From `log2_max_frame_num_minus4` to `gaps_in_frame_num_value_allowed_flag`.
fn skip_picture_order(reader: &mut BitReader<'_>) -> Result<(), Error> {
    reader.ue_max(12, "log2_max_frame_num_minus4")?;
    match reader.ue_max(2, "pic_order_cnt_type")? {
        0 => {
            reader.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            reader.skip(1)?;
            reader.se()?;
            reader.se()?;
            for _ in 0..reader.ue_max(255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                reader.se()?;
            }
        }
        _ => {}
    }
    reader.ue()?;
    reader.skip(1)
}

/// From `pic_width_in_mbs_minus1` to the cropping offsets: width and height in luma samples.
fn picture_size(reader: &mut BitReader<'_>, chroma: Chroma) -> Result<(u32, u32), Error> {
    let macroblocks_max = SIDE_MAX / 16;
    let columns = reader.ue_max(macroblocks_max - 1, "pic_width_in_mbs_minus1")? + 1;
    let rows = reader.ue_max(macroblocks_max - 1, "pic_height_in_map_units_minus1")? + 1;
    let frames_only = reader.bit()?;
    // A map unit of a stream that may hold fields is two macroblocks high (H.264 §7.4.2.1.1).
    let fields = if frames_only { 1 } else { 2 };
    if !frames_only {
        reader.skip(1)?;
    }
    reader.skip(1)?;
    let (width, height) = (columns * 16, rows * 16 * fields);
    if height > SIDE_MAX {
        return Err(Error::Range("pic_height_in_map_units_minus1"));
    }
    if !reader.bit()? {
        return Ok((width, height));
    }
    let [left, right, top, bottom] = [reader.ue()?, reader.ue()?, reader.ue()?, reader.ue()?];
    Ok((
        cropped(width, left, right, chroma.across)?,
        cropped(height, top, bottom, chroma.down * fields)?,
    ))
}

/// What is left of a side after its crop, or conformance window, which counts in `unit` samples.
pub(super) fn cropped(side: u32, before: u32, after: u32, unit: u32) -> Result<u32, Error> {
    before
        .checked_add(after)
        .and_then(|sum| sum.checked_mul(unit))
        .and_then(|cut| side.checked_sub(cut))
        .filter(|&left| left > 0)
        .ok_or(Error::Range("frame_crop_offset"))
}

/// The VUI as far as its timing (H.264 §E.1.1).
fn frame_rate(reader: &mut BitReader<'_>) -> Result<Option<FrameRate>, Error> {
    if !reader.bit()? {
        return Ok(None);
    }
    skip_vui_pictures(reader)?;
    if !reader.bit()? {
        return Ok(None);
    }
    let (units_in_tick, time_scale) = (reader.u(32)?, reader.u(32)?);
    // Fields are counted (H.264 §E.2.1): two ticks are one frame.
    let ticks = units_in_tick.checked_mul(2);
    Ok(ticks.and_then(|ticks| FrameRate::from_ticks(time_scale, ticks)))
}

/// How the VUI begins, in H.264 (§E.1.1) as in H.265 (§E.2.1): the shape of samples, colours and
/// where chroma lies.
pub(super) fn skip_vui_pictures(reader: &mut BitReader<'_>) -> Result<(), Error> {
    if reader.bit()? && reader.u8(8)? == EXTENDED_SAR {
        reader.skip(32)?;
    }
    if reader.bit()? {
        reader.skip(1)?; // overscan_appropriate_flag
    }
    if reader.bit()? {
        reader.skip(4)?; // video_format, video_full_range_flag
        if reader.bit()? {
            reader.skip(24)?; // colour_primaries, transfer_characteristics, matrix_coefficients
        }
    }
    if reader.bit()? {
        reader.ue()?; // chroma_sample_loc_type_top_field
        reader.ue()?; // chroma_sample_loc_type_bottom_field
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cropping_never_eats_the_picture() {
        assert_eq!(cropped(1088, 0, 4, 2), Ok(1080));
        for (before, after, unit) in [
            (544, 0, 2),
            (0, 600, 2),
            (u32::MAX, 1, 1),
            (u32::MAX / 2, 0, 4),
        ] {
            assert!(cropped(1088, before, after, unit).is_err());
        }
    }
}
