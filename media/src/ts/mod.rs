//! MPEG-TS (ISO/IEC 13818-1) for H.264 and HEVC, AAC, MP3, AC-3 and E-AC-3, cut into segments that
//! players can start at.
//!
//! Tell a [`Muxer`] its tracks, then for each segment: [`Muxer::start_segment`],
//! [`Muxer::write`] for every frame, [`Muxer::flush_audio`] last. Continuity counters run
//! through all segments of one muxer.

mod access_unit;
mod audio;
mod config;
mod packet;
mod pes;
mod psi;

use bytes::BytesMut;

use self::access_unit::AccessUnit;
use self::audio::{AudioPes, FrameHeader};
pub use self::config::{AudioConfig, VideoConfig, carries};
use self::packet::{FirstPacket, Packets};
use self::pes::Stamps;
use crate::codec;
use crate::frame::{Frame, Kind, Track};

/// The packet identifiers that ffmpeg and most packagers use.
pub const VIDEO_PID: u16 = 0x100;
pub const AUDIO_PID: u16 = 0x101;

/// Added to every time, so that what comes before the first frame's decoding time is not below
/// zero: the clock reference (`PCR_LEAD_MS`) and pictures shown before they are decoded
/// (`DTS_LOWERED_MAX_MS`). 500 + 1,000 < 2,000.
pub const TIMELINE_OFFSET_MS: i64 = 2_000;

/// The clock reference runs this far ahead of decoding, because audio waits for its group
/// (`audio::GROUP_MS`) and may not arrive after its time (ISO/IEC 13818-1 §2.4.2).
const PCR_LEAD_MS: i64 = 500;

/// The clock reference comes at least this often (ISO/IEC 13818-1 §2.7.2).
const PCR_INTERVAL_MS: i64 = 100;

/// Why a frame cannot be carried in MPEG-TS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the frame's track has no decoder configuration yet")]
    NoConfig,
    #[error("the access unit cannot be read: {0}")]
    AccessUnit(#[from] codec::Error),
    #[error("the frame is empty")]
    Empty,
    #[error("ADTS cannot carry this AAC stream or a frame of this size")]
    NotAdts,
    #[error("the configuration record cannot be used: {0}")]
    Config(codec::Error),
    #[error("the audio frame cannot be read: {0}")]
    AudioFrame(codec::Error),
    #[error("the audio frame is larger than its codec allows")]
    TooLarge,
}

/// Turns frames into transport stream packets.
#[derive(Debug, Default)]
pub struct Muxer {
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
    pat_counter: u8,
    pmt_counter: u8,
    video_counter: u8,
    audio_counter: u8,
    pmt_version: u8,
    video_clock: VideoClock,
}

#[derive(Debug)]
struct VideoTrack {
    config: VideoConfig,
    stamps: Stamps,
}

#[derive(Debug)]
struct AudioTrack {
    config: AudioConfig,
    pending: AudioPes,
}

impl Muxer {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes effect with the next segment; call it between segments.
    pub fn set_video(&mut self, config: VideoConfig) {
        let known = self.video.as_ref().map(|video| video.config.stream_type());
        if known != Some(config.stream_type()) {
            self.next_pmt_version();
        }
        self.video = Some(VideoTrack {
            config,
            stamps: Stamps::default(),
        });
    }

    /// As [`Muxer::set_video`]; audio that waits for its group is lost.
    pub fn set_audio(&mut self, config: AudioConfig) {
        let known = self.audio.as_ref().map(|audio| audio.config.stream_type());
        if known != Some(config.stream_type()) {
            self.next_pmt_version();
        }
        self.audio = Some(AudioTrack {
            config,
            pending: AudioPes::default(),
        });
    }

    /// Forgets a track, as when another publisher takes over without it; counters go on.
    pub fn remove_video(&mut self) {
        if self.video.take().is_some() {
            self.next_pmt_version();
        }
    }

    /// As [`Muxer::remove_video`]; audio that waits for its group is lost.
    pub fn remove_audio(&mut self) {
        if self.audio.take().is_some() {
            self.next_pmt_version();
        }
    }

    #[must_use]
    pub fn has_video(&self) -> bool {
        self.video.is_some()
    }

    #[must_use]
    pub fn has_audio(&self) -> bool {
        self.audio.is_some()
    }

    /// Writes the tables that a player needs before anything else.
    pub fn start_segment(&mut self, out: &mut BytesMut) {
        self.video_clock = VideoClock::default();
        self.write_tables(out);
    }

    /// Writes the tables at the start of a segment once more, for a track that came after them.
    pub fn restart_segment(&mut self, segment: &mut [u8]) {
        self.pat_counter = self.pat_counter.wrapping_sub(1) & 0x0F;
        self.pmt_counter = self.pmt_counter.wrapping_sub(1) & 0x0F;
        let mut tables = BytesMut::new();
        self.write_tables(&mut tables);
        if let Some(before) = segment.get_mut(..tables.len()) {
            before.copy_from_slice(&tables);
        }
    }

    fn write_tables(&mut self, out: &mut BytesMut) {
        psi::write_pat(&mut self.pat_counter, out);
        let tracks = psi::Tracks {
            video: self.video.as_ref().map(|it| it.config.stream_type()),
            audio: self.audio.as_ref().map(|it| it.config.stream_type()),
        };
        psi::write_pmt(&mut self.pmt_counter, self.pmt_version, tracks, out);
    }

