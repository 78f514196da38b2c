//! Playlists (RFC 8216 §4).

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::{SegmentInfo, rfc3339};

/// Decimal durations need version 3 (RFC 8216 §7); nothing here needs a later one.
const VERSION: u32 = 3;

/// Short segments may hold the window open beyond its size, but not beyond this many times it.
const STRETCH_MAX: usize = 3;

/// The newest segments of a live stream.
#[derive(Clone, Debug)]
pub struct Window {
    segments: VecDeque<SegmentInfo>,
    segments_max: usize,
    discontinuity_sequence: u64,
    target_duration_s: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self::new(6)
    }
}

impl Window {
    /// A window of `segments_max` segments, at least 1.
    #[must_use]
    pub fn new(segments_max: usize) -> Self {
        Self::resume(segments_max, 0)
    }

    /// As [`Window::new`], behind this many discontinuities that were listed before.
    #[must_use]
    pub fn resume(segments_max: usize, discontinuity_sequence: u64) -> Self {
        Self {
            segments: VecDeque::new(),
            segments_max: segments_max.max(1),
            discontinuity_sequence,
            target_duration_s: 0,
        }
    }

    /// Lists a segment and returns those that are listed no more, oldest first. A segment that
    /// does not continue the numbers replaces the whole window, for a playlist cannot skip one.
    /// The window outgrows its size while three target durations would not remain (RFC 8216 §6.2.2).
    pub fn push(&mut self, segment: SegmentInfo) -> Vec<SegmentInfo> {
        let mut gone = Vec::new();
        let continues = |last: &SegmentInfo| last.msn.checked_add(1) == Some(segment.msn);
        if !self.segments.back().is_none_or(continues) {
            while let Some(oldest) = self.segments.pop_front() {
                gone.push(oldest);
            }
        }
        self.target_duration_s = self.target_duration_s.max(segment.target_duration_s);
        self.segments.push_back(segment);
        while self.may_drop_oldest() {
            gone.extend(self.segments.pop_front());
        }
        let lost = gone.iter().filter(|it| it.discontinuity).count() as u64;
        self.discontinuity_sequence = self.discontinuity_sequence.saturating_add(lost);
        gone
    }

    /// Oldest first.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &SegmentInfo> {
        self.segments.iter()
    }

    /// How many discontinuities have left the window (RFC 8216 §4.3.3.3).
    #[must_use]
    pub fn discontinuity_sequence(&self) -> u64 {
        self.discontinuity_sequence
    }

    /// The media playlist, or `None` while there is no segment. `ended` says that no more will come.
    #[must_use]
    pub fn media_playlist(&self, ended: bool) -> Option<String> {
        let first = self.segments.front()?;
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{}\n\
             #EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
            self.target_duration_s, first.msn, self.discontinuity_sequence
        );
        if self.segments.iter().all(|it| it.independent) {
            text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        for (at, segment) in self.segments.iter().enumerate() {
            push_segment(segment, at == 0, &mut text);
        }
        if ended {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        Some(text)
    }

    fn may_drop_oldest(&self) -> bool {
        if self.segments.len() > self.segments_max.saturating_mul(STRETCH_MAX) {
            return true;
        }
        let left_ms = self.segments.iter().skip(1).map(|it| it.duration_ms);
        let left_ms = left_ms.fold(0, u64::saturating_add);
        self.segments.len() > self.segments_max
            && left_ms >= u64::from(self.target_duration_s) * 3_000
    }
}

fn push_segment(segment: &SegmentInfo, first: bool, text: &mut String) {
    if segment.discontinuity {
        text.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if first || segment.discontinuity {
        let date = rfc3339(segment.program_date_time);
        let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{date}");
    }
    let (seconds, millis) = (segment.duration_ms / 1_000, segment.duration_ms % 1_000);
    let _ = writeln!(text, "#EXTINF:{seconds}.{millis:03},\n{}", segment.name());
}

/// One media playlist as a multivariant playlist offers it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendition {
    /// Relative to the multivariant playlist.
    pub uri: String,
    /// Peak of any segment.
    pub bandwidth_bps: u64,
    pub average_bandwidth_bps: Option<u64>,
    /// RFC 6381 strings.
    pub codecs: Vec<String>,
    pub resolution: Option<(u32, u32)>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
}

/// A multivariant ("master") playlist with one rendition (RFC 8216 §4.3.4.2).
#[must_use]
pub fn multivariant_playlist(rendition: &Rendition) -> String {
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-STREAM-INF:BANDWIDTH={}",
        rendition.bandwidth_bps
    );
    if let Some(bps) = rendition.average_bandwidth_bps {
        let _ = write!(text, ",AVERAGE-BANDWIDTH={bps}");
    }
    if !rendition.codecs.is_empty() {
        let _ = write!(text, ",CODECS=\"{}\"", rendition.codecs.join(","));
    }
    if let Some((width, height)) = rendition.resolution {
        let _ = write!(text, ",RESOLUTION={width}x{height}");
    }
    if let Some(rate) = rendition
        .frame_rate
        .filter(|rate| rate.is_finite() && *rate > 0.0)
    {
        let _ = write!(text, ",FRAME-RATE={rate:.3}");
    }
    let _ = writeln!(text, "\n{}", rendition.uri);
    text
}

