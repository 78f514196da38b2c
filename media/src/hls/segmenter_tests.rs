use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::frame::Codec;
use crate::hls::Window;
use crate::time::MediaMs;

const WALL: UnixMs = UnixMs(1_700_000_000_000);
/// Baseline 640×360 at 30, made by x264, and the same with another level.
const AVC: &[u8] = b"\x01\x42\xC0\x1E\xFF\xE1\x00\x19\x67\x42\xC0\x1E\xDA\x02\x80\xBF\xE5\xC0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xF0\x3C\x58\xBA\x80\x01\x00\x04\x68\xCE\x0F\xC8";
const AVC_OTHER: &[u8] = b"\x01\x42\xC0\x1F\xFF\xE1\x00\x19\x67\x42\xC0\x1F\xDA\x02\x80\xBF\xE5\xC0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xF0\x3C\x58\xBA\x80\x01\x00\x04\x68\xCE\x0F\xC8";
const AAC: &[u8] = b"\x12\x10";

fn config(codec: Codec, data: &'static [u8]) -> Frame {
    let data = Bytes::from_static(data);
    Frame {
        codec,
        track_id: 0,
        kind: Kind::Config,
        dts: MediaMs(0),
        pts_offset_ms: 0,
        data,
    }
}

fn video(dts: i64, key: bool) -> Frame {
    let data: &[u8] = if key {
        &[0, 0, 0, 2, 0x65, 1]
    } else {
        &[0, 0, 0, 2, 0x41, 1]
    };
    let data = Bytes::from_static(data);
    Frame {
        codec: Codec::Avc,
        track_id: 0,
        kind: Kind::Media { key },
        dts: MediaMs(dts),
        pts_offset_ms: 0,
        data,
    }
}

fn audio(dts: i64) -> Frame {
    let data = Bytes::from_static(&[0x21; 40]);
    Frame {
        codec: Codec::Aac,
        track_id: 0,
        kind: Kind::Media { key: true },
        dts: MediaMs(dts),
        pts_offset_ms: 0,
        data,
    }
}

/// 25 frames a second with a key frame every `gop_ms`.
fn videos(from: i64, to: i64, gop_ms: i64) -> Vec<Frame> {
    (from..to)
        .step_by(40)
        .map(|dts| video(dts, (dts - from) % gop_ms == 0))
        .collect()
}

/// AAC at 44.1 kHz.
fn audios(from: i64, to: i64) -> Vec<Frame> {
    (0..)
        .map(|at| audio(from + at * 10_240 / 441))
        .take_while(|it| it.dts.0 < to)
        .collect()
}

fn merged(mut frames: Vec<Frame>, more: Vec<Frame>) -> Vec<Frame> {
    frames.extend(more);
    frames.sort_by_key(|frame| frame.dts);
    frames
}

fn both_configs() -> [Frame; 2] {
    [config(Codec::Avc, AVC), config(Codec::Aac, AAC)]
}

fn claim(epoch: u64) -> ClaimName {
    ClaimName { epoch, tag: 1 }
}

fn begun(configs: &[Frame]) -> Segmenter {
    let mut segmenter = Segmenter::new(SegmenterConfig::default(), 100);
    assert_eq!(segmenter.begin(claim(5), WALL), None);
    assert!(push_all(&mut segmenter, configs).is_empty());
    segmenter
}

fn push_all(segmenter: &mut Segmenter, frames: &[Frame]) -> Vec<Segment> {
    frames
        .iter()
        .filter_map(|frame| segmenter.push(frame).unwrap())
        .collect()
}

/// All segments of one publisher, the last by `finish`.
fn segments(configs: &[Frame], frames: &[Frame]) -> Vec<Segment> {
    let mut segmenter = begun(configs);
    let mut segments = push_all(&mut segmenter, frames);
    segments.extend(segmenter.finish());
    segments
}

fn durations(segments: &[Segment]) -> Vec<u64> {
    segments.iter().map(|it| it.info.duration_ms).collect()
}

/// Packets that start a PES, for each packet identifier.
fn frames_in(segment: &Segment) -> HashMap<u16, usize> {
    let mut starts = HashMap::new();
    for packet in segment
        .data
        .chunks(188)
        .filter(|packet| packet[1] & 0x40 != 0)
    {
        *starts
            .entry(u16::from(packet[1] & 0x1F) << 8 | u16::from(packet[2]))
            .or_default() += 1;
    }
    starts
}

