use crate::amf0;

/// Why a connection is closed. All of these are the peer's doing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    #[error("the peer does not speak RTMP version 3 (its first byte is {0})")]
    Version(u8),
    #[error("the peer did not finish the handshake in time")]
    HandshakeTimeout,
    #[error("the peer neither published nor played in time")]
    CommandTimeout,
    #[error("the publisher sent no media in time")]
    MediaTimeout,
    #[error("a chunk header refers to an earlier one on chunk stream {csid}, and there is none")]
    NoPreviousHeader { csid: u32 },
    #[error("the peer uses more than {max} chunk streams")]
    TooManyChunkStreams { max: usize },
    #[error("a message of {len} bytes was announced, the limit is {max}")]
    MessageTooLong { len: usize, max: usize },
    #[error("unfinished messages hold more than {max} bytes")]
    TooMuchUnfinished { max: usize },
    #[error("a chunk size of {0:#x} is not allowed")]
    ChunkSize(u32),
    #[error("the peer sends more than {max} chunks a second")]
    ChunkRate { max: u32 },
    #[error("the peer sends more than {max} commands a second")]
    CommandRate { max: u32 },
    #[error("a message of type {type_id} is malformed: {reason}")]
    Message { type_id: u8, reason: &'static str },
    #[error("the command values cannot be read: {0}")]
    Amf(#[from] amf0::Error),
    #[error("{what} is not allowed now")]
    Order { what: &'static str },
}

impl Error {
    /// A short constant word for this kind of refusal, fit to be a metric's label.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Version(_) => "version",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::CommandTimeout => "command_timeout",
            Self::MediaTimeout => "media_timeout",
            Self::NoPreviousHeader { .. } => "no_previous_header",
            Self::TooManyChunkStreams { .. } => "chunk_streams",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::TooMuchUnfinished { .. } => "unfinished_bytes",
            Self::ChunkSize(_) => "chunk_size",
            Self::ChunkRate { .. } => "chunk_rate",
            Self::CommandRate { .. } => "command_rate",
            Self::Message { .. } => "message_malformed",
            Self::Amf(amf0::Error::Limit { .. }) => "amf_limit",
            Self::Amf(_) => "amf_malformed",
            Self::Order { .. } => "order",
        }
    }
}
