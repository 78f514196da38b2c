use std::fmt;

/// The claim under which a segment was cut, as it stands in names: `<epoch>-<tag>`, the tag in 8 hexadecimal
/// digits. It tells claims of one epoch apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClaimName {
    /// Of the claim.
    pub epoch: u64,
    /// Of who minted it.
    pub tag: u32,
}

impl ClaimName {
    /// Reads a name in its one spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, tag) = text.split_once('-')?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_tag = tag.len() == 8 && tag.bytes().all(is_digit);
        Some(Self {
            epoch: number(epoch)?,
            tag: u32::from_str_radix(tag, 16).ok().filter(|_| is_tag)?,
        })
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.epoch, self.tag)
    }
}

/// A segment's name beside its playlist: `<claim>/<msn>.ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SegmentName {
    /// Under which it was cut.
    pub claim: ClaimName,
    /// Its media sequence number.
    pub msn: u64,
}

impl SegmentName {
    /// Reads a folder and a file in it, in their one spelling, so that every segment has one address.
    #[must_use]
    pub fn parse(claim: &str, file: &str) -> Option<Self> {
        Some(Self {
            claim: ClaimName::parse(claim)?,
            msn: file.strip_suffix(".ts").and_then(number)?,
        })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.ts", self.claim, self.msn)
    }
}

/// Plain digits only.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if is_plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_read_back_as_it_was_written(epoch in 1..=u64::MAX, tag: u32, msn in 1..=u64::MAX) {
            let name = SegmentName { claim: ClaimName { epoch, tag }, msn };
            let text = name.to_string();
            let (claim, file) = text.split_once('/').unwrap();
            prop_assert_eq!(SegmentName::parse(claim, file), Some(name));
        }

        #[test]
        fn what_is_read_has_no_other_spelling(claim in "[0-9a-f+-]{0,24}", file in "[0-9+]{0,4}(\\.ts)?") {
            if let Some(name) = SegmentName::parse(&claim, &file) {
                prop_assert_eq!(name.to_string(), format!("{claim}/{file}"));
            }
        }
    }

    #[test]
    fn every_segment_has_one_address() {
        let claim = "1785110063000-00c0ffee";
        assert!(SegmentName::parse(claim, "7.ts").is_some());
        for (claim, file) in [
            (claim, "07.ts"),
            (claim, "0.ts"),
            (claim, "+7.ts"),
            (claim, "-7.ts"),
            (claim, "7 .ts"),
            (claim, "7.TS"),
            (claim, ".ts"),
            (claim, "7"),
            (claim, "18446744073709551616.ts"),
            (claim, "\u{0661}.ts"),
            ("1785110063000", "7.ts"),
            ("1785110063000-", "7.ts"),
            ("1785110063000-c0ffee", "7.ts"),
            ("1785110063000-00C0FFEE", "7.ts"),
            ("1785110063000-+0c0ffee", "7.ts"),
            ("01-00c0ffee", "7.ts"),
            ("0-00c0ffee", "7.ts"),
            ("", "7.ts"),
        ] {
            assert_eq!(SegmentName::parse(claim, file), None, "{claim}/{file}");
        }
    }
}
