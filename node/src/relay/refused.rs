use isocast_media::rtmp::session::status;

/// Why a node is not sent a stream. Who asks is told, and it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("this port is for nodes that relay, and you do not say that you are one")]
    NoRelay,
    #[error(
        "this node does not know yours by the token or certificate that it shows: `peers` is to be the same for all"
    )]
    Credential,
    #[error(
        "the stream has come by as many nodes as it may: pull it from one that is nearer to its publisher"
    )]
    Hops,
    #[error("the stream comes to this node by yours")]
    Loop,
    #[error("this node knows of no claim as high as you do")]
    StalePair,
    #[error("this node does not have the room")]
    NoRoom,
    #[error("the room's publisher is another one by now: ask again")]
    Replaced,
}

impl Refused {
    /// A constant word for metrics.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoRelay => "no_relay",
            Self::Credential => "credential",
            Self::Hops => "hops",
            Self::Loop => "loop",
            Self::StalePair => "stale_pair",
            Self::NoRoom => "no_room",
            Self::Replaced => "replaced",
        }
    }

    /// The RTMP status code for it.
    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::NoRoom => status::PLAY_STREAM_NOT_FOUND,
            _ => status::PLAY_FAILED,
        }
    }
}
