//! Random secrets and names.

use crate::base62;

/// Bytes from the operating system's generator.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("Linux gives random bytes once it has booted");
    bytes
}

/// 256 random bits as 43 characters of 0-9, A-Z, a-z (62^43 > 2^256 > 62^42).
pub fn base62_256() -> String {
    base62::encode(bytes::<32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let (one, other) = (base62_256(), base62_256());
        assert_eq!((one.len(), other.len()), (43, 43));
        assert_ne!(one, other);
    }
}
