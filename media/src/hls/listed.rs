use super::SegmentName;

/// The longest playlist that is read. A window of 180 segments, the most that is configurable, is 15 KiB.
pub const PLAYLIST_BYTES_MAX: usize = 64 << 10;

/// The most segments that one may list.
const SEGMENTS_MAX: usize = 512;

/// What a media playlist of [`Window`](super::Window)'s kind lists, read as far as whoever passes it on has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The number of the first segment (RFC 8216 §4.3.3.2).
    pub first_msn: u64,
    /// The segments beside the playlist, numbered one by one.
    pub names: Vec<SegmentName>,
    /// No more will come (§4.3.3.4).
    pub ended: bool,
}

/// Why a text is no such playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotListed {
    /// More than a window can need.
    #[error("the playlist is larger than any that nodes write")]
    TooLarge,
    /// Not UTF-8, or without the first line that all have.
    #[error("this is no playlist")]
    NoPlaylist,
    /// No number, two of them, or one that ends the numbers.
    #[error("the playlist does not say what number its first segment has")]
    NoSequence,
    /// An address of another form, with another number than its place, or what would lead elsewhere.
    #[error("the playlist names something that is no segment of it")]
    ForeignName,
}

impl Listed {
    /// Reads a playlist. Tags that it does not know are left alone.
    pub fn read(text: &[u8]) -> Result<Self, NotListed> {
        if text.len() > PLAYLIST_BYTES_MAX {
            return Err(NotListed::TooLarge);
        }
        let text = std::str::from_utf8(text).map_err(|_| NotListed::NoPlaylist)?;
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") {
            return Err(NotListed::NoPlaylist);
        }
        let (mut first_msn, mut names, mut ended) = (None, Vec::new(), false);
        for line in lines.filter(|line| !line.is_empty()) {
            if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                let number = number.parse().map_err(|_| NotListed::NoSequence)?;
                if first_msn.replace(number).is_some() || !names.is_empty() {
                    return Err(NotListed::NoSequence);
                }
            } else if line == "#EXT-X-ENDLIST" {
                ended = true;
            } else if !line.starts_with('#') {
                if names.len() == SEGMENTS_MAX {
                    return Err(NotListed::TooLarge);
                }
                let msn = first_msn.ok_or(NotListed::NoSequence)?;
                let msn = u64::checked_add(msn, names.len() as u64).ok_or(NotListed::NoSequence)?;
                let name = line.split_once('/');
                let name = name.and_then(|(claim, file)| SegmentName::parse(claim, file));
                let name = name.filter(|name| name.msn == msn);
                names.push(name.ok_or(NotListed::ForeignName)?);
            }
        }
        match first_msn {
            Some(first_msn) if !names.is_empty() => Ok(Self {
                first_msn,
                names,
                ended,
            }),
            _ => Err(NotListed::NoSequence),
        }
    }

    /// The number of the newest segment.
    #[must_use]
    pub fn last_msn(&self) -> u64 {
        let more = self.names.len().saturating_sub(1) as u64;
        self.first_msn.saturating_add(more)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hls::{ClaimName, SegmentInfo, Window};
    use crate::time::UnixMs;

    fn segment(epoch: u64, msn: u64, discontinuity: bool) -> SegmentInfo {
        SegmentInfo {
            claim: ClaimName { epoch, tag: 7 },
            msn,
            duration_ms: 2_000,
            discontinuity,
            independent: true,
            program_date_time: UnixMs(0),
            target_duration_s: 2,
        }
    }

    proptest! {
        #[test]
        fn what_a_window_writes_is_read_back(
            first in 1..u64::MAX - 100,
            epochs in prop::collection::vec(1..u64::MAX, 1..60),
            ended: bool,
        ) {
            let mut window = Window::new(20);
            for (msn, epoch) in (first..).zip(&epochs) {
                window.push(segment(*epoch, msn, epoch % 2 == 0));
            }
            let names: Vec<SegmentName> = window.segments().map(SegmentInfo::name).collect();
            let first_msn = window.segments().next().unwrap().msn;
            let text = window.media_playlist(ended).unwrap();
            let listed = Listed::read(text.as_bytes()).unwrap();
            prop_assert_eq!(listed.last_msn(), first + epochs.len() as u64 - 1);
            prop_assert_eq!(listed, Listed { first_msn, names, ended });
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(#EXTM3U\n)?(#EXT-X-MEDIA-SEQUENCE:[0-9]{1,3}\n)?([0-9a-z./#-]{0,12}\n){0,6}") {
            if let Ok(listed) = Listed::read(text.as_bytes()) {
                prop_assert!(!listed.names.is_empty());
            }
        }
    }

    #[test]
    fn what_no_node_writes_is_refused() {
        let many = (1..=SEGMENTS_MAX + 1).map(|msn| format!("7-00c0ffee/{msn}.ts\n"));
        let many: String = many.collect();
        let large = "#\n".repeat(PLAYLIST_BYTES_MAX);
        for (rest, refused) in [
            ("#EXT-X-MEDIA-SEQUENCE:1\n", NotListed::NoSequence),
            ("7-00c0ffee/1.ts\n", NotListed::NoSequence),
            (
                "#EXT-X-MEDIA-SEQUENCE:-1\n7-00c0ffee/1.ts\n",
                NotListed::NoSequence,
            ),
            (
                "#EXT-X-MEDIA-SEQUENCE:1\n7-00c0ffee/1.ts\n#EXT-X-MEDIA-SEQUENCE:1\n",
                NotListed::NoSequence,
            ),
            (
                "#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n7-00c0ffee/18446744073709551615.ts\n7-00c0ffee/0.ts\n",
                NotListed::NoSequence,
            ),
            (
                "#EXT-X-MEDIA-SEQUENCE:1\n7-00c0ffee/2.ts\n",
                NotListed::ForeignName,
            ),
            (
                "#EXT-X-MEDIA-SEQUENCE:1\n7-00c0ffee/01.ts\n",
                NotListed::ForeignName,
            ),
            ("#EXT-X-MEDIA-SEQUENCE:1\n1.ts\n", NotListed::ForeignName),
            ("#EXT-X-MEDIA-SEQUENCE:1\n7/1.ts\n", NotListed::ForeignName),
            ("#EXT-X-MEDIA-SEQUENCE:1\n/1.ts\n", NotListed::ForeignName),
            ("#EXT-X-MEDIA-SEQUENCE:1\n../1.ts\n", NotListed::ForeignName),
            (
                "#EXT-X-MEDIA-SEQUENCE:1\nhttp://7-00c0ffee/1.ts\n",
                NotListed::ForeignName,
            ),
            (
                &format!("#EXT-X-MEDIA-SEQUENCE:1\n{many}"),
                NotListed::TooLarge,
            ),
            (&large, NotListed::TooLarge),
        ] {
            let text = format!("#EXTM3U\n{rest}");
            assert_eq!(Listed::read(text.as_bytes()), Err(refused), "{rest:.60}");
        }
        for text in [&b""[..], b"EXTM3U\n", b"<html>", b"#EXTM3U\n\xff"] {
            assert_eq!(Listed::read(text), Err(NotListed::NoPlaylist));
        }
    }
}
