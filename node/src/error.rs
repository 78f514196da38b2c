//! Why a request is refused: one list, said in HTTP and in RTMP.

use isocast_media::rtmp::session::status;

/// A refusal that its receiver can act on. The text is for people, the code for programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    BadRequest(String),
    #[error("this needs a token: send `Authorization: Bearer …`")]
    Unauthorized,
    /// Said only of a token that was good once.
    #[error("this token has expired: get a new one from whoever signs it")]
    TokenExpired,
    #[error("this token does not allow that: its scope needs `{0}`, for this room")]
    Forbidden(&'static str),
    /// Said of a room that is not for everyone and of one that does not exist.
    #[error("this room is not open to viewers")]
    PlaybackDenied,
    /// Said only of an address that was good once.
    #[error("this address has expired: ask for a new one where you got it")]
    LinkExpired,
    #[error("there is no such room")]
    NoRoom,
    #[error("there is nothing here")]
    NoRoute,
    /// Said to a peer that has called an address of another node before.
    #[error("this is node {0}, which is not the one that was meant: ask who is here")]
    Misdirected(String),
    #[error("this room is not live")]
    NotLive,
    #[error("the broadcast has ended")]
    Ended,
    #[error("there is no picture of this room")]
    NoThumbnail,
    #[error("this segment is no longer, or not yet, here")]
    NoSegment,
    /// Said of a wrong key and of a room that does not exist.
    #[error("there is no such room, or the stream key is wrong")]
    KeyRefused,
    /// Said only of a minted key that was good once.
    #[error("this stream key has expired: ask for a new one where you got it")]
    KeyExpired,
    /// What the peer asked for is not repeated: encoders' users put stream keys there, and logs
    /// show this text.
    #[error("publish to `rtmp://HOST/live`: this server has no other application")]
    NoApplication,
    #[error("this address does not take that method")]
    MethodNotAllowed,
    #[error("the request did not come within its time")]
    TooSlow,
    #[error("the request's body is too large")]
    BodyTooLarge,
    #[error("the request's address is too long")]
    AddressTooLong,
    #[error("room {0} exists already")]
    AlreadyExists(String),
    #[error("the room is already live: another encoder is sending to it")]
    AlreadyLive,
    #[error("an operator has ended this broadcast")]
    Kicked,
    #[error("an operator has ended this broadcast: this key is taken again in {left_s} s")]
    Banned { left_s: u64 },
    #[error(
        "{0} cannot be carried: send H.264, HEVC, AV1 or VP9 video and AAC, MP3, Opus, FLAC, AC-3 or E-AC-3 audio"
    )]
    UnsupportedCodec(String),
    #[error("no key frame came for a minute: set the encoder's key frame interval to 2 seconds")]
    NoKeyFrame,
    /// Of video or audio.
    #[error(
        "no {0} track has the id 0, which is the one that players get: number the encoder's main {0} track 0"
    )]
    NoDefaultTrack(&'static str),
    #[error("this room takes pictures of at most {0}x{1}: lower the encoder's output resolution")]
    PictureTooLarge(u32, u32),
    #[error("this room takes at most {0} pictures a second: lower the encoder's frame rate")]
    FrameRateTooHigh(u32),
    #[error("this room takes at most {0} kbit/s: lower the encoder's bitrate")]
    BitrateTooHigh(u32),
    #[error("this room takes {0} only: choose one of them in the encoder")]
    CodecNotAllowed(String),
    /// Said of a way to play, whatever the room.
    #[error("{0} is switched off on this server")]
    ProtocolOff(&'static str),
    #[error("HLS here cannot carry {0}: watch by HTTP-FLV, WebSocket-FLV or RTMP")]
    CodecNotInHls(&'static str),
    #[error("the stream has only just begun: try again in a moment")]
    NotReady,
    #[error("this server is full: try again later")]
    Full,
    #[error("this room has as many viewers as it takes: try again later")]
    RoomFull,
    #[error(
        "too many requests of this kind came from this address: try again in {retry_after_s} s"
    )]
    TooMany {
        /// What kind, as metrics call it.
        reason: &'static str,
        retry_after_s: u32,
    },
    #[error(
        "this token is wrong, expired or missing, and so were too many from this address: send the right one, or try again in {retry_after_s} s"
    )]
    AuthFailures { retry_after_s: u32 },
    /// Its place went to a newcomer before it had shown what it is for.
    #[error("this server has no place for more connections: try again later")]
    CrowdedOut,
    #[error("this server has nearly all it can carry: try again later")]
    Overloaded,
    #[error("this server is going away: connect again")]
    Draining,
    #[error("{0} does not answer: try again in a moment")]
    Unavailable(&'static str),
}