    /// Whether [`Muxer::write`] would take this frame.
    pub fn check(&self, frame: &Frame) -> Result<(), Error> {
        match (frame.track(), frame.kind) {
            (Track::Video, Kind::Media { .. }) => {
                let video = self.video.as_ref().ok_or(Error::NoConfig)?;
                AccessUnit::scan(&video.config, frame).map(drop)
            }
            (Track::Audio, Kind::Media { .. }) => {
                let audio = self.audio.as_ref().ok_or(Error::NoConfig)?;
                FrameHeader::of(&audio.config, frame).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Appends a media frame; an error leaves `out` as it was. Audio may wait for its group.
    /// Frames that are not media are passed over: tracks are told by `set_video` and `set_audio`.
    pub fn write(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), Error> {
        match (frame.track(), frame.kind) {
            (Track::Video, Kind::Media { key }) => self.write_video(frame, key, out),
            (Track::Audio, Kind::Media { .. }) => self.write_audio(frame, out),
            _ => Ok(()),
        }
    }

    /// Writes the audio that waits for its group.
    pub fn flush_audio(&mut self, out: &mut BytesMut) {
        let Some(audio) = &mut self.audio else {
            return;
        };
        let Some(group) = audio.pending.take() else {
            return;
        };
        let is_private = audio.config.is_private();
        let video_carries_clock = self.video.is_some();
        if video_carries_clock && let Some(now_ms) = self.video_clock.after_audio(group.pts_ms) {
            packet::write_clock_only(VIDEO_PID, self.video_counter, clock_ms(now_ms), out);
        }
        let first = FirstPacket {
            pcr_ms: (!video_carries_clock).then(|| clock_ms(group.pts_ms)),
            random_access: true,
        };
        let header = pes::audio_header(is_private, group.pts_ms, group.data.len());
        let length = header.len() + group.data.len();
        let mut packets = Packets::new(AUDIO_PID, &mut self.audio_counter, first, length, out);
        packets.put(&header);
        packets.put(&group.data);
    }

    fn write_video(&mut self, frame: &Frame, key: bool, out: &mut BytesMut) -> Result<(), Error> {
        let video = self.video.as_mut().ok_or(Error::NoConfig)?;
        let unit = AccessUnit::scan(&video.config, frame)?;
        let (pts_ms, dts_ms) = video.stamps.next(frame);
        let header = pes::video_header(pts_ms, dts_ms, unit.len());
        let first = FirstPacket {
            pcr_ms: Some(clock_ms(dts_ms)),
            random_access: key,
        };
        self.video_clock.after_video(dts_ms);
        let length = header.len() + unit.len();
        let mut packets = Packets::new(VIDEO_PID, &mut self.video_counter, first, length, out);
        packets.put(&header);
        unit.parts().for_each(|part| packets.put(part));
        Ok(())
    }

    fn write_audio(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<(), Error> {
        let audio = self.audio.as_mut().ok_or(Error::NoConfig)?;
        let header = FrameHeader::of(&audio.config, frame)?;
        let frame_nanos = audio.config.frame_duration().as_nanos() as i64;
        if !audio.pending.continues_with(frame, frame_nanos) {
            self.flush_audio(out);
        }
        if let Some(audio) = self.audio.as_mut() {
            audio.pending.add(frame, header);
        }
        Ok(())
    }

    /// A changed table has a new version (ISO/IEC 13818-1 §2.4.4.9), counted in 5 bits.
    fn next_pmt_version(&mut self) {
        self.pmt_version = (self.pmt_version + 1) & 0x1F;
    }
}

/// Video's packets carry the clock; while video is silent it goes on at the pace of audio.
#[derive(Debug, Default)]
struct VideoClock {
    last_ms: Option<i64>,
    /// Where audio stood when `last_ms` was new.
    audio_ms: Option<i64>,
}

impl VideoClock {
    fn after_video(&mut self, dts_ms: i64) {
        self.last_ms = Some(dts_ms);
        self.audio_ms = None;
    }

    /// The time to put on the clock now, where video has left it alone for too long.
    fn after_audio(&mut self, pts_ms: i64) -> Option<i64> {
        let Some(last_ms) = self.last_ms else {
            self.last_ms = Some(pts_ms);
            self.audio_ms = Some(pts_ms);
            return Some(pts_ms);
        };
        let silent_ms = pts_ms.saturating_sub(*self.audio_ms.get_or_insert(pts_ms));
        if silent_ms < PCR_INTERVAL_MS {
            return None;
        }
        let now_ms = last_ms.saturating_add(silent_ms);
        self.last_ms = Some(now_ms);
        self.audio_ms = Some(pts_ms);
        Some(now_ms)
    }
}

fn clock_ms(decoding_ms: i64) -> i64 {
    decoding_ms.saturating_sub(PCR_LEAD_MS)
}

/// Milliseconds of the media timeline as 33 bits of 90 kHz (ISO/IEC 13818-1 §2.4.3.7). Any time
/// has a value: what is out of range wraps, as the field does every 26.5 hours.
fn ticks(ms: i64) -> u64 {
    let ticks = ms.wrapping_add(TIMELINE_OFFSET_MS).wrapping_mul(90);
    ticks as u64 & 0x1_FFFF_FFFF
}

#[cfg(test)]
mod tests;