#[test]
fn segments_start_at_key_frames_and_add_up() {
    for (gop_ms, expected, target_s) in [
        (2_000, vec![2_000, 2_000, 2_000, 1_000], 2),
        (1_000, vec![2_000, 2_000, 2_000, 1_000], 2),
        (1_520, vec![3_040, 3_040, 920], 4),
        (2_040, vec![2_040, 2_040, 2_040, 880], 3),
        (4_000, vec![4_000, 3_000], 4),
    ] {
        let frames = merged(videos(10_000, 17_000, gop_ms), audios(9_990, 17_000));
        let segments = segments(&both_configs(), &frames);
        assert_eq!(durations(&segments), expected, "GOP of {gop_ms} ms");
        for (at, segment) in segments.iter().enumerate() {
            let before: u64 = expected[..at].iter().sum();
            assert_eq!(
                segment.info,
                SegmentInfo {
                    claim: claim(5),
                    msn: 100 + at as u64,
                    duration_ms: expected[at],
                    discontinuity: false,
                    independent: true,
                    // The first frame, audio, came 10 ms before the first segment.
                    program_date_time: WALL + 10 + before as i64,
                    target_duration_s: target_s,
                }
            );
        }
        let pictures: usize = segments
            .iter()
            .map(|it| frames_in(it)[&ts::VIDEO_PID])
            .sum();
        assert_eq!(pictures, 7_000 / 40);
    }
}

#[test]
fn one_track_alone() {
    let sound = segments(&[config(Codec::Aac, AAC)], &audios(0, 6_500));
    assert!(
        sound[..3]
            .iter()
            .all(|it| (1_970..=2_000).contains(&it.info.duration_ms)),
        "{:?}",
        durations(&sound)
    );
    assert!(
        sound
            .iter()
            .all(|it| it.info.independent && it.info.target_duration_s == 2)
    );
    let picture = segments(&[config(Codec::Avc, AVC)], &videos(0, 6_000, 2_000));
    assert_eq!(durations(&picture), [2_000, 2_000, 2_000]);
}

#[test]
fn a_first_group_without_end_counts_as_six_seconds() {
    let segments = segments(
        &both_configs(),
        &merged(videos(0, 16_000, 100_000), audios(0, 16_000)),
    );
    assert_eq!(durations(&segments), [6_000, 6_200, 3_800]);
    let independent: Vec<_> = segments.iter().map(|it| it.info.independent).collect();
    assert_eq!(independent, [true, false, false]);
    assert!(
        segments
            .iter()
            .all(|it| it.info.target_duration_s == 6 && !it.info.discontinuity)
    );
}

#[test]
fn a_later_longer_group_is_cut_at_the_target() {
    let mut frames = videos(0, 2_000, 2_000);
    frames.extend(videos(2_000, 12_000, 5_000));
    let segments = segments(&[config(Codec::Avc, AVC)], &frames);
    assert!(
        segments
            .iter()
            .all(|it| it.info.target_duration_s == 2 && it.info.duration_ms < 2_500)
    );
    assert!(segments[0].info.independent && segments[1].info.independent);
    assert!(!segments[2].info.independent);
    assert_eq!(durations(&segments).iter().sum::<u64>(), 12_000);
}

#[test]
fn what_comes_before_the_first_key_frame_is_dropped() {
    let mut frames = vec![audio(0), video(0, false), audio(23), video(40, false)];
    frames.extend(videos(80, 2_080, 2_000));
    let segments = segments(&both_configs(), &frames);
    assert_eq!(durations(&segments), [2_000]);
    assert_eq!(frames_in(&segments[0])[&ts::VIDEO_PID], 50);
    assert_eq!(frames_in(&segments[0]).get(&ts::AUDIO_PID), None);
    assert_eq!(segments[0].info.program_date_time, WALL + 80);
}

#[test]
fn one_track_may_stop() {
    for frames in [
        merged(videos(0, 3_000, 2_000), audios(0, 10_000)),
        merged(videos(0, 10_000, 2_000), audios(0, 3_000)),
        audios(0, 16_000), // video is announced and never comes
        // Video comes back with a key frame.
        merged(
            merged(videos(0, 3_000, 2_000), audios(0, 10_000)),
            videos(7_000, 10_000, 2_000),
        ),
    ] {
        let segments = segments(&both_configs(), &frames);
        assert!(segments.len() >= 4, "{:?}", durations(&segments));
        let total: u64 = durations(&segments).iter().sum();
        assert!(
            (9_950..=10_050).contains(&total),
            "{:?}",
            durations(&segments)
        );
        assert!(
            segments
                .iter()
                .all(|it| it.info.duration_ms < 2_500 && !it.info.discontinuity)
        );
    }
}

