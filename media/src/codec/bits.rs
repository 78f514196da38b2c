//! Reading bit fields from bytes that a stranger sent.

use super::Error;

/// Reads big-endian bit fields; every read past the end is [`Error::Truncated`].
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    rest: &'a [u8],
    current: u8,
    current_bits: u32,
    escaped: bool,
    zeros: u8,
}

impl<'a> BitReader<'a> {
    /// Reads `data` as it is.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self {
            rest: data,
            current: 0,
            current_bits: 0,
            escaped: false,
            zeros: 0,
        }
    }

    /// Reads a NAL unit's payload, leaving out emulation prevention bytes (H.264 §7.4.1).
    #[must_use]
    pub fn rbsp(data: &'a [u8]) -> Self {
        Self {
            escaped: true,
            ..Self::new(data)
        }
    }

    pub fn bit(&mut self) -> Result<bool, Error> {
        if self.current_bits == 0 {
            self.current = self.next_byte()?;
            self.current_bits = 8;
        }
        self.current_bits -= 1;
        Ok(self.current >> self.current_bits & 1 == 1)
    }

    /// An unsigned field of `bits` bits, at most 32: `u(n)`.
    pub fn u(&mut self, bits: u32) -> Result<u32, Error> {
        debug_assert!(bits <= 32);
        let mut value = 0;
        for _ in 0..bits {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// A field of at most 8 bits.
    pub fn u8(&mut self, bits: u32) -> Result<u8, Error> {
        debug_assert!(bits <= 8);
        Ok(self.u(bits)? as u8)
    }

    /// `ue(v)` (H.264 §9.1). 31 leading zeros already reach the largest value allowed, 2^32 − 2.
    pub fn ue(&mut self) -> Result<u32, Error> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Error::OverlongCode);
            }
        }
        Ok(((1 << zeros) - 1) + self.u(zeros)?)
    }

    /// `ue(v)` that must not be above `max`; `field` is its name for the error.
    pub fn ue_max(&mut self, max: u32, field: &'static str) -> Result<u32, Error> {
        let value = self.ue()?;
        if value > max {
            return Err(Error::Range(field));
        }
        Ok(value)
    }

    /// `se(v)` (H.264 §9.1.1).
    pub fn se(&mut self) -> Result<i32, Error> {
        let code = i64::from(self.ue()?);
        let magnitude = (code + 1) / 2;
        let value = if code % 2 == 1 { magnitude } else { -magnitude };
        // |value| ≤ 2^31 − 1, for the largest code is 2^32 − 2.
        Ok(value as i32)
    }

    pub fn skip(&mut self, bits: u32) -> Result<(), Error> {
        for _ in 0..bits {
            self.bit()?;
        }
        Ok(())
    }

    /// Goes to the next byte boundary, counted from the start of the data.
    pub fn align(&mut self) {
        self.current_bits = 0;
    }

    /// Bits not read yet, emulation prevention bytes included.
    #[must_use]
    pub fn bits_left(&self) -> usize {
        self.rest.len().saturating_mul(8) + self.current_bits as usize
    }

    fn next_byte(&mut self) -> Result<u8, Error> {
        let mut byte = self.take_byte()?;
        if self.escaped && self.zeros >= 2 && byte == 3 {
            self.zeros = 0;
            byte = self.take_byte()?;
        }
        self.zeros = if byte == 0 {
            self.zeros.saturating_add(1)
        } else {
            0
        };
        Ok(byte)
    }

    fn take_byte(&mut self) -> Result<u8, Error> {
        let (&byte, rest) = self.rest.split_first().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exp_golomb_codes() {
        // H.264 tables 9-2 and 9-3, and the largest code.
        for (bytes, unsigned, signed) in [
            (&[0b1000_0000][..], 0, 0),
            (&[0b0100_0000], 1, 1),
            (&[0b0110_0000], 2, -1),
            (&[0b0010_0000], 3, 2),
            (&[0b0010_1000], 4, -2),
            (&[0b0001_0010], 8, -4),
            (&[0, 0, 0, 1, 0, 0, 0, 0], 0x7FFF_FFFF, 0x4000_0000),
            (
                &[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE],
                0xFFFF_FFFE,
                -0x7FFF_FFFF,
            ),
        ] {
            assert_eq!(BitReader::new(bytes).ue(), Ok(unsigned), "{bytes:?}");
            assert_eq!(BitReader::new(bytes).se(), Ok(signed), "{bytes:?}");
        }
    }

    #[test]
    fn codes_that_are_too_long_or_cut_are_refused() {
        for (bytes, error) in [
            (&[0, 0, 0, 0, 0x80, 0, 0, 0, 0][..], Error::OverlongCode),
            (&[0xFF; 0], Error::Truncated),
            (&[0], Error::Truncated),
            (&[0, 0, 0, 1, 0], Error::Truncated),
        ] {
            assert_eq!(BitReader::new(bytes).ue(), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn emulation_prevention_bytes_vanish_only_in_rbsp() {
        let escaped = [0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 2, 3];
        let mut reader = BitReader::rbsp(&escaped);
        let plain: Vec<u8> = std::iter::from_fn(|| reader.u8(8).ok()).collect();
        assert_eq!(plain, [0, 0, 1, 0, 0, 0, 0, 2, 3]);
        let mut reader = BitReader::new(&escaped);
        let kept: Vec<u8> = std::iter::from_fn(|| reader.u8(8).ok()).collect();
        assert_eq!(kept, escaped);
    }

    proptest! {
        #[test]
        fn fields_of_any_width_join_to_the_same_bits(
            data in proptest::collection::vec(any::<u8>(), 0..40),
            widths in proptest::collection::vec(1u32..=32, 0..40),
        ) {
            let mut fields = BitReader::new(&data);
            let mut single = BitReader::new(&data);
            for width in widths {
                let Ok(value) = fields.u(width) else {
                    prop_assert!(single.skip(width).is_err());
                    break;
                };
                for bit in (0..width).rev() {
                    prop_assert_eq!(single.bit().unwrap(), value >> bit & 1 == 1);
                }
                prop_assert_eq!(fields.bits_left(), single.bits_left());
            }
        }
    }
}
