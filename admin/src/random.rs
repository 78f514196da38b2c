//! Random secrets and names.

/// Bytes from the operating system's generator.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("Linux gives random bytes once it has booted");
    bytes
}

/// 256 random bits as 43 characters of 0-9, A-Z, a-z (62^43 > 2^256 > 62^42).
pub fn base62_256() -> String {
    base62(bytes())
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHARS: usize = 43;

/// The number in `bytes` (most significant first), lowest digit first.
fn base62(mut bytes: [u8; 32]) -> String {
    let mut text = String::with_capacity(CHARS);
    for _ in 0..CHARS {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the digits back, so that no two numbers share a text.
    fn number(text: &str) -> [u8; 32] {
        let mut bytes = [0_u8; 32];
        for c in text.bytes().rev() {
            let digit = DIGITS.iter().position(|d| *d == c).expect("a digit");
            let mut carry = digit as u32;
            for byte in bytes.iter_mut().rev() {
                let value = u32::from(*byte) * 62 + carry;
                *byte = value as u8;
                carry = value >> 8;
            }
            assert_eq!(carry, 0, "more than 256 bits");
        }
        bytes
    }

    proptest::proptest! {
        #[test]
        fn every_number_reads_back(bytes: [u8; 32]) {
            let text = base62(bytes);
            proptest::prop_assert_eq!(text.len(), CHARS);
            proptest::prop_assert_eq!(number(&text), bytes);
        }
    }

    #[test]
    fn the_ends_fit() {
        assert_eq!(base62([0; 32]), "0".repeat(CHARS));
        assert_eq!(number(&base62([0xff; 32])), [0xff; 32]);
        assert_ne!(base62_256(), base62_256());
    }
}