#[cfg(test)]
mod tests {
    use quick_m3u8::config::ParsingOptionsBuilder;
    use quick_m3u8::tag::KnownTag;
    use quick_m3u8::{HlsLine, Reader};

    use super::*;
    use crate::hls::ClaimName;
    use crate::time::UnixMs;

    fn segment(msn: u64) -> SegmentInfo {
        SegmentInfo {
            claim: ClaimName {
                epoch: 7,
                tag: 0xbee,
            },
            msn,
            duration_ms: 2_500,
            discontinuity: false,
            independent: true,
            program_date_time: UnixMs(msn as i64 * 2_500),
            target_duration_s: 3,
        }
    }

    /// Every line must be one that the parser knows.
    fn assert_parses(text: &str) {
        let options = ParsingOptionsBuilder::new()
            .with_parsing_for_all_tags()
            .build();
        let mut reader = Reader::from_str(text, options);
        while let Some(line) = reader.read_line().unwrap() {
            assert!(
                matches!(line, HlsLine::KnownTag(KnownTag::Hls(_)) | HlsLine::Uri(_)),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_window_slides() {
        let mut window = Window::new(3);
        assert_eq!(window.media_playlist(true), None);
        let mut gone = Vec::new();
        for msn in 10..15 {
            let discontinuity = msn == 11 || msn == 13;
            gone.extend(window.push(SegmentInfo {
                discontinuity,
                ..segment(msn)
            }));
        }
        // 3 × 2.5 s is less than three times the target duration, so a fourth one stays.
        assert_eq!(gone, [segment(10)]);
        gone.extend(window.push(segment(15)));
        assert_eq!(gone.len(), 2);
        let text = window.media_playlist(false).unwrap();
        assert_parses(&text);
        assert_eq!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:12\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:1\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:30.000Z\n#EXTINF:2.500,\n7-00000bee/12.ts\n\
             #EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:32.500Z\n\
             #EXTINF:2.500,\n7-00000bee/13.ts\n#EXTINF:2.500,\n7-00000bee/14.ts\n#EXTINF:2.500,\n7-00000bee/15.ts\n"
        );
        let ended = window.media_playlist(true).unwrap();
        assert_parses(&ended);
        assert_eq!(ended, format!("{text}#EXT-X-ENDLIST\n"));
    }

    #[test]
    fn one_dependent_segment_takes_the_claim_from_the_window() {
        let mut window = Window::new(2);
        window.push(segment(1));
        window.push(SegmentInfo {
            independent: false,
            ..segment(2)
        });
        let text = window.media_playlist(false).unwrap();
        assert!(!text.contains("INDEPENDENT"), "{text}");
    }

    #[test]
    fn a_skipped_number_starts_over() {
        let mut window = Window::resume(6, 4);
        window.push(SegmentInfo {
            discontinuity: true,
            ..segment(1)
        });
        assert_eq!(window.push(segment(2)), []);
        assert_eq!(window.push(segment(9)).len(), 2);
        assert_eq!(
            (window.segments().len(), window.discontinuity_sequence()),
            (1, 5)
        );
    }

    #[test]
    fn tiny_segments_do_not_stretch_the_window_without_end() {
        let mut window = Window::new(2);
        for msn in 0..100 {
            window.push(SegmentInfo {
                duration_ms: 1,
                ..segment(msn)
            });
            assert!(window.segments().len() <= 6);
        }
    }

    #[test]
    fn multivariant_playlists() {
        let full = Rendition {
            uri: "index.m3u8".into(),
            bandwidth_bps: 3_000_000,
            average_bandwidth_bps: Some(2_500_000),
            codecs: vec!["avc1.640028".into(), "mp4a.40.2".into()],
            resolution: Some((1920, 1080)),
            frame_rate: Some(30_000.0 / 1001.0),
        };
        let audio = Rendition {
            uri: "a.m3u8".into(),
            bandwidth_bps: 128_000,
            frame_rate: Some(f64::NAN),
            ..Rendition::default()
        };
        for (rendition, expected) in [
            (
                full,
                "BANDWIDTH=3000000,AVERAGE-BANDWIDTH=2500000,CODECS=\"avc1.640028,mp4a.40.2\",\
                 RESOLUTION=1920x1080,FRAME-RATE=29.970\nindex.m3u8\n",
            ),
            (audio, "BANDWIDTH=128000\na.m3u8\n"),
        ] {
            let text = multivariant_playlist(&rendition);
            assert_parses(&text);
            assert_eq!(
                text,
                format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:{expected}")
            );
        }
    }
}
