use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

mod four_cc;

use super::*;
use crate::{
    amf0::{Value, encode_all},
    frame::{Codec, Frame, Kind},
    time::MediaMs,
};

fn frame(codec: Codec, kind: Kind, pts_offset_ms: i32, data: &[u8]) -> Frame {
    Frame {
        codec,
        track_id: 0,
        kind,
        dts: MediaMs(40),
        pts_offset_ms,
        data: Bytes::copy_from_slice(data),
    }
}

fn metadata() -> Bytes {
    let size = ("width".into(), Value::Number(64.0));
    encode_all(&[
        Value::String("onMetaData".into()),
        Value::EcmaArray(vec![size]),
    ])
}

const KEY: Kind = Kind::Media { key: true };
const INTER: Kind = Kind::Media { key: false };

fn read(tag: TagType, body: &[u8]) -> Result<Vec<Frame>, Error> {
    import(tag, MediaMs(40), Bytes::copy_from_slice(body))
}

#[test]
fn bodies_and_frames_agree_in_both_directions() {
    use Codec::{Aac, Avc, Mp3, Script};
    for (name, body, frame) in [
        (
            "AVC configuration",
            &[0x17, 0, 0, 0, 0, 1, 100][..],
            frame(Avc, Kind::Config, 0, &[1, 100]),
        ),
        (
            "key frame",
            &[0x17, 1, 0, 0, 80, 9],
            frame(Avc, KEY, 80, &[9]),
        ),
        (
            "B frame",
            &[0x27, 1, 0xFF, 0xFF, 0xD8, 9],
            frame(Avc, INTER, -40, &[9]),
        ),
        (
            "latest",
            &[0x27, 1, 0x7F, 0xFF, 0xFF, 9],
            frame(Avc, INTER, 8_388_607, &[9]),
        ),
        (
            "earliest",
            &[0x27, 1, 0x80, 0, 0, 9],
            frame(Avc, INTER, -8_388_608, &[9]),
        ),
        (
            "AAC configuration",
            &[0xAF, 0, 0x12, 0x10],
            frame(Aac, Kind::Config, 0, &[0x12, 0x10]),
        ),
        ("AAC", &[0xAF, 1, 0x21], frame(Aac, KEY, 0, &[0x21])),
        (
            "MP3, 44 kHz, stereo",
            &[0x2F, 0xFF, 0xFB, 0x90, 0x44],
            frame(Mp3, KEY, 0, &[0xFF, 0xFB, 0x90, 0x44]),
        ),
        (
            "MP3, 48 kHz, mono",
            &[0x2E, 0xFF, 0xFB, 0x14, 0xC4],
            frame(Mp3, KEY, 0, &[0xFF, 0xFB, 0x14, 0xC4]),
        ),
        (
            "MP3, 24 kHz, joint stereo",
            &[0x2B, 0xFF, 0xF3, 0x44, 0x44],
            frame(Mp3, KEY, 0, &[0xFF, 0xF3, 0x44, 0x44]),
        ),
        (
            "MP3, 11 kHz, mono",
            &[0x26, 0xFF, 0xE3, 0x10, 0xC4],
            frame(Mp3, KEY, 0, &[0xFF, 0xE3, 0x10, 0xC4]),
        ),
        (
            "MP3, 8 kHz, mono",
            &[0xE2, 0xFF, 0xE3, 0x18, 0xC4],
            frame(Mp3, KEY, 0, &[0xFF, 0xE3, 0x18, 0xC4]),
        ),
        (
            "MP3 without its header",
            &[0x2F, 0xFF],
            frame(Mp3, KEY, 0, &[0xFF]),
        ),
        (
            "metadata",
            &metadata(),
            frame(Script, Kind::Metadata, 0, &metadata()),
        ),
    ] {
        assert_agree(name, body, &frame);
    }
}

fn assert_agree(name: &str, body: &[u8], frame: &Frame) {
    let tag = TagType::from(frame.track());
    assert_eq!(read(tag, body), Ok(vec![frame.clone()]), "{name}: read");
    let mut out = BytesMut::new();
    write_body(frame, &mut out);
    assert_eq!(out, body, "{name}: written");
    assert_eq!(body_len(frame), body.len(), "{name}: counted");
}

