use std::collections::BTreeMap;

use bytes::Bytes;
use isocast_media::codec::{self, Description};
use isocast_media::{Codec, Frame, Kind, Track};

/// Which of a stream's tracks a viewer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tracks {
    /// One video and one audio track, as every player can play them.
    Default,
    All,
}

impl Tracks {
    pub(super) const COUNT: usize = 2;

    pub(crate) fn include(self, track_id: u8) -> bool {
        self == Self::All || track_id == DEFAULT
    }
}

/// The id of the default tracks.
const DEFAULT: u8 = 0;

/// What describes a stream: its newest metadata and the configurations of its tracks, and what
/// their frames say of themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers {
    metadata: Option<Frame>,
    tracks: BTreeMap<(Track, u8), Header>,
}

/// A track, as far as it is known.
#[derive(Clone, Debug, Default)]
struct Header {
    codec: Option<Codec>,
    config: Option<Frame>,
    /// Its colours, or the order of its channels.
    metadata: Option<Frame>,
    /// The start of the first key frame under this configuration.
    first: Option<Bytes>,
}

/// The tracks that can be described.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub video: Option<codec::Video>,
    pub audio: Option<codec::Audio>,
}

impl Headers {
    /// Keeps what describes the stream; false where it said so already, or where it describes
    /// another codec than the track has.
    pub(super) fn keep(&mut self, frame: &Frame) -> bool {
        let place = match (frame.track(), frame.kind) {
            (Track::Data, _) => &mut self.metadata,
            (_, Kind::Metadata) => {
                let header = self.header(frame);
                // ffmpeg tells the colours of every track as if they were the default one's. To
                // players that do not know that codec they are broken frames.
                if *header.codec.get_or_insert(frame.codec) != frame.codec {
                    return false;
                }
                &mut header.metadata
            }
            (_, Kind::Config | Kind::Media { .. }) => {
                let header = self.header(frame);
                header.turn_to(frame.codec);
                &mut header.config
            }
        };
        let same = |known: &Frame| known.data == frame.data;
        if place.as_ref().is_some_and(same) {
            return false;
        }
        *place = Some(frame.clone());
        if frame.kind == Kind::Config {
            self.header(frame).first = None;
        }
        true
    }

    /// Learns from a media frame what its configuration leaves out, or has no place for.
    pub(super) fn see(&mut self, frame: &Frame) {
        if !frame.is_key() {
            return;
        }
        let header = self.header(frame);
        header.turn_to(frame.codec);
        let start =
            || Bytes::copy_from_slice(frame.data.get(..codec::FIRST_BYTES).unwrap_or(&frame.data));
        header.first.get_or_insert_with(start);
    }

    /// What describes these tracks, in the order to send it.
    pub(crate) fn of(&self, tracks: Tracks) -> impl Iterator<Item = &Frame> {
        let wanted = self
            .tracks
            .iter()
            .filter(move |((_, id), _)| tracks.include(*id));
        let frames = wanted.flat_map(|(_, header)| [&header.config, &header.metadata]);
        self.metadata.iter().chain(frames.flatten())
    }

    /// What the default video or audio is coded as; `None` where there is none yet.
    pub(crate) fn codec(&self, track: Track) -> Option<Codec> {
        self.tracks.get(&(track, DEFAULT))?.codec
    }

    /// What viewers can be told of the default tracks.
    pub(crate) fn described(&self) -> Described {
        let mut described = Described::default();
        for track in [Track::Video, Track::Audio] {
            let header = self.tracks.get(&(track, DEFAULT));
            match header.and_then(Header::describe) {
                Some(Description::Video(video)) => described.video = Some(video),
                Some(Description::Audio(audio)) => described.audio = Some(audio),
                None => {}
            }
        }
        described
    }

    fn header(&mut self, frame: &Frame) -> &mut Header {
        let key = (frame.track(), frame.track_id);
        self.tracks.entry(key).or_default()
    }
}

