//! What decoders are told before the first frame: configuration records, the headers of frames that
//! describe themselves, and what a viewer can be told from both (size, rates, RFC 6381 codec
//! strings).

pub mod aac;
pub mod ac3;
pub mod av1;
pub mod avc;
pub mod bits;
mod describe;
pub mod flac;
mod frame_rate;
pub mod hevc;
mod hevc_sps;
pub mod mp3;
pub mod nal;
pub mod opus;
mod picture;
mod record;
mod sps;
pub mod vp9;

pub use describe::{Audio, Description, FIRST_BYTES, Video, describe};
pub use frame_rate::FrameRate;
pub use picture::{Picture, picture};
pub use sps::Sps;

/// Pictures wider or taller than this are refused: H.264's and HEVC's level 6.2 end at 16,880
/// samples a side (H.264 table A-1, sqrt(MaxFS × 8) macroblocks), AV1's at 16,384.
const SIDE_MAX: u32 = 16_384;

/// Why a configuration record or an access unit cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the data ends before a field or unit that it announces")]
    Truncated,
    #[error("an Exp-Golomb code has more than 31 leading zeros")]
    OverlongCode,
    #[error("configuration record version {0} is not known")]
    Version(u8),
    #[error("NAL unit lengths of {0} bytes are not allowed")]
    NalLengthSize(u8),
    #[error("the record holds no sequence parameter set")]
    NoSps,
    #[error("a NAL unit of type {0} stands where a parameter set belongs")]
    NotAParameterSet(u8),
    #[error("the configuration record has {0} bytes, more than any encoder needs")]
    TooLarge(usize),
    #[error("{0} is outside its range")]
    Range(&'static str),
    #[error("audio object type {0} is not known")]
    ObjectType(u8),
    #[error("the data does not start with {0}")]
    Marker(&'static str),
}