#[test]
fn other_spellings_are_read_too() {
    let wrapped = [&b"\x02\x00\x0D@setDataFrame"[..], &metadata()].concat();
    for (name, tag, body, frame) in [
        (
            "@setDataFrame",
            TagType::Script,
            &wrapped[..],
            frame(Codec::Script, Kind::Metadata, 0, &metadata()),
        ),
        (
            "generated key frame",
            TagType::Video,
            &[0x47, 1, 0, 0, 0, 9],
            frame(Codec::Avc, KEY, 0, &[9]),
        ),
        (
            "mono AAC at 22 kHz",
            TagType::Audio,
            &[0xAA, 1, 9],
            frame(Codec::Aac, KEY, 0, &[9]),
        ),
        (
            "configuration with an offset",
            TagType::Video,
            &[0x17, 0, 0, 0, 7, 1],
            frame(Codec::Avc, Kind::Config, 0, &[1]),
        ),
    ] {
        assert_eq!(read(tag, body), Ok(vec![frame]), "{name}");
    }
}

#[test]
fn what_carries_nothing_is_passed_over() {
    for (name, tag, body) in [
        ("empty video", TagType::Video, &[][..]),
        ("empty audio", TagType::Audio, &[]),
        ("empty script", TagType::Script, &[]),
        ("end of sequence", TagType::Video, &[0x17, 2, 0, 0, 0]),
        ("video command", TagType::Video, &[0x57, 0]),
        ("video command by FourCC", TagType::Video, &[0xD1, 0]),
        ("AVC without data", TagType::Video, &[0x27, 1, 0, 0, 0]),
        ("AAC without data", TagType::Audio, &[0xAF, 1]),
        (
            "another script",
            TagType::Script,
            b"\x02\x00\x0AonTextData\x05",
        ),
        ("script that is not AMF0", TagType::Script, b"\xFF\xFF"),
    ] {
        assert_eq!(read(tag, body), Ok(vec![]), "{name}");
    }
}

#[test]
fn an_unsupported_codec_is_named() {
    for (tag, body, name) in [
        (TagType::Video, &[0x12, 0][..], "Sorenson H.263"),
        (
            TagType::Video,
            &[0x1C, 1, 0, 0, 0],
            "HEVC by the non-standard FLV video id 12 (Enhanced RTMP has it as hvc1)",
        ),
        (
            TagType::Video,
            &[0x2D, 1, 0, 0, 0],
            "AV1 by the non-standard FLV video id 13 (Enhanced RTMP has it as av01)",
        ),
        (TagType::Video, &[0x1F], "with FLV video id 15"),
        (TagType::Video, b"\x90vvc1", "VVC"),
        (TagType::Video, b"\x92vp08", "VP8"),
        (TagType::Video, b"\x90a\"\n\xFF", "\"a\\\"\\n\\xff\""),
        (TagType::Video, b"\x96\x01vvc1\x01\0\0\x01x", "VVC"),
        (
            TagType::Video,
            b"\x95av01\x80\x04",
            "AV1 with a descriptor of MPEG-TS",
        ),
        (TagType::Audio, &[0xC0], "with FLV audio id 12"),
        (
            TagType::Audio,
            &[0xDF, 1],
            "Opus by the non-standard FLV audio id 13 (Enhanced RTMP has it as Opus)",
        ),
        (TagType::Audio, b"\x91spex", "\"spex\""),
    ] {
        let name = name.into();
        assert_eq!(read(tag, body), Err(Error::UnsupportedCodec { name }));
    }
}