impl Header {
    /// What was known of the track in another codec says nothing of it in this one.
    fn turn_to(&mut self, codec: Codec) {
        if self.codec != Some(codec) {
            *self = Self {
                codec: Some(codec),
                ..Self::default()
            };
        }
    }

    fn describe(&self) -> Option<Description> {
        let config = self.config.as_ref().map(|frame| frame.data.as_ref());
        codec::describe(self.codec?, config, self.first.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use isocast_media::MediaMs;

    use super::*;

    fn frame(codec: Codec, kind: Kind, data: &[u8]) -> Frame {
        Frame {
            codec,
            track_id: 0,
            kind,
            dts: MediaMs(0),
            pts_offset_ms: 0,
            data: Bytes::copy_from_slice(data),
        }
    }

    const KEY: Kind = Kind::Media { key: true };
    const MP3: &[u8] = &[0xFF, 0xFB, 0x90, 0x64, 0, 0];
    const MP3_MONO: &[u8] = &[0xFF, 0xFB, 0x54, 0xC4, 0, 0];

    fn rate(headers: &Headers) -> Option<u32> {
        headers.described().audio.map(|audio| audio.sample_rate_hz)
    }

    #[test]
    fn a_codec_without_configuration_is_described_by_its_first_frame() {
        let mut headers = Headers::default();
        headers.see(&frame(Codec::Mp3, KEY, MP3));
        headers.see(&frame(Codec::Mp3, KEY, MP3_MONO));
        assert_eq!(headers.codec(Track::Audio), Some(Codec::Mp3));
        assert_eq!(rate(&headers), Some(44_100));
        assert_eq!(
            headers.of(Tracks::All).count(),
            0,
            "there is nothing to send"
        );
    }

    #[test]
    fn another_codec_is_described_anew() {
        let mut headers = Headers::default();
        headers.see(&frame(Codec::Mp3, KEY, MP3_MONO));
        assert!(headers.keep(&frame(Codec::Aac, Kind::Config, &[0x12, 0x10])));
        assert_eq!(headers.codec(Track::Audio), Some(Codec::Aac));
        assert_eq!(rate(&headers), Some(44_100));
        headers.see(&frame(Codec::Mp3, KEY, MP3_MONO));
        assert_eq!(headers.codec(Track::Audio), Some(Codec::Mp3));
        assert_eq!(rate(&headers), Some(48_000));
        assert_eq!(
            headers.of(Tracks::All).count(),
            0,
            "AAC's configuration is gone"
        );
    }

    #[test]
    fn video_without_a_size_in_its_configuration_is_sized_by_its_key_frames() {
        const RECORD: &[u8] = &[0, 0x15, 0x82, 2, 2, 2, 0, 0];
        let first = [0x82, 0x49, 0x83, 0x42, 0x00, 0x27, 0xF0, 0x16, 0x76, 0x06];
        let size = |headers: &Headers| headers.described().video.map(|video| video.size);
        let mut headers = Headers::default();
        assert!(headers.keep(&frame(Codec::Vp9, Kind::Config, RECORD)));
        assert_eq!(size(&headers), Some(None));
        headers.see(&frame(Codec::Vp9, Kind::Media { key: false }, &first));
        assert_eq!(size(&headers), Some(None));
        headers.see(&frame(Codec::Vp9, KEY, &first));
        assert_eq!(size(&headers), Some(Some((640, 360))));
    }

    #[test]
    fn colours_are_kept_beside_the_configuration() {
        const RECORD: &[u8] = &[0, 0x15, 0x82, 2, 2, 2, 0, 0];
        let mut headers = Headers::default();
        assert!(headers.keep(&frame(Codec::Vp9, Kind::Config, RECORD)));
        for (colours, is_new) in [(b"bt709", true), (b"bt709", false), (b"bt601", true)] {
            let colours = frame(Codec::Vp9, Kind::Metadata, colours);
            assert_eq!(headers.keep(&colours), is_new);
        }
        let sent: Vec<_> = headers.of(Tracks::All).map(|frame| frame.kind).collect();
        assert_eq!(sent, [Kind::Config, Kind::Metadata]);
        assert!(headers.described().video.is_some());
    }
}
