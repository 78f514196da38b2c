//! AMF0, the value format of RTMP commands and FLV script tags (Adobe "Action Message Format --
//! AMF 0"; § below means a section of it).

mod decode;
mod encode;

pub use decode::decode_all;
pub use encode::{encode, encode_all};

/// One AMF0 value. [`decode_all`] nests them at most [`DEPTH_MAX`] deep, so dropping or comparing
/// one that a peer sent recurses no deeper than that.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// May be NaN or infinite: what such a number means is for its reader to say.
    Number(f64),
    Boolean(bool),
    /// A string, long string or XML document; bytes that are not UTF-8 became U+FFFD.
    String(String),
    /// Properties in the order they came, repeated names included. A typed object is one too,
    /// without its class name.
    Object(Vec<(String, Value)>),
    EcmaArray(Vec<(String, Value)>),
    StrictArray(Vec<Value>),
    /// Milliseconds since 1970-01-01 UTC.
    Date {
        unix_ms: f64,
    },
    Null,
    Undefined,
}

impl Value {
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The property `key` of an object or ECMA array; of a repeated name the last, as if each had
    /// been assigned in turn.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) => {
                let mut newest_first = properties.iter().rev();
                newest_first
                    .find(|(name, _)| name == key)
                    .map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

/// Objects and arrays open at once; real metadata nests 3 deep.
pub const DEPTH_MAX: usize = 16;
/// Values in one input, nested ones included: 1,024 × 56 bytes (a value and its name) = 56 KiB.
pub const VALUES_MAX: usize = 1024;
/// Bytes of one string or property name.
pub const STRING_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one input. Strings that are not UTF-8 grow at most threefold: 192 KiB.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Why bytes were not read as AMF0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("AMF0 has more than {max} {of}")]
    Limit { of: &'static str, max: usize },
    #[error("AMF0 is malformed at byte {offset}: {reason}")]
    Malformed { reason: &'static str, offset: usize },
}

/// What a type marker (§2.1) says of the bytes after it.
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const MOVIE_CLIP: u8 = 0x04;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0A;
    pub(super) const DATE: u8 = 0x0B;
    pub(super) const LONG_STRING: u8 = 0x0C;
    pub(super) const UNSUPPORTED: u8 = 0x0D;
    pub(super) const RECORD_SET: u8 = 0x0E;
    pub(super) const XML_DOCUMENT: u8 = 0x0F;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AMF3: u8 = 0x11;
}

#[cfg(test)]
mod tests;
