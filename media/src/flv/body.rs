//! The first bytes of tag bodies: the fields both directions share, and the names of codecs.

use std::borrow::Cow;

use super::Error;
use crate::frame::Codec;

/// The low half of an audio tag's first byte: 44 kHz, 16 bits, stereo. AAC's tags always say that
/// (§E.4.2.1), and the truth is in its configuration record.
pub(super) const SOUND_44_KHZ_STEREO: u8 = 0x0F;
/// First byte, `AACPacketType`.
pub(super) const AAC_HEADER_BYTES: usize = 2;
/// First byte, `AVCPacketType`, `CompositionTime` (24 bits).
pub(super) const AVC_HEADER_BYTES: usize = 5;

/// `SoundFormat`, the high half of an audio tag's first byte (§E.4.2.1).
pub(super) mod sound_format {
    pub(in super::super) const MP3: u8 = 2;
    pub(in super::super) const EXTENDED: u8 = 9;
    pub(in super::super) const AAC: u8 = 10;
    pub(in super::super) const MP3_8_KHZ: u8 = 14;
}

/// `CodecID`, the low half of a video tag's first byte (§E.4.3.1).
pub(super) const CODEC_ID_AVC: u8 = 7;

/// `FrameType`, the high half of a video tag's first byte (§E.4.3.1).
pub(super) mod frame_type {
    pub(in super::super) const KEY: u8 = 1;
    pub(in super::super) const INTER: u8 = 2;
    /// A key frame made by a server.
    pub(in super::super) const GENERATED_KEY: u8 = 4;
    /// A command to the player, without media.
    pub(in super::super) const COMMAND: u8 = 5;
}

/// `AVCPacketType` and `AACPacketType` (§E.4.3.1, §E.4.2.1).
pub(super) mod packet_type {
    pub(in super::super) const CONFIG: u8 = 0;
    pub(in super::super) const MEDIA: u8 = 1;
    /// AVC only: nothing comes after.
    pub(in super::super) const END_OF_SEQUENCE: u8 = 2;
}

/// Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio": FourCC tags.
pub(super) mod extended {
    /// Set in a video tag's first byte; its low half is a packet type then.
    pub(in super::super) const VIDEO_BIT: u8 = 0x80;

    /// `VideoPacketType` and `AudioPacketType`, where they say the same.
    pub(in super::super) const SEQUENCE_START: u8 = 0;
    pub(in super::super) const CODED_FRAMES: u8 = 1;
    pub(in super::super) const SEQUENCE_END: u8 = 2;
    pub(in super::super) const MOD_EX: u8 = 7;
    /// `CODED_FRAMES` without the composition time, which is 0.
    pub(in super::super) const VIDEO_CODED_FRAMES_X: u8 = 3;
    pub(in super::super) const VIDEO_METADATA: u8 = 4;
    pub(in super::super) const VIDEO_MPEG2_TS_SEQUENCE_START: u8 = 5;
    pub(in super::super) const VIDEO_MULTITRACK: u8 = 6;
    pub(in super::super) const AUDIO_MULTICHANNEL_CONFIG: u8 = 4;
    pub(in super::super) const AUDIO_MULTITRACK: u8 = 5;

    /// `AvMultitrackType`.
    pub(in super::super) const ONE_TRACK: u8 = 0;
    pub(in super::super) const MANY_TRACKS: u8 = 1;
    pub(in super::super) const MANY_TRACKS_MANY_CODECS: u8 = 2;
}

pub(super) fn four_cc(codec: Codec) -> Option<&'static [u8]> {
    let mut known = Codec::BY_FOUR_CC.iter();
    known.find_map(|(four_cc, it)| (*it == codec).then_some(four_cc.as_bytes()))
}

pub(super) fn codec_of(four_cc: [u8; 4]) -> Result<Codec, Error> {
    let mut known = Codec::BY_FOUR_CC.iter();
    known
        .find_map(|(it, codec)| (it.as_bytes() == four_cc).then_some(*codec))
        .ok_or_else(|| Error::UnsupportedCodec {
            name: four_cc_name(four_cc),
        })
}

/// For codecs that reorder frames, coded frames have a composition time, or say that it is 0
/// (ExVideoTagBody).
pub(super) fn has_composition_time(codec: Codec) -> bool {
    matches!(codec, Codec::Avc | Codec::Hevc)
}

/// Whether the default track has tags that were there before FourCCs. Who plays them need not know
/// any other.
pub(super) fn has_legacy_tags(codec: Codec) -> bool {
    matches!(codec, Codec::Avc | Codec::Aac | Codec::Mp3)
}

pub(super) fn video_codec_name(codec_id: u8) -> Cow<'static, str> {
    Cow::Borrowed(match codec_id {
        2 => "Sorenson H.263",
        3 => "Screen Video",
        4 => "VP6",
        5 => "VP6 with alpha",
        6 => "Screen Video 2",
        // Not Adobe's: what encoders wrote before Enhanced RTMP.
        12 => "HEVC by the non-standard FLV video id 12 (Enhanced RTMP has it as hvc1)",
        13 => "AV1 by the non-standard FLV video id 13 (Enhanced RTMP has it as av01)",
        _ => return Cow::Owned(format!("with FLV video id {codec_id}")),
    })
}

pub(super) fn audio_codec_name(sound_format: u8) -> Cow<'static, str> {
    Cow::Borrowed(match sound_format {
        0 | 3 => "PCM",
        1 => "ADPCM",
        4..=6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        11 => "Speex",
        // Not Adobe's: what encoders wrote before Enhanced RTMP.
        13 => "Opus by the non-standard FLV audio id 13 (Enhanced RTMP has it as Opus)",
        _ => return Cow::Owned(format!("with FLV audio id {sound_format}")),
    })
}

fn four_cc_name(four_cc: [u8; 4]) -> Cow<'static, str> {
    Cow::Borrowed(match &four_cc {
        b"vvc1" => "VVC",
        b"vp08" => "VP8",
        _ => return Cow::Owned(format!("\"{}\"", four_cc.escape_ascii())),
    })
}
