//! The first bytes of tag bodies: the fields both directions share, and the names of codecs.

use std::borrow::Cow;

/// Audio: `SoundFormat` 10 is AAC, and for AAC the rate, size and type bits are always 44 kHz,
/// 16 bits, stereo (§E.4.2.1); the truth is in its configuration record.
pub(super) const AAC_FIRST_BYTE: u8 = 0xAF;
/// First byte, `AACPacketType`.
pub(super) const AAC_HEADER_BYTES: usize = 2;
/// First byte, `AVCPacketType`, `CompositionTime` (24 bits).
pub(super) const AVC_HEADER_BYTES: usize = 5;

/// `SoundFormat`, the high half of an audio tag's first byte (§E.4.2.1).
pub(super) mod sound_format {
    pub(in super::super) const EXTENDED: u8 = 9;
    pub(in super::super) const AAC: u8 = 10;
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

/// Enhanced RTMP v2, "Enhanced Video" and "Enhanced Audio": the first byte of a FourCC tag.
pub(super) mod extended {
    /// Set in a video tag's first byte.
    pub(in super::super) const VIDEO_BIT: u8 = 0x80;
    /// Packet types whose FourCC is not right behind the first byte.
    pub(in super::super) const VIDEO_MULTITRACK: u8 = 6;
    pub(in super::super) const AUDIO_MULTITRACK: u8 = 5;
    pub(in super::super) const MOD_EX: u8 = 7;
}

pub(super) fn video_codec_name(codec_id: u8) -> Cow<'static, str> {
    Cow::Borrowed(match codec_id {
        2 => "Sorenson H.263",
        3 => "Screen Video",
        4 => "VP6",
        5 => "VP6 with alpha",
        6 => "Screen Video 2",
        // Not Adobe's: what encoders wrote before Enhanced RTMP.
        12 => "HEVC",
        13 => "AV1",
        _ => return Cow::Owned(format!("with FLV video id {codec_id}")),
    })
}

pub(super) fn audio_codec_name(sound_format: u8) -> Cow<'static, str> {
    Cow::Borrowed(match sound_format {
        0 | 3 => "PCM",
        1 => "ADPCM",
        2 | 14 => "MP3",
        4..=6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        11 => "Speex",
        // Not Adobe's: what encoders wrote before Enhanced RTMP.
        13 => "Opus",
        _ => return Cow::Owned(format!("with FLV audio id {sound_format}")),
    })
}

pub(super) fn four_cc_name(four_cc: [u8; 4]) -> Cow<'static, str> {
    Cow::Borrowed(match &four_cc {
        b"avc1" => "H.264 by FourCC",
        b"hvc1" => "HEVC",
        b"vvc1" => "VVC",
        b"vp08" => "VP8",
        b"vp09" => "VP9",
        b"av01" => "AV1",
        b"mp4a" => "AAC by FourCC",
        b"Opus" => "Opus",
        b"fLaC" => "FLAC",
        b".mp3" => "MP3",
        b"ac-3" => "AC-3",
        b"ec-3" => "E-AC-3",
        _ => return Cow::Owned(format!("\"{}\"", four_cc.escape_ascii())),
    })
}