#[test]
fn audio_far_ahead_of_video_does_not_cut() {
    let late_video = videos(0, 10_000, 2_000)
        .into_iter()
        .map(|it| (it.dts.0 + 3_000, it));
    let sound = audios(0, 13_000).into_iter().map(|it| (it.dts.0, it));
    let mut arrivals: Vec<_> = late_video.chain(sound).collect();
    arrivals.sort_by_key(|(at, _)| *at);
    let frames: Vec<_> = arrivals.into_iter().map(|(_, frame)| frame).collect();
    assert_eq!(durations(&segments(&both_configs(), &frames)), [2_000; 5]);
}

#[test]
fn another_publisher_is_one_discontinuity() {
    let mut segmenter = begun(&both_configs());
    push_all(&mut segmenter, &videos(0, 1_000, 2_000));
    let last = segmenter.begin(claim(6), WALL + 500).unwrap();
    assert_eq!((last.info.claim, last.info.duration_ms), (claim(5), 1_000));
    push_all(&mut segmenter, &[config(Codec::Aac, AAC)]);
    push_all(&mut segmenter, &audios(1_000, 1_100));
    push_all(&mut segmenter, &[config(Codec::Avc, AVC)]); // told late: no segment of its own
    let next = push_all(&mut segmenter, &videos(1_100, 6_000, 2_000));
    assert_eq!((next[0].info.claim, next[0].info.msn), (claim(6), 101));
    assert!(next[0].info.discontinuity && !next[1].info.discontinuity);
    // The newcomer's wall clock is behind; dates do not go back.
    assert_eq!(next[0].info.program_date_time, WALL + 1_100);
}

#[test]
fn a_publisher_without_video_follows_one_with_it() {
    let mut segmenter = begun(&both_configs());
    push_all(&mut segmenter, &videos(0, 2_000, 2_000));
    assert_eq!(
        segmenter.finish().map(|it| it.info.duration_ms),
        Some(2_000)
    );
    assert_eq!(push_all(&mut segmenter, &videos(2_000, 8_000, 2_000)), []);
    assert_eq!(segmenter.begin(claim(6), WALL + 60_000), None);
    push_all(&mut segmenter, &[config(Codec::Aac, AAC)]);
    let segments = push_all(&mut segmenter, &audios(10_000, 15_000));
    assert_eq!(segments.len(), 2);
    assert!(segments[0].info.discontinuity);
    assert_eq!(segments[0].info.program_date_time, WALL + 60_000);
    assert_eq!(frames_in(&segments[0]).get(&ts::VIDEO_PID), None);
}

#[test]
fn the_configuration_may_come_just_before_its_publisher() {
    let mut segmenter = Segmenter::new(SegmenterConfig::default(), 1);
    push_all(&mut segmenter, &both_configs());
    assert_eq!(segmenter.begin(claim(5), WALL), None);
    assert_eq!(push_all(&mut segmenter, &videos(0, 1_000, 2_000)), []);
    push_all(&mut segmenter, &[config(Codec::Aac, AAC)]); // the same again, for the next one
    assert!(segmenter.begin(claim(6), WALL + 1_000).is_some());
    let segments = push_all(
        &mut segmenter,
        &merged(audios(1_000, 6_000), videos(1_000, 6_000, 2_000)),
    );
    assert!(!segments.is_empty());
    for segment in &segments {
        assert_eq!(frames_in(segment).get(&ts::VIDEO_PID), None);
        assert!(frames_in(segment)[&ts::AUDIO_PID] > 10);
    }
}

#[test]
fn a_changed_configuration_ends_the_segment() {
    let mut segmenter = begun(&both_configs());
    push_all(&mut segmenter, &videos(0, 1_000, 2_000));
    assert_eq!(push_all(&mut segmenter, &both_configs()), []); // the same again
    let ended = push_all(&mut segmenter, &[config(Codec::Avc, AVC_OTHER)]);
    assert_eq!(durations(&ended), [1_000]);
    let next = push_all(&mut segmenter, &videos(1_000, 3_040, 2_000));
    assert!(next[0].info.discontinuity);
    assert_eq!(next[0].info.program_date_time, WALL + 1_000);
}

