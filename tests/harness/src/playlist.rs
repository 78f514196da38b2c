//! A media playlist, as far as the tests look into it (RFC 8216 §4.3).

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Playlist {
    pub media_sequence: u64,
    pub target_s: u64,
    pub segments: Vec<Segment>,
    pub has_ended: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Media sequence number.
    pub msn: u64,
    /// As it stands in the playlist: relative.
    pub uri: String,
    pub duration_s: f64,
    pub after_discontinuity: bool,
}

/// # Panics
/// If it is not a playlist.
#[must_use]
pub fn parse(text: &str) -> Playlist {
    assert!(text.starts_with("#EXTM3U\n"), "no playlist: {text}");
    let mut playlist = Playlist::default();
    let (mut duration_s, mut after_discontinuity) = (0.0, false);
    for line in text.lines() {
        let value = |tag| line.strip_prefix(tag);
        if let Some(value) = value("#EXT-X-MEDIA-SEQUENCE:") {
            playlist.media_sequence = value.parse().expect("a whole number");
        } else if let Some(value) = value("#EXT-X-TARGETDURATION:") {
            playlist.target_s = value.parse().expect("a whole number");
        } else if let Some(value) = value("#EXTINF:") {
            let value = value.split(',').next().unwrap_or_default();
            duration_s = value.parse().expect("a duration");
        } else if line == "#EXT-X-DISCONTINUITY" {
            after_discontinuity = true;
        } else if line == "#EXT-X-ENDLIST" {
            playlist.has_ended = true;
        } else if !line.is_empty() && !line.starts_with('#') {
            playlist.segments.push(Segment {
                msn: playlist.media_sequence + playlist.segments.len() as u64,
                uri: line.to_owned(),
                duration_s,
                after_discontinuity: std::mem::take(&mut after_discontinuity),
            });
        }
    }
    playlist
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_numbered_and_marked() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:2.000,\n1/7.ts\n\
                    #EXT-X-DISCONTINUITY\n#EXTINF:1.5,\n2/8.ts\n#EXT-X-ENDLIST\n";
        let segment = |msn, uri: &str, duration_s, after_discontinuity| Segment {
            msn,
            uri: uri.to_owned(),
            duration_s,
            after_discontinuity,
        };
        let expected = Playlist {
            media_sequence: 7,
            target_s: 2,
            segments: vec![
                segment(7, "1/7.ts", 2.0, false),
                segment(8, "2/8.ts", 1.5, true),
            ],
            has_ended: true,
        };
        assert_eq!(parse(text), expected);
    }
}
