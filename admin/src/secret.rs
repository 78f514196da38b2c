//! A value that no log line shows.

use std::fmt;

/// Holds a secret. There is no `Display`, and `Debug` does not tell it.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value` from now on.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself: to compare, hash or hand out, never to log.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_tell() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }
}
