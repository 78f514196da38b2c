//! The HEVC sequence parameter set, as far as a server needs it.

use super::bits::BitReader;
use super::sps::{cropped, skip_vui_pictures};
use super::{Error, FrameRate, SIDE_MAX, hevc};

/// `sps_max_sub_layers_minus1` may not be 7 (H.265 §7.4.3.2.1).
const SUB_LAYERS_MINUS1_MAX: u8 = 6;
/// Pictures in the decoded picture buffer (H.265 §A.4.2), the present one counted.
const PICTURES_MAX: u32 = 16;

/// Profile, level and picture format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    pub profile: ProfileTierLevel,
    /// Luma samples shown, inside the conformance window.
    pub width: u32,
    pub height: u32,
    /// `None` where the stream does not say, or says something absurd.
    pub frame_rate: Option<FrameRate>,
}

/// The general part of `profile_tier_level` (H.265 §7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileTierLevel {
    pub profile_space: u8,
    pub high_tier: bool,
    pub profile: u8,
    /// `general_profile_compatibility_flag[0]` is the highest bit.
    pub compatibility: u32,
    /// From `general_progressive_source_flag` on.
    pub constraints: [u8; 6],
    pub level: u8,
}

impl Sps {
    /// Reads a NAL unit of type 33, its two header bytes included (H.265 §7.3.2.2).
    pub fn parse(nal: &[u8]) -> Result<Self, Error> {
        let (header, payload) = nal.split_first_chunk::<2>().ok_or(Error::Truncated)?;
        if hevc::nal_unit_type(header) != hevc::nal_type::SPS {
            return Err(Error::NotAParameterSet(hevc::nal_unit_type(header)));
        }
        let reader = &mut BitReader::rbsp(payload);
        reader.skip(4)?; // sps_video_parameter_set_id
        let sub_layers_minus1 = reader.u8(3)?;
        if sub_layers_minus1 > SUB_LAYERS_MINUS1_MAX {
            return Err(Error::Range("sps_max_sub_layers_minus1"));
        }
        reader.skip(1)?;
        let profile = ProfileTierLevel::parse(reader, sub_layers_minus1)?;
        reader.ue_max(15, "sps_seq_parameter_set_id")?;
        let (width, height) = picture_size(reader)?;
        Ok(Self {
            profile,
            width,
            height,
            // What comes before the timing is long and of no other use; if it is broken, or uses
            // what is not known here, the picture is as it was.
            frame_rate: frame_rate(reader, sub_layers_minus1).unwrap_or(None),
        })
    }
}

impl ProfileTierLevel {
    fn parse(reader: &mut BitReader<'_>, sub_layers_minus1: u8) -> Result<Self, Error> {
        let mut general = Self {
            profile_space: reader.u8(2)?,
            high_tier: reader.bit()?,
            profile: reader.u8(5)?,
            compatibility: reader.u(32)?,
            constraints: [0; 6],
            level: 0,
        };
        for byte in &mut general.constraints {
            *byte = reader.u8(8)?;
        }
        general.level = reader.u8(8)?;
        let mut present = [(false, false); SUB_LAYERS_MINUS1_MAX as usize];
        let present = &mut present[..usize::from(sub_layers_minus1)];
        for (profile, level) in present.iter_mut() {
            (*profile, *level) = (reader.bit()?, reader.bit()?);
        }
        if sub_layers_minus1 > 0 {
            reader.skip(2 * (8 - u32::from(sub_layers_minus1)))?;
        }
        for (profile, level) in present {
            reader.skip(if *profile { 88 } else { 0 })?;
            reader.skip(if *level { 8 } else { 0 })?;
        }
        Ok(general)
    }
}

/// From `chroma_format_idc` to the conformance window: width and height in luma samples.
fn picture_size(reader: &mut BitReader<'_>) -> Result<(u32, u32), Error> {
    let (across, down) = match reader.ue_max(3, "chroma_format_idc")? {
        1 => (2, 2),
        2 => (2, 1),
        3 => {
            reader.skip(1)?;
            (1, 1)
        }
        _ => (1, 1),
    };
    let width = reader.ue_max(SIDE_MAX, "pic_width_in_luma_samples")?;
    let height = reader.ue_max(SIDE_MAX, "pic_height_in_luma_samples")?;
    let [left, right, top, bottom] = if reader.bit()? {
        [reader.ue()?, reader.ue()?, reader.ue()?, reader.ue()?]
    } else {
        [0; 4]
    };
    Ok((
        cropped(width, left, right, across)?,
        cropped(height, top, bottom, down)?,
    ))
}

