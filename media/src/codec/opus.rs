//! Opus: its identification header.

use super::Error;

const MAGIC: &[u8] = b"OpusHead";
/// Decoders put out this rate whatever the encoder was given (RFC 7845 §5.1).
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// An `OpusHead` (RFC 7845 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// At least 1.
    pub channels: u8,
    /// Samples of `SAMPLE_RATE_HZ` to throw away at the start.
    pub pre_skip: u16,
}

impl OpusHead {
    /// What follows a header that is whole is left alone, so none is too large.
    pub fn parse(header: &[u8]) -> Result<Self, Error> {
        let fields = header
            .strip_prefix(MAGIC)
            .ok_or(Error::Marker("OpusHead"))?;
        let (&[version, channels, low, high, _, _, _, _, _, _, family], rest) =
            fields.split_first_chunk().ok_or(Error::Truncated)?;
        // The low half counts changes that old readers need not know of.
        if version >> 4 != 0 {
            return Err(Error::Version(version));
        }
        match (family, channels) {
            (0, 1 | 2) => {}
            (0, _) | (_, 0) => return Err(Error::Range("channel count")),
            _ => check_mapping(rest, channels)?,
        }
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([low, high]),
        })
    }
}

/// The table that says which decoded channel each output channel is (RFC 7845 §5.1.1).
fn check_mapping(table: &[u8], channels: u8) -> Result<(), Error> {
    const SILENCE: u8 = 255;
    let (&[streams, coupled], rest) = table.split_first_chunk().ok_or(Error::Truncated)?;
    if streams == 0 || coupled > streams {
        return Err(Error::Range("coupled count"));
    }
    let decoded = u16::from(streams) + u16::from(coupled);
    let mapping = rest.get(..channels.into()).ok_or(Error::Truncated)?;
    let exists = |&index: &u8| index == SILENCE || u16::from(index) < decoded;
    if !mapping.iter().all(exists) {
        return Err(Error::Range("channel mapping"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::avc::tests::hex;
    use super::*;

    #[test]
    fn headers_of_a_real_encoder() {
        for (header, channels) in [
            ("4f707573486561640101380180bb0000000000", 1),
            ("4f707573486561640102380180bb0000000000", 2),
            ("4f707573486561640106380180bb00000000010402000401020305", 6),
        ] {
            let expected = OpusHead {
                channels,
                pre_skip: 312,
            };
            assert_eq!(OpusHead::parse(&hex(header)), Ok(expected));
        }
    }

    #[test]
    fn broken_headers_say_why() {
        for (header, error) in [
            ("", Error::Marker("OpusHead")),
            ("4f70757354616773", Error::Marker("OpusHead")),
            ("4f70757348656164", Error::Truncated),
            ("4f707573486561640102380180bb00000000", Error::Truncated),
            (
                "4f707573486561641102380180bb0000000000",
                Error::Version(0x11),
            ),
            (
                "4f707573486561640100380180bb0000000000",
                Error::Range("channel count"),
            ),
            (
                "4f707573486561640103380180bb0000000000",
                Error::Range("channel count"),
            ),
            (
                "4f707573486561640100380180bb00000000010100",
                Error::Range("channel count"),
            ),
            ("4f707573486561640106380180bb000000000104", Error::Truncated),
            (
                "4f707573486561640106380180bb0000000001040204",
                Error::Truncated,
            ),
            (
                "4f707573486561640106380180bb00000000010002000401020305",
                Error::Range("coupled count"),
            ),
            (
                "4f707573486561640106380180bb00000000010405000401020305",
                Error::Range("coupled count"),
            ),
            (
                "4f707573486561640106380180bb00000000010402000401020306",
                Error::Range("channel mapping"),
            ),
        ] {
            assert_eq!(OpusHead::parse(&hex(header)), Err(error), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(fields in proptest::collection::vec(any::<u8>(), 0..40)) {
            let header = [MAGIC, &fields].concat();
            if let Ok(head) = OpusHead::parse(&header) {
                prop_assert!(head.channels > 0);
            }
            let _ = OpusHead::parse(&fields);
        }
    }
}
