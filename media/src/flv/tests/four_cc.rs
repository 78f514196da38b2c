use super::*;

fn on(track_id: u8, frame: Frame) -> Frame {
    Frame { track_id, ..frame }
}

#[test]
fn four_cc_bodies_and_frames_agree_in_both_directions() {
    use Codec::{Aac, Ac3, Av1, Avc, Eac3, Flac, Hevc, Mp3, Opus, Vp9};
    for (name, body, frame) in [
        (
            "HEVC configuration",
            &b"\x90hvc1\x01"[..],
            frame(Hevc, Kind::Config, 0, b"\x01"),
        ),
        (
            "key frame",
            b"\x91hvc1\x00\x00\x50x",
            frame(Hevc, KEY, 80, b"x"),
        ),
        (
            "B frame",
            b"\xA1hvc1\xFF\xFF\xD8x",
            frame(Hevc, INTER, -40, b"x"),
        ),
        (
            "without an offset",
            b"\xA3hvc1x",
            frame(Hevc, INTER, 0, b"x"),
        ),
        (
            "colours",
            b"\xD4hvc1\x02\x00\x09colorInfo",
            frame(Hevc, Kind::Metadata, 0, b"\x02\x00\x09colorInfo"),
        ),
        (
            "AV1 configuration",
            b"\x90av01\x81",
            frame(Av1, Kind::Config, 0, b"\x81"),
        ),
        ("AV1", b"\x91av01x", frame(Av1, KEY, 0, b"x")),
        (
            "VP9 configuration",
            b"\x90vp09\x01",
            frame(Vp9, Kind::Config, 0, b"\x01"),
        ),
        ("VP9", b"\xA1vp09x", frame(Vp9, INTER, 0, b"x")),
        (
            "Opus configuration",
            b"\x90OpusOpusHead",
            frame(Opus, Kind::Config, 0, b"OpusHead"),
        ),
        ("Opus", b"\x91Opusx", frame(Opus, KEY, 0, b"x")),
        (
            "Opus channels",
            b"\x94Opus\x01\x02\0\0\0\x03",
            frame(Opus, Kind::Metadata, 0, b"\x01\x02\0\0\0\x03"),
        ),
        (
            "FLAC configuration",
            b"\x90fLaCfLaC",
            frame(Flac, Kind::Config, 0, b"fLaC"),
        ),
        ("FLAC", b"\x91fLaCx", frame(Flac, KEY, 0, b"x")),
        ("AC-3", b"\x91ac-3x", frame(Ac3, KEY, 0, b"x")),
        ("E-AC-3", b"\x91ec-3x", frame(Eac3, KEY, 0, b"x")),
        (
            "H.264 of another track",
            b"\xA6\x01avc1\x01\x00\x00\x28x",
            on(1, frame(Avc, INTER, 40, b"x")),
        ),
        (
            "the same without an offset",
            b"\x96\x03avc1\xFFx",
            on(255, frame(Avc, KEY, 0, b"x")),
        ),
        (
            "its colours",
            b"\x96\x04avc1\x01x",
            on(1, frame(Avc, Kind::Metadata, 0, b"x")),
        ),
        (
            "AAC configuration of another track",
            b"\x95\x00mp4a\x02\x12\x10",
            on(2, frame(Aac, Kind::Config, 0, b"\x12\x10")),
        ),
        (
            "MP3 of another track",
            b"\x95\x01.mp3\x02\xFF",
            on(2, frame(Mp3, KEY, 0, b"\xFF")),
        ),
        (
            "VP9 of another track",
            b"\xA6\x01vp09\x03x",
            on(3, frame(Vp9, INTER, 0, b"x")),
        ),
    ] {
        assert_agree(name, body, &frame);
    }
}