/// From the bit depths through everything to the VUI's timing (H.265 §E.2.1).
fn frame_rate(
    reader: &mut BitReader<'_>,
    sub_layers_minus1: u8,
) -> Result<Option<FrameRate>, Error> {
    skip_coding_tools(reader, sub_layers_minus1)?;
    if !reader.bit()? {
        return Ok(None);
    }
    skip_vui_pictures(reader)?;
    reader.skip(3)?; // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if reader.bit()? {
        for _ in 0..4 {
            reader.ue()?; // default display window
        }
    }
    if !reader.bit()? {
        return Ok(None);
    }
    let (units_in_tick, time_scale) = (reader.u(32)?, reader.u(32)?);
    Ok(FrameRate::from_ticks(time_scale, units_in_tick))
}

/// From `bit_depth_luma_minus8` to `strong_intra_smoothing_enabled_flag`.
fn skip_coding_tools(reader: &mut BitReader<'_>, sub_layers_minus1: u8) -> Result<(), Error> {
    reader.ue_max(8, "bit_depth_luma_minus8")?;
    reader.ue_max(8, "bit_depth_chroma_minus8")?;
    let order_bits = 4 + reader.ue_max(12, "log2_max_pic_order_cnt_lsb_minus4")?;
    let ordering_of_each_sub_layer = reader.bit()?;
    let told = if ordering_of_each_sub_layer {
        u32::from(sub_layers_minus1) + 1
    } else {
        1
    };
    for _ in 0..3 * told {
        reader.ue()?;
    }
    for _ in 0..6 {
        reader.ue()?; // sizes of coding and transform blocks, depths of their hierarchies
    }
    if reader.bit()? && reader.bit()? {
        skip_scaling_lists(reader)?;
    }
    reader.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if reader.bit()? {
        reader.skip(8)?; // PCM bit depths
        reader.ue()?;
        reader.ue()?;
        reader.skip(1)?;
    }
    let mut before = 0;
    for index in 0..reader.ue_max(64, "num_short_term_ref_pic_sets")? {
        before = reference_pictures(reader, index, before)?;
    }
    if reader.bit()? {
        for _ in 0..reader.ue_max(32, "num_long_term_ref_pics_sps")? {
            reader.skip(order_bits + 1)?;
        }
    }
    reader.skip(2) // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
}

/// H.265 §7.3.4: blocks of 4×4 to 32×32, the largest with two lists and the
/// others with six; those above 8×8 state one coefficient more.
fn skip_scaling_lists(reader: &mut BitReader<'_>) -> Result<(), Error> {
    for (coefficients, lists) in [(16, 6), (64, 6), (1 + 64, 6), (1 + 64, 2)] {
        for _ in 0..lists {
            if !reader.bit()? {
                reader.ue()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            for _ in 0..coefficients {
                reader.se()?;
            }
        }
    }
    Ok(())
}

/// H.265 §7.3.7: reads one set and returns how many pictures it has; `before` is how many the set
/// before it had.
fn reference_pictures(reader: &mut BitReader<'_>, index: u32, before: u32) -> Result<u32, Error> {
    let predicted = index != 0 && reader.bit()?;
    if predicted {
        reader.skip(1)?; // delta_rps_sign
        reader.ue()?; // abs_delta_rps_minus1
        let mut pictures = 0;
        for _ in 0..=before {
            let used = reader.bit()?;
            pictures += u32::from(used || reader.bit()?);
        }
        return Ok(pictures);
    }
    let earlier = reader.ue_max(PICTURES_MAX, "num_negative_pics")?;
    let later = reader.ue_max(PICTURES_MAX, "num_positive_pics")?;
    for _ in 0..earlier + later {
        reader.ue()?;
        reader.skip(1)?;
    }
    Ok(earlier + later)
}