#[test]
fn a_body_that_cannot_be_read_is_refused() {
    let malformed = |reason| Error::Malformed { reason };
    let long = vec![0; BODY_BYTES_MAX + 1];
    let too_long = Error::TooLong {
        bytes_max: BODY_BYTES_MAX,
    };
    let metadata_of = |rest: &[u8]| [b"\x02\x00\x0AonMetaData", rest].concat();
    let amf_limit = amf0::Error::Limit {
        of: "bytes",
        max: 65_536,
    };
    let amf_end = amf0::Error::Malformed {
        reason: "ends inside a value",
        offset: 16,
    };
    for (name, tag, body, error) in [
        ("AVC, 1 byte", TagType::Video, &[0x17][..], Error::Truncated),
        (
            "AVC, 4 bytes",
            TagType::Video,
            &[0x17, 1, 0, 0],
            Error::Truncated,
        ),
        ("AAC, 1 byte", TagType::Audio, &[0xAF], Error::Truncated),
        (
            "FourCC, 3 letters",
            TagType::Video,
            b"\x90hvc",
            Error::Truncated,
        ),
        (
            "AVC packet type 3",
            TagType::Video,
            &[0x17, 3, 0, 0, 0],
            malformed("an unknown AVC packet type"),
        ),
        (
            "AAC packet type 2",
            TagType::Audio,
            &[0xAF, 2],
            malformed("an unknown AAC packet type"),
        ),
        ("body over 8 MiB", TagType::Video, &long, too_long),
        (
            "metadata alone",
            TagType::Script,
            &metadata_of(&[]),
            malformed("onMetaData without an object or array"),
        ),
        (
            "metadata is a number",
            TagType::Script,
            &metadata_of(&[0; 9]),
            malformed("onMetaData without an object or array"),
        ),
        (
            "metadata cut",
            TagType::Script,
            &metadata_of(b"\x03\x00\x05wid"),
            amf_end.into(),
        ),
        (
            "metadata of 1 MiB",
            TagType::Script,
            &metadata_of(&vec![5; 1 << 20]),
            amf_limit.into(),
        ),
    ] {
        assert_eq!(read(tag, body), Err(error), "{name}");
    }
}

#[test]
fn a_configuration_without_data_is_refused() {
    use TagType::{Audio, Video};
    for (name, tag, body) in [
        ("AVC", Video, &[0x17, 0, 0, 0, 0][..]),
        ("AAC", Audio, &[0xAF, 0]),
        ("AVC by FourCC", Video, b"\x90avc1"),
        ("AAC by FourCC", Audio, b"\x90mp4a"),
        ("HEVC", Video, b"\x90hvc1"),
        ("AV1", Video, b"\x90av01"),
        ("VP9", Video, b"\x90vp09"),
        ("Opus", Audio, b"\x90Opus"),
        ("FLAC", Audio, b"\x90fLaC"),
        ("another track's", Video, b"\x96\x00hvc1\x01"),
        (
            "one of two tracks'",
            Audio,
            b"\x95\x10mp4a\x00\0\0\x02\x12\x10\x01\0\0\0",
        ),
    ] {
        let reason = "a configuration without data";
        assert_eq!(read(tag, body), Err(Error::Malformed { reason }), "{name}");
    }
}

#[test]
fn data_is_a_slice_of_the_body() {
    let body = Bytes::from_static(&[0x17, 1, 0, 0, 0, 9, 9]);
    let frame = import(TagType::Video, MediaMs(0), body.clone());
    assert_eq!(frame.unwrap()[0].data.as_ptr(), body[5..].as_ptr());
}