impl Refusal {
    /// A constant word for metrics: the code, unless that leaves open what there was too much of.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::TooMany { reason, .. } => reason,
            _ => self.code(),
        }
    }

    /// A constant word for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::Forbidden(_) => "forbidden",
            Self::PlaybackDenied => "playback_denied",
            Self::LinkExpired => "link_expired",
            Self::NoRoom => "no_room",
            Self::NoRoute => "not_found",
            Self::Misdirected(_) => "misdirected",
            Self::NotLive => "not_live",
            Self::Ended => "ended",
            Self::NoSegment => "no_segment",
            Self::NoThumbnail => "no_thumbnail",
            Self::KeyRefused => "key_refused",
            Self::KeyExpired => "key_expired",
            Self::NoApplication => "no_application",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooSlow => "too_slow",
            Self::BodyTooLarge => "body_too_large",
            Self::AddressTooLong => "address_too_long",
            Self::AlreadyExists(_) => "already_exists",
            Self::AlreadyLive => "already_live",
            Self::Kicked => "kicked",
            Self::Banned { .. } => "banned",
            Self::UnsupportedCodec(_) => "unsupported_codec",
            Self::NoKeyFrame => "no_key_frame",
            Self::NoDefaultTrack(_) => "no_default_track",
            Self::PictureTooLarge(..) => "picture_too_large",
            Self::FrameRateTooHigh(_) => "frame_rate_too_high",
            Self::BitrateTooHigh(_) => "bitrate_too_high",
            Self::CodecNotAllowed(_) => "codec_not_allowed",
            Self::ProtocolOff(_) => "protocol_off",
            Self::CodecNotInHls(_) => "codec_not_in_hls",
            Self::NotReady => "not_ready",
            Self::Full => "full",
            Self::RoomFull => "room_full",
            Self::TooMany { .. } => "too_many",
            Self::AuthFailures { .. } => "auth_failures",
            Self::CrowdedOut => "crowded_out",
            Self::Overloaded => "overloaded",
            Self::Draining => "draining",
            Self::Unavailable(_) => "unavailable",
        }
    }

    pub(crate) fn http_status(&self) -> u16 {
        match self {
            Self::BadRequest(_)
            | Self::NoApplication
            | Self::UnsupportedCodec(_)
            | Self::PictureTooLarge(..)
            | Self::FrameRateTooHigh(_)
            | Self::BitrateTooHigh(_)
            | Self::CodecNotAllowed(_)
            | Self::NoKeyFrame
            | Self::NoDefaultTrack(_) => 400,
            Self::MethodNotAllowed => 405,
            Self::TooSlow => 408,
            Self::BodyTooLarge => 413,
            Self::AddressTooLong => 414,
            Self::TooMany { .. } | Self::AuthFailures { .. } => 429,
            Self::Unauthorized | Self::TokenExpired => 401,
            Self::Forbidden(_)
            | Self::PlaybackDenied
            | Self::LinkExpired
            | Self::KeyRefused
            | Self::KeyExpired
            | Self::Kicked
            | Self::Banned { .. } => 403,
            Self::NoRoom
            | Self::NoRoute
            | Self::NotLive
            | Self::Ended
            | Self::NoSegment
            | Self::NoThumbnail
            | Self::ProtocolOff(_)
            | Self::CodecNotInHls(_) => 404,
            Self::AlreadyExists(_) | Self::AlreadyLive => 409,
            Self::Misdirected(_) => 421,
            Self::NotReady
            | Self::Full
            | Self::RoomFull
            | Self::CrowdedOut
            | Self::Overloaded
            | Self::Draining
            | Self::Unavailable(_) => 503,
        }
    }

    /// Seconds after which trying again makes sense.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::NotReady | Self::Draining => Some(1),
            Self::Unavailable(_) => Some(2),
            Self::Full | Self::RoomFull | Self::CrowdedOut | Self::Overloaded => Some(10),
            Self::TooMany { retry_after_s, .. } | Self::AuthFailures { retry_after_s } => {
                Some(*retry_after_s)
            }
            _ => None,
        }
    }

    /// The RTMP status code for a refused publisher.
    pub(crate) fn publish_status(&self) -> &'static str {
        match self {
            Self::KeyRefused
            | Self::KeyExpired
            | Self::AlreadyLive
            | Self::Kicked
            | Self::Banned { .. } => status::PUBLISH_BAD_NAME,
            _ => status::PUBLISH_REJECTED,
        }
    }

    /// The RTMP status code for a refused player.
    pub(crate) fn play_status(&self) -> &'static str {
        match self {
            Self::NotLive | Self::Ended => status::PLAY_STREAM_NOT_FOUND,
            _ => status::PLAY_FAILED,
        }
    }
}