#[test]
fn a_jump_of_the_timeline_is_a_discontinuity() {
    for jump in [-100_000, -1_500, 8_000, 100_000, i64::MAX / 2] {
        let mut frames = videos(200_000, 201_000, 2_000);
        frames.extend(videos(
            201_000 + jump,
            (201_000 + jump).saturating_add(3_000),
            2_000,
        ));
        let segments = segments(&[config(Codec::Avc, AVC)], &frames);
        assert_eq!(durations(&segments), [1_000, 2_000, 1_000], "{jump}");
        let breaks: Vec<_> = segments.iter().map(|it| it.info.discontinuity).collect();
        assert_eq!(breaks, [false, true, false], "{jump}");
        let gap = if (0..60_000).contains(&jump) { jump } else { 0 };
        assert_eq!(
            segments[1].info.program_date_time,
            WALL + 1_000 + gap,
            "{jump}"
        );
    }
}

#[test]
fn an_announced_jump_is_a_discontinuity() {
    let mut segmenter = begun(&both_configs());
    push_all(&mut segmenter, &videos(0, 1_000, 2_000));
    assert_eq!(
        segmenter.discontinuity().map(|it| it.info.duration_ms),
        Some(1_000)
    );
    assert_eq!(segmenter.discontinuity(), None);
    let next = push_all(&mut segmenter, &videos(1_200, 6_000, 2_000));
    assert!(next[0].info.discontinuity && !next[1].info.discontinuity);
}

#[test]
fn a_takeover_goes_on_from_what_it_is_told() {
    let config = SegmenterConfig {
        target_duration_s: Some(4),
        continues: true,
        ..SegmenterConfig::default()
    };
    let mut segmenter = Segmenter::new(config, 42);
    assert_eq!(segmenter.begin(claim(9), WALL), None);
    push_all(&mut segmenter, &both_configs());
    let segments = push_all(&mut segmenter, &videos(0, 4_040, 2_000));
    assert_eq!(
        (segments[0].info.msn, segments[0].info.target_duration_s),
        (42, 4)
    );
    assert!(segments[0].info.discontinuity && !segments[1].info.discontinuity);
}

#[test]
fn an_open_segment_has_a_limit_in_bytes() {
    let mut segmenter = begun(&both_configs());
    let mut large = vec![0x41; 8 << 20];
    large[..5].copy_from_slice(&[0, 0x7F, 0xFF, 0xFC, 0x65]);
    let frame = Frame {
        data: large.into(),
        ..video(0, true)
    };
    let segments = push_all(&mut segmenter, &vec![frame; 9]);
    assert_eq!(segments.len(), 1);
    assert!((48 << 20..=64 << 20).contains(&segments[0].data.len()));
}

#[test]
fn broken_frames_and_records_are_refused_and_passed_over() {
    let mut segmenter = begun(&both_configs());
    push_all(&mut segmenter, &videos(0, 1_960, 2_000));
    let broken = Frame {
        data: Bytes::from_static(&[0, 0, 0, 9, 1]),
        ..video(2_000, true)
    };
    assert!(matches!(segmenter.push(&broken), Err(Error::AccessUnit(_))));
    assert!(matches!(
        segmenter.push(&config(Codec::Aac, b"")),
        Err(Error::Config(_))
    ));
    assert_eq!(segmenter.push(&audio(2_000)), Ok(None)); // no longer readable
    let usac = config(Codec::Aac, b"\xF9\x46\x40");
    assert_eq!(segmenter.push(&usac), Err(Error::NotAdts));
    let segments = push_all(&mut segmenter, &videos(2_000, 2_040, 2_000));
    assert_eq!(durations(&segments), [2_000]);
}

/// MP3 at 44.1 kHz, or at 48 kHz, which tell themselves.
fn mp3s(from: i64, to: i64, header: &'static [u8; 4]) -> Vec<Frame> {
    let frame = |at| Frame {
        codec: Codec::Mp3,
        data: Bytes::from_static(header),
        ..audio(at)
    };
    (from..to).step_by(26).map(frame).collect()
}

const MP3_44: &[u8; 4] = b"\xFF\xFB\x90\x64";
const MP3_48: &[u8; 4] = b"\xFF\xFB\x94\x64";

#[test]
fn audio_without_a_configuration_joins_the_first_segment() {
    let frames = merged(videos(0, 4_040, 2_000), mp3s(30, 4_040, MP3_44));
    let segments = segments(&[config(Codec::Avc, AVC)], &frames);
    assert_eq!(durations(&segments), [2_000, 2_000, 40]);
    for segment in &segments[..2] {
        assert_eq!(frames_in(segment)[&ts::VIDEO_PID], 50);
        assert!(frames_in(segment)[&ts::AUDIO_PID] > 10);
        assert!(!segment.info.discontinuity);
    }
}