#[test]
fn a_tag_is_written_byte_for_byte() {
    let mut key = frame(Codec::Avc, KEY, 80, &[9]);
    let mut out = BytesMut::new();
    for (ms, timestamp) in [
        (40, [0, 0, 40, 0]),
        (0x00FF_FFFF, [0xFF, 0xFF, 0xFF, 0]),
        (0x0100_0000, [0, 0, 0, 1]),
        (0xFFFF_FFFF, [0xFF, 0xFF, 0xFF, 0xFF]),
        (0x1_0000_0001, [0, 0, 1, 0]),
    ] {
        key.dts = MediaMs(ms);
        out.clear();
        write_tag(&key, &mut out);
        let body = [0x17, 1, 0, 0, 80, 9];
        let tag = [
            &[9, 0, 0, 6][..],
            &timestamp,
            &[0; 3],
            &body,
            &[0, 0, 0, 17],
        ];
        assert_eq!(out, tag.concat(), "{ms:#x}");
    }
    assert_eq!(file_header(true, true), *b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
    assert_eq!(file_header(true, false)[4], 1);
    assert_eq!(file_header(false, true)[4], 4);
}

/// One second of 64x48 H.264 with B frames and mono AAC, written by ffmpeg.
const CLIP: &[u8] = include_bytes!("testdata/clip.flv");

fn tags_of(stream: &[u8], piece_bytes: usize) -> Result<Vec<Tag>, Error> {
    let mut demuxer = Demuxer::new();
    let mut tags = Vec::new();
    for piece in stream.chunks(piece_bytes) {
        demuxer.push(piece);
        while let Some(tag) = demuxer.next_tag()? {
            tags.push(tag);
        }
    }
    Ok(tags)
}

#[test]
fn a_file_of_ffmpeg_comes_back_byte_for_byte() {
    let mut out = BytesMut::from(&file_header(true, true)[..]);
    let mut frames = Vec::new();
    for tag in tags_of(CLIP, CLIP.len()).unwrap() {
        frames.extend(import(tag.tag_type, MediaMs(tag.timestamp.into()), tag.body).unwrap());
    }
    for frame in &frames {
        write_tag(frame, &mut out);
    }
    // Only the end of the sequence carries nothing.
    let end_of_sequence = CLIP.strip_prefix(&out[..]).unwrap();
    assert_eq!(end_of_sequence.len(), 11 + 5 + 4);
    assert_eq!(end_of_sequence[11..13], [0x17, 2]);
    let kinds = |codec, kind| {
        let same = |frame: &&Frame| frame.codec == codec && frame.kind == kind;
        frames.iter().filter(same).count()
    };
    assert_eq!(kinds(Codec::Script, Kind::Metadata), 1);
    assert_eq!(kinds(Codec::Avc, Kind::Config), 1);
    assert_eq!(kinds(Codec::Avc, KEY), 1);
    assert_eq!(kinds(Codec::Avc, INTER), 9);
    assert_eq!(kinds(Codec::Aac, Kind::Config), 1);
    assert!(frames.iter().any(|frame| frame.pts_offset_ms > 0));
}

#[test]
fn pieces_of_any_size_give_the_same_tags() {
    let whole = tags_of(CLIP, CLIP.len()).unwrap();
    for piece_bytes in [1, 2, 3, 11, 100, 1_000] {
        assert_eq!(tags_of(CLIP, piece_bytes).unwrap(), whole, "{piece_bytes}");
    }
}

#[test]
fn a_tag_is_answered_with_its_last_byte() {
    let mut demuxer = Demuxer::new();
    demuxer.push(&file_header(false, true));
    demuxer.push(&[8, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xAF, 1]);
    assert_eq!(demuxer.next_tag(), Ok(None));
    demuxer.push(&[9]);
    assert_eq!(demuxer.next_tag().unwrap().unwrap().body, [0xAF, 1, 9][..]);
    assert_eq!(demuxer.next_tag(), Ok(None));
}

#[test]
fn a_longer_file_header_and_a_wrong_tag_size_are_passed_over() {
    let audio = [8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xAF];
    let header = b"FLV\x01\x04\0\0\0\x0B??\0\0\0\0";
    let stream = [&header[..], &audio, b"size", &audio].concat();
    assert_eq!(tags_of(&stream, 1).unwrap().len(), 2);
}

#[test]
fn a_stream_that_is_not_flv_is_refused_for_good() {
    let header = file_header(true, true);
    let after_header = |tag: &[u8]| [&header, tag].concat();
    let malformed = |reason| Error::Malformed { reason };
    let too_long = Error::TooLong {
        bytes_max: BODY_BYTES_MAX,
    };
    for (name, stream, error) in [
        (
            "HTTP",
            b"HT".to_vec(),
            malformed("it does not start with FLV version 1"),
        ),
        (
            "version 2",
            b"FLV\x02".to_vec(),
            malformed("it does not start with FLV version 1"),
        ),
        (
            "header of 8",
            b"FLV\x01\x05\0\0\0\x08".to_vec(),
            malformed("its header cannot be that long"),
        ),
        (
            "header of 4 GiB",
            b"FLV\x01\x05\xFF\xFF\xFF\xFF".to_vec(),
            malformed("its header cannot be that long"),
        ),
        (
            "tag type 15",
            after_header(&[15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            malformed("an unknown tag type"),
        ),
        (
            "encrypted",
            after_header(&[0x29, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            malformed("an encrypted tag"),
        ),
        (
            "body of 16 MiB",
            after_header(&[9, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0]),
            too_long,
        ),
    ] {
        let mut demuxer = Demuxer::new();
        demuxer.push(&stream);
        for _ in 0..2 {
            assert_eq!(demuxer.next_tag(), Err(error.clone()), "{name}");
        }
    }
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let codec = (0..Codec::BY_FOUR_CC.len()).prop_map(|at| Codec::BY_FOUR_CC[at].1);
    let track_id = prop_oneof![3 => Just(0), 1 => any::<u8>()];
    let kind = prop_oneof![
        Just(Kind::Config),
        Just(KEY),
        Just(INTER),
        Just(Kind::Metadata)
    ];
    let data = proptest::collection::vec(any::<u8>(), 1..64);
    let cts = prop_oneof![Just(0), -(1 << 23)..(1i32 << 23)];
    let dts = 0..=i64::from(u32::MAX);
    let fields = (codec, track_id, kind, dts, cts, data);
    fields.prop_filter_map(
        "no tag says it",
        |(codec, track_id, kind, dts, cts, data)| {
            let is_video = codec.track() == Track::Video;
            let is_plain = track_id == 0 && matches!(codec, Codec::Avc | Codec::Aac | Codec::Mp3);
            let is_unsaid = kind == Kind::Config && !codec.has_config()
                || kind == Kind::Metadata && is_plain
                || kind == INTER && !is_video;
            let has_cts = matches!(codec, Codec::Avc | Codec::Hevc) && matches!(kind, KEY | INTER);
            (!is_unsaid).then_some(Frame {
                codec,
                track_id,
                kind,
                dts: MediaMs(dts),
                pts_offset_ms: if has_cts { cts } else { 0 },
                data: data.into(),
            })
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        frames in proptest::collection::vec(any_frame(), 0..8),
        piece_bytes in 1..64usize,
    ) {
        let mut stream = BytesMut::from(&file_header(true, true)[..]);
        for frame in &frames {
            write_tag(frame, &mut stream);
        }
        let mut back = Vec::new();
        for tag in tags_of(&stream, piece_bytes).unwrap() {
            back.extend(import(tag.tag_type, MediaMs(tag.timestamp.into()), tag.body).unwrap());
        }
        prop_assert_eq!(back, frames);
    }

    #[test]
    fn any_body_is_answered(
        first in any::<u8>(),
        second in 0..4u8,
        at in 0..Codec::BY_FOUR_CC.len(),
        rest in any::<Vec<u8>>(),
    ) {
        let four_cc = Codec::BY_FOUR_CC[at].0.as_bytes();
        for body in [
            [&[first, second][..], &rest].concat(),
            [&[first][..], four_cc, &rest].concat(),
            [&[first, second << 4 | 1][..], four_cc, &rest].concat(),
        ] {
            for tag in [TagType::Audio, TagType::Video, TagType::Script] {
                for frame in read(tag, &body).unwrap_or_default() {
                    let mut out = BytesMut::new();
                    write_body(&frame, &mut out);
                    prop_assert_eq!(read(tag, &out), Ok(vec![frame]));
                }
            }
        }
    }

    #[test]
    fn any_stream_is_answered(rest in any::<Vec<u8>>(), at in 0..CLIP.len(), byte in any::<u8>()) {
        let _ = tags_of(&[&file_header(true, true)[..], &rest].concat(), 7);
        let mut clip = CLIP.to_vec();
        clip[at] = byte;
        let _ = tags_of(&clip, 100);
    }
}