#[test]
fn other_spellings_by_four_cc_are_read_too() {
    use Codec::{Aac, Av1, Avc, Hevc, Mp3};
    let long_mod_ex = [&b"\x97\xFF\x01\x00"[..], &[0; 257], b"\x03hvc1x"].concat();
    for (name, tag, body, frame) in [
        (
            "H.264 configuration",
            TagType::Video,
            &b"\x90avc1\x01"[..],
            frame(Avc, Kind::Config, 0, b"\x01"),
        ),
        (
            "H.264",
            TagType::Video,
            b"\xA1avc1\x00\x00\x28x",
            frame(Avc, INTER, 40, b"x"),
        ),
        (
            "H.264 without an offset",
            TagType::Video,
            b"\x93avc1x",
            frame(Avc, KEY, 0, b"x"),
        ),
        (
            "AAC",
            TagType::Audio,
            b"\x91mp4ax",
            frame(Aac, KEY, 0, b"x"),
        ),
        (
            "MP3",
            TagType::Audio,
            b"\x91.mp3x",
            frame(Mp3, KEY, 0, b"x"),
        ),
        (
            "an offset of 0 said",
            TagType::Video,
            b"\x91hvc1\0\0\0x",
            frame(Hevc, KEY, 0, b"x"),
        ),
        (
            "AV1 that says it has no offset",
            TagType::Video,
            b"\x93av01x",
            frame(Av1, KEY, 0, b"x"),
        ),
        (
            "generated key frame",
            TagType::Video,
            b"\xC3hvc1x",
            frame(Hevc, KEY, 0, b"x"),
        ),
        (
            "colours, marked as a key frame",
            TagType::Video,
            b"\x94hvc1x",
            frame(Hevc, Kind::Metadata, 0, b"x"),
        ),
        (
            "the default track in a multitrack body",
            TagType::Video,
            b"\x96\x03hvc1\x00x",
            frame(Hevc, KEY, 0, b"x"),
        ),
        (
            "nanoseconds",
            TagType::Video,
            b"\x97\x02\x0F\x42\x3F\x03hvc1x",
            frame(Hevc, KEY, 0, b"x"),
        ),
        (
            "modified twice, in a way not known too",
            TagType::Audio,
            b"\x97\x00\xAA\xE7\x02\0\0\x01\x01mp4ax",
            frame(Aac, KEY, 0, b"x"),
        ),
        (
            "a modification of 258 bytes",
            TagType::Video,
            &[&b"\x97\xFF\x01\x01"[..], &[0; 258], b"\x03hvc1x"].concat(),
            frame(Hevc, KEY, 0, b"x"),
        ),
        (
            "a modification of 257 bytes",
            TagType::Video,
            &long_mod_ex,
            frame(Hevc, KEY, 0, b"x"),
        ),
        (
            "modified and multitrack",
            TagType::Audio,
            b"\x97\x02\0\0\x01\x05\x01mp4a\x01x",
            on(1, frame(Aac, KEY, 0, b"x")),
        ),
    ] {
        assert_eq!(read(tag, body), Ok(vec![frame]), "{name}");
    }
}

#[test]
fn a_body_may_hold_many_tracks() {
    use Codec::{Aac, Av1, Avc, Hevc, Opus};
    for (name, tag, body, frames) in [
        (
            "many tracks",
            TagType::Video,
            &b"\x96\x11hvc1\x00\0\0\x04\0\0\x28a\x02\0\0\x05\0\0\0bc"[..],
            vec![
                frame(Hevc, KEY, 40, b"a"),
                on(2, frame(Hevc, KEY, 0, b"bc")),
            ],
        ),
        (
            "many tracks, many codecs",
            TagType::Video,
            b"\xA6\x23avc1\x00\0\0\x01aav01\x01\0\0\x02bc",
            vec![
                frame(Avc, INTER, 0, b"a"),
                on(1, frame(Av1, INTER, 0, b"bc")),
            ],
        ),
        (
            "many audio tracks, one of them with nothing",
            TagType::Audio,
            b"\x95\x21mp4a\x00\0\0\x01aOpus\x01\0\0\0Opus\x02\0\0\x01b",
            vec![frame(Aac, KEY, 0, b"a"), on(2, frame(Opus, KEY, 0, b"b"))],
        ),
        (
            "many tracks, none there",
            TagType::Audio,
            b"\x95\x21",
            vec![],
        ),
    ] {
        assert_eq!(read(tag, body), Ok(frames), "{name}");
    }
}

#[test]
fn what_carries_nothing_by_four_cc_is_passed_over() {
    for (name, tag, body) in [
        ("command", TagType::Video, &b"\xD1\x00"[..]),
        ("command of a track", TagType::Video, b"\xD6\x01hvc1\x01x"),
        (
            "colours of a track, as a command",
            TagType::Video,
            b"\xD6\x04avc1\x01x",
        ),
        ("command, and tracks cut", TagType::Video, b"\xD6"),
        ("end of sequence", TagType::Video, b"\x92hvc1"),
        ("end of sound", TagType::Audio, b"\x92Opus"),
        ("end of a track", TagType::Audio, b"\x95\x02Opus\x01"),
        ("HEVC without data", TagType::Video, b"\x91hvc1\0\0\0"),
        ("AC-3 configuration", TagType::Audio, b"\x90ac-3"),
        (
            "AC-3 configuration of its own",
            TagType::Audio,
            b"\x90ac-3\x10",
        ),
        ("colours of H.264", TagType::Video, b"\xD4avc1x"),
        (
            "channels of AAC",
            TagType::Audio,
            b"\x94mp4a\x01\x02\0\0\0\x03",
        ),
    ] {
        assert_eq!(read(tag, body), Ok(vec![]), "{name}");
    }
}

