//! The H.264 sequence parameter set, as far as a server needs it.

use super::Error;
use super::bits::BitReader;

/// Pictures wider or taller than this are refused: level 6.2 ends at 16,880 samples a side
/// (H.264 table A-1, sqrt(MaxFS × 8) macroblocks).
const SIDE_MAX: u32 = 16_384;
/// Above this a time scale is not a frame rate (some encoders write their clock there).
const FRAMES_PER_SECOND_MAX: u32 = 480;
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

/// Frames a second as the stream states it, reduced: 30000/1001 for 29.97.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    pub numerator: u32,
    pub denominator: u32,
}

impl FrameRate {
    #[must_use]
    pub fn per_second(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// From the VUI, which counts fields (H.264 §E.2.1): two ticks are one frame.
    fn from_ticks(units_in_tick: u32, time_scale: u32) -> Option<Self> {
        let denominator = units_in_tick.checked_mul(2).filter(|&ticks| ticks > 0)?;
        if time_scale == 0 || time_scale / denominator > FRAMES_PER_SECOND_MAX {
            return None;
        }
        let divisor = greatest_common_divisor(time_scale, denominator);
        Some(Self {
            numerator: time_scale / divisor,
            denominator: denominator / divisor,
        })
    }
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

fn cropped(side: u32, before: u32, after: u32, unit: u32) -> Result<u32, Error> {
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
    if !reader.bit()? {
        return Ok(None);
    }
    let units_in_tick = reader.u(32)?;
    Ok(FrameRate::from_ticks(units_in_tick, reader.u(32)?))
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rates_are_reduced_and_absurd_ones_are_unknown() {
        for (units, scale, expected) in [
            (1001, 60_000, Some((30_000, 1001))),
            (1, 50, Some((25, 1))),
            (0, 50, None),
            (1, 0, None),
            (u32::MAX, 50, None),
            (1, 180_000, None),
        ] {
            let rate = FrameRate::from_ticks(units, scale);
            let parts = rate.map(|rate| (rate.numerator, rate.denominator));
            assert_eq!(parts, expected, "{scale}/{units}");
        }
    }

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
