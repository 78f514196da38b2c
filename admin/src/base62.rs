//! Numbers as letters and digits.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The number in `bytes` (most significant first), lowest digit first, in as many characters as
/// the largest one of that size needs.
pub fn encode<const N: usize>(mut bytes: [u8; N]) -> String {
    // log2(62) is a little more than 5.954.
    let chars = (N * 8 * 1000).div_ceil(5954);
    let mut text = String::with_capacity(chars);
    for _ in 0..chars {
        let mut rest = 0_u32;
        for byte in &mut bytes {
            let value = rest * 256 + u32::from(*byte);
            *byte = (value / 62) as u8; // rest < 62, so value / 62 < 256
            rest = value % 62;
        }
        text.push(char::from(DIGITS[rest as usize]));
    }
    text
}

/// A number below 62^`CHARS`, highest digit first, with leading zeros.
pub fn digits<const CHARS: usize>(number: u64) -> String {
    let mut rest = number;
    let mut chars = [b'0'; CHARS];
    for place in chars.iter_mut().rev() {
        *place = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    chars.into_iter().map(char::from).collect()
}

/// Reads [`digits`] back.
pub fn number(text: &str) -> Option<u64> {
    text.bytes().try_fold(0_u64, |number, c| {
        let digit = DIGITS.iter().position(|digit| *digit == c)? as u64;
        number.checked_mul(62)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the digits back, so that no two numbers share a text.
    fn decode<const N: usize>(text: &str) -> [u8; N] {
        let mut bytes = [0_u8; N];
        for c in text.bytes().rev() {
            let digit = DIGITS.iter().position(|d| *d == c).expect("a digit");
            let mut carry = digit as u32;
            for byte in bytes.iter_mut().rev() {
                let value = u32::from(*byte) * 62 + carry;
                *byte = value as u8;
                carry = value >> 8;
            }
            assert_eq!(carry, 0, "more than {N} bytes");
        }
        bytes
    }

    proptest::proptest! {
        #[test]
        fn every_number_reads_back(whole: [u8; 32], short: [u8; 20], figure in 0..62_u64.pow(6)) {
            let text = encode(whole);
            proptest::prop_assert_eq!(text.len(), 43);
            proptest::prop_assert_eq!(decode(&text), whole);
            let text = encode(short);
            proptest::prop_assert_eq!(text.len(), 27);
            proptest::prop_assert_eq!(decode(&text), short);
            let text = digits::<6>(figure);
            proptest::prop_assert_eq!((text.len(), number(&text)), (6, Some(figure)));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,20}") {
            let _ = number(&text);
        }
    }

    #[test]
    fn the_ends_fit() {
        assert_eq!(encode([0; 32]), "0".repeat(43));
        assert_eq!(decode(&encode([0xff; 32])), [0xff; 32]);
        assert_eq!(decode(&encode([0xff; 20])), [0xff; 20]);
        for (text, expected) in [
            ("0", Some(0)),
            ("z", Some(61)),
            ("10", Some(62)),
            ("", Some(0)),
            ("-1", None),
            ("é", None),
            (&"z".repeat(20), None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }
}