#[test]
fn a_four_cc_body_that_cannot_be_read_is_refused() {
    let malformed = |reason| Error::Malformed { reason };
    let unknown = malformed("an unknown packet type");
    let other_kind = malformed("a video codec in an audio tag, or an audio codec in a video tag");
    let mod_ex = |times: usize| [&b"\x97"[..], &b"\x00\x00\x07".repeat(times)].concat();
    let tracks = [&b"\x95\x11mp4a"[..], &b"\x00\0\0\0".repeat(257)].concat();
    for (name, tag, body, error) in [
        (
            "three letters",
            TagType::Video,
            &b"\x90hvc"[..],
            Error::Truncated,
        ),
        ("no letters", TagType::Audio, b"\x91", Error::Truncated),
        (
            "offset cut",
            TagType::Video,
            b"\x91hvc1\0\0",
            Error::Truncated,
        ),
        (
            "multitrack alone",
            TagType::Video,
            b"\x96",
            Error::Truncated,
        ),
        (
            "no track id",
            TagType::Video,
            b"\x96\x03hvc1",
            Error::Truncated,
        ),
        (
            "a track longer than the body",
            TagType::Audio,
            b"\x95\x11mp4a\x00\0\0\x02x",
            Error::Truncated,
        ),
        (
            "a track of 16 MiB",
            TagType::Audio,
            b"\x95\x21mp4a\x00\xFF\xFF\xFFx",
            Error::Truncated,
        ),
        (
            "the second track cut",
            TagType::Audio,
            b"\x95\x21mp4a\x00\0\0\x01xOp",
            Error::Truncated,
        ),
        (
            "257 tracks",
            TagType::Audio,
            &tracks,
            malformed("more tracks in a body than there are track ids"),
        ),
        (
            "multitrack type 3",
            TagType::Video,
            b"\x96\x31hvc1\x00x",
            malformed("an unknown type of multitrack body"),
        ),
        (
            "multitrack in multitrack",
            TagType::Video,
            b"\x96\x06hvc1\x00x",
            unknown.clone(),
        ),
        (
            "modified in multitrack",
            TagType::Audio,
            b"\x95\x07mp4a\x00x",
            unknown.clone(),
        ),
        (
            "video packet type 8",
            TagType::Video,
            b"\x98hvc1x",
            unknown.clone(),
        ),
        ("audio packet type 3", TagType::Audio, b"\x93Opusx", unknown),
        (
            "sound in video",
            TagType::Video,
            b"\x91Opusx",
            other_kind.clone(),
        ),
        ("video in sound", TagType::Audio, b"\x91hvc1x", other_kind),
        (
            "modification cut",
            TagType::Video,
            b"\x97\x02\0\0",
            Error::Truncated,
        ),
        (
            "modification without what it is for",
            TagType::Video,
            b"\x97\x00\0",
            Error::Truncated,
        ),
        (
            "modification of 64 KiB",
            TagType::Video,
            b"\x97\xFF\xFF\xFF\0",
            Error::Truncated,
        ),
        (
            "modified seven times, and cut",
            TagType::Video,
            &mod_ex(7),
            Error::Truncated,
        ),
        (
            "modified a thousand times",
            TagType::Video,
            &mod_ex(1000),
            malformed("a packet that is modified more than seven times"),
        ),
    ] {
        assert_eq!(read(tag, body), Err(error), "{name}");
    }
}

/// Half a second of 64x48 HEVC with B frames and VP9, Opus and AC-3, written by ffmpeg 9.
const CLIP: &[u8] = include_bytes!("../testdata/enhanced.flv");

#[test]
fn a_multitrack_file_of_ffmpeg_comes_back_byte_for_byte() {
    let mut frames = Vec::new();
    for tag in tags_of(CLIP, CLIP.len()).unwrap() {
        let mut told = BytesMut::new();
        let read = read(tag.tag_type, &tag.body).unwrap();
        for frame in &read {
            write_body(frame, &mut told);
        }
        // Of a codec that describes itself, the configuration is empty.
        let says_nothing = matches!(&tag.body[..], b"\x95\x00ac-3\x01");
        assert!(told == tag.body || says_nothing && told.is_empty());
        frames.extend(read);
    }
    let count = |codec, track_id, kind| {
        let same = |it: &&Frame| (it.codec, it.track_id, it.kind) == (codec, track_id, kind);
        frames.iter().filter(same).count()
    };
    assert_eq!(count(Codec::Hevc, 0, Kind::Config), 1);
    assert_eq!(count(Codec::Hevc, 0, KEY), 1);
    assert_eq!(count(Codec::Hevc, 0, INTER), 3);
    assert_eq!(count(Codec::Vp9, 1, Kind::Config), 1);
    assert_eq!(count(Codec::Vp9, 1, KEY), 1);
    assert_eq!(count(Codec::Vp9, 1, INTER), 3);
    assert_eq!(count(Codec::Opus, 0, Kind::Config), 1);
    assert_eq!(count(Codec::Opus, 0, Kind::Metadata), 1);
    assert_eq!(count(Codec::Opus, 0, KEY), 11);
    assert_eq!(count(Codec::Ac3, 1, KEY), 7);
    assert!(
        frames
            .iter()
            .any(|frame| frame.pts_offset_ms == 0 && frame.codec == Codec::Hevc)
    );
    assert!(frames.iter().any(|frame| frame.pts_offset_ms == 400));
}