#[test]
fn audio_that_changes_without_a_configuration_ends_the_segment() {
    let mut segmenter = begun(&[config(Codec::Avc, AVC)]);
    let before = merged(videos(0, 3_000, 2_000), mp3s(0, 2_980, MP3_44));
    assert_eq!(durations(&push_all(&mut segmenter, &before)), [2_000]);
    let after = merged(videos(3_000, 6_040, 1_000), mp3s(2_990, 6_040, MP3_48));
    let segments = push_all(&mut segmenter, &after);
    assert_eq!(durations(&segments)[0], 1_000);
    assert!(!segments[0].info.discontinuity && segments[1].info.discontinuity);
}

#[test]
fn only_the_default_track_is_cut() {
    let other = |frame: Frame| Frame {
        track_id: 1,
        ..frame
    };
    let mut frames = videos(0, 2_040, 2_000);
    frames.extend(audios(0, 2_000).into_iter().map(other));
    frames.sort_by_key(|frame| frame.dts);
    let configs = [config(Codec::Avc, AVC), other(config(Codec::Aac, AAC))];
    let segments = segments(&configs, &frames);
    assert_eq!(frames_in(&segments[0]).get(&ts::AUDIO_PID), None);
}

#[derive(Clone, Debug)]
enum Step {
    Video { by: i64, key: bool },
    Audio { by: i64 },
    Config(Frame),
    Begin,
    Discontinuity,
    Finish,
}

fn any_step() -> impl Strategy<Value = Step> {
    let by = || prop_oneof![8 => 0..700_i64, 1 => -3_000..9_000_i64, 1 => any::<i64>()];
    prop_oneof![
        20 => (by(), proptest::bool::weighted(0.2)).prop_map(|(by, key)| Step::Video { by, key }),
        20 => by().prop_map(|by| Step::Audio { by }),
        1 => Just(Step::Config(config(Codec::Avc, AVC))),
        1 => Just(Step::Config(config(Codec::Avc, AVC_OTHER))),
        1 => Just(Step::Config(config(Codec::Aac, AAC))),
        1 => proptest::collection::vec(any::<u8>(), 0..50)
            .prop_map(|data| Step::Config(Frame { data: data.into(), ..config(Codec::Avc, b"") })),
        1 => Just(Step::Begin),
        1 => Just(Step::Discontinuity),
        1 => Just(Step::Finish),
    ]
}

proptest! {
    #[test]
    fn any_frames_make_a_playlist_that_keeps_its_promises(
        steps in proptest::collection::vec(any_step(), 0..300),
        wall: i64,
    ) {
        let mut segmenter = begun(&both_configs());
        let mut window = Window::default();
        let (mut video_ms, mut audio_ms) = (0_i64, 0_i64);
        let mut last: Option<SegmentInfo> = None;
        for step in steps {
            let ended = match step {
                Step::Video { by, key } => {
                    video_ms = video_ms.saturating_add(by);
                    segmenter.push(&video(video_ms, key)).unwrap()
                }
                Step::Audio { by } => {
                    audio_ms = audio_ms.saturating_add(by);
                    segmenter.push(&audio(audio_ms)).unwrap()
                }
                Step::Config(frame) => segmenter.push(&frame).unwrap_or(None),
                Step::Begin => segmenter.begin(claim(6), UnixMs(wall)),
                Step::Discontinuity => segmenter.discontinuity(),
                Step::Finish => segmenter.finish(),
            };
            let Some(Segment { info, data }) = ended else {
                continue;
            };
            prop_assert!(!data.is_empty() && data.len() % 188 == 0);
            prop_assert!(info.duration_ms > 0);
            prop_assert!((info.duration_ms + 500) / 1_000 <= u64::from(info.target_duration_s));
            if let Some(last) = last {
                prop_assert_eq!(info.msn, last.msn + 1);
                prop_assert_eq!(info.target_duration_s, last.target_duration_s);
                prop_assert!(info.program_date_time >= last.program_date_time);
            }
            last = Some(info);
            window.push(info);
            let text = window.media_playlist(false).unwrap();
            prop_assert_eq!(text.matches("#EXTINF").count(), window.segments().len());
        }
    }
}
