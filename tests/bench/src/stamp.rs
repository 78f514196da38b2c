//! A mark inside each media payload: which message it is and when it was sent.

/// Says that a mark follows.
const MAGIC: [u8; 4] = *b"MARK";
/// The sequence number's and the time's hexadecimal digits, a byte each.
const DIGITS: usize = 8 + 16;
pub(crate) const STAMP_BYTES: usize = MAGIC.len() + DIGITS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Counts the media messages of a stream, audio and video together, from 0.
    pub(crate) sequence: u32,
    /// The tool's clock, just before the message was written.
    pub(crate) sent_ns: u64,
}

impl Stamp {
    /// No byte of it is zero, so that none can look like a start code inside a NAL unit
    /// (ISO/IEC 14496-10 §7.4.1).
    pub(crate) fn bytes(self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        let value = (u128::from(self.sequence) << 64) | u128::from(self.sent_ns);
        let (magic, digits) = bytes.split_at_mut(MAGIC.len());
        magic.copy_from_slice(&MAGIC);
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit = 0x40 | (value >> (4 * place)) as u8 & 0x0F;
        }
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let digits = bytes.strip_prefix(&MAGIC)?.get(..DIGITS)?;
        let mut value = 0_u128;
        for digit in digits {
            if digit & 0xF0 != 0x40 {
                return None;
            }
            value = (value << 4) | u128::from(digit & 0x0F);
        }
        Some(Self {
            sequence: (value >> 64) as u32,
            sent_ns: value as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stamp_reads_back_and_has_no_zero_byte(sequence: u32, sent_ns: u64, tail: Vec<u8>) {
            let stamp = Stamp { sequence, sent_ns };
            let mut bytes = stamp.bytes().to_vec();
            prop_assert!(!bytes.contains(&0));
            bytes.extend(tail);
            prop_assert_eq!(Stamp::read(&bytes), Some(stamp));
        }
    }

    #[test]
    fn what_is_no_stamp_is_none() {
        let good = Stamp {
            sequence: 1,
            sent_ns: 2,
        }
        .bytes();
        let mut damaged = good;
        damaged[STAMP_BYTES - 1] = 0x12;
        for bytes in [
            &b""[..],
            b"MARK",
            &good[1..],
            &good[..STAMP_BYTES - 1],
            &damaged,
        ] {
            assert_eq!(Stamp::read(bytes), None, "{bytes:02x?}");
        }
    }
}
