use std::collections::HashMap;

use bytes::{BufMut, Bytes};
use mpeg2ts::es::StreamType;
use mpeg2ts::pes::{PesPacket, PesPacketReader, ReadPesPacket};
use mpeg2ts::ts::payload::Pmt;
use mpeg2ts::ts::{ReadTsPacket, TsPacket, TsPacketReader, TsPayload};
use proptest::prelude::*;

use super::*;
use crate::codec::avc::tests::hex;
use crate::codec::{aac, avc, hevc};
use crate::frame::Codec;
use crate::time::MediaMs;

/// 320×240 at 25 frames a second, made by x264.
fn avc_config() -> avc::DecoderConfig {
    let record = [
        0x01, 0x42, 0xC0, 0x1E, 0xFF, 0xE1, 0x00, 0x19, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80,
        0xBF, 0xE5, 0xC0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xF0, 0x3C,
        0x58, 0xBA, 0x80, 0x01, 0x00, 0x04, 0x68, 0xCE, 0x0F, 0xC8,
    ];
    avc::DecoderConfig::parse(&record).unwrap()
}

fn aac_config() -> aac::AudioSpecificConfig {
    aac::AudioSpecificConfig::parse(&[0x12, 0x10]).unwrap()
}

fn muxer(video: bool, audio: bool) -> Muxer {
    let mut muxer = Muxer::new();
    if video {
        muxer.set_video(VideoConfig::Avc(avc_config()));
    }
    if audio {
        muxer.set_audio(AudioConfig::Aac(aac_config()));
    }
    muxer
}

fn video(dts: i64, pts_offset_ms: i32, nals: &[&[u8]]) -> Frame {
    let mut data = BytesMut::new();
    for nal in nals {
        data.put_u32(nal.len() as u32);
        data.put_slice(nal);
    }
    let key = nals.iter().any(|nal| nal.first() == Some(&0x65));
    Frame {
        codec: Codec::Avc,
        track_id: 0,
        kind: Kind::Media { key },
        dts: MediaMs(dts),
        pts_offset_ms,
        data: data.freeze(),
    }
}

fn audio(dts: i64, data: &[u8]) -> Frame {
    Frame {
        codec: Codec::Aac,
        track_id: 0,
        kind: Kind::Media { key: true },
        dts: MediaMs(dts),
        pts_offset_ms: 0,
        data: Bytes::copy_from_slice(data),
    }
}

/// One segment of these frames.
fn segment(muxer: &mut Muxer, frames: &[Frame]) -> BytesMut {
    let mut out = BytesMut::new();
    muxer.start_segment(&mut out);
    for frame in frames {
        muxer.write(frame, &mut out).unwrap();
    }
    muxer.flush_audio(&mut out);
    out
}

fn packets(data: &[u8]) -> Vec<TsPacket> {
    assert_eq!(data.len() % 188, 0);
    let mut reader = TsPacketReader::new(data);
    std::iter::from_fn(|| reader.read_ts_packet().unwrap()).collect()
}

fn pmt(data: &[u8]) -> Pmt {
    let found = packets(data)
        .into_iter()
        .find_map(|packet| match packet.payload {
            Some(TsPayload::Pmt(pmt)) => Some(pmt),
            _ => None,
        });
    found.unwrap()
}

fn pes(data: &[u8], video: bool) -> Vec<PesPacket<Vec<u8>>> {
    let mut reader = PesPacketReader::new(TsPacketReader::new(data));
    std::iter::from_fn(|| reader.read_pes_packet().unwrap())
        .filter(|packet| packet.header.stream_id.is_video() == video)
        .collect()
}

fn stamp(ms: i64) -> u64 {
    ((ms + TIMELINE_OFFSET_MS) * 90) as u64
}

fn assert_counters_run_on(data: &[u8]) {
    let mut last: HashMap<u16, u8> = HashMap::new();
    for packet in packets(data) {
        let pid = packet.header.pid.as_u16();
        let counter = packet.header.continuity_counter.as_u8();
        let step = u8::from(packet.payload.is_some());
        if let Some(last) = last.insert(pid, counter) {
            assert_eq!(counter, (last + step) % 16, "packet identifier {pid:#x}");
        }
    }
}

#[test]
fn tables_name_only_the_tracks_that_exist() {
    for (has_video, has_audio, types, clock) in [
        (
            true,
            true,
            &[StreamType::H264, StreamType::AdtsAac][..],
            Some(VIDEO_PID),
        ),
        (true, false, &[StreamType::H264], Some(VIDEO_PID)),
        (false, true, &[StreamType::AdtsAac], Some(AUDIO_PID)),
        (false, false, &[], None),
    ] {
        let pmt = pmt(&segment(&mut muxer(has_video, has_audio), &[]));
        let found: Vec<_> = pmt.es_info.iter().map(|es| es.stream_type).collect();
        assert_eq!(found, types);
        assert_eq!(pmt.pcr_pid.map(|pid| pid.as_u16()), clock);
    }
}

#[test]
fn a_change_of_tracks_is_a_new_version() {
    let mut muxer = muxer(true, false);
    let first = pmt(&segment(&mut muxer, &[])).version_number;
    muxer.set_video(VideoConfig::Avc(avc_config()));
    assert_eq!(pmt(&segment(&mut muxer, &[])).version_number, first);
    muxer.set_audio(AudioConfig::Aac(aac_config()));
    assert_ne!(pmt(&segment(&mut muxer, &[])).version_number, first);
}

#[test]
fn access_units_get_what_they_lack() {
    let config = avc_config();
    let (sps, pps) = (config.sps[0].as_ref(), config.pps[0].as_ref());
    let (aud, aud_own): (&[u8], &[u8]) = (&[9, 0xF0], &[9, 0x10]);
    let (idr, slice, sei): (&[u8], &[u8], &[u8]) = (&[0x65, 1, 2], &[0x41, 3], &[6, 5, 1]);
    for (name, nals, expected) in [
        ("key frame", &[idr][..], &[aud, sps, pps, idr][..]),
        ("other frame", &[slice], &[aud, slice]),
        (
            "own delimiter",
            &[aud_own, sei, idr],
            &[aud_own, sps, pps, sei, idr],
        ),
        (
            "own parameter sets",
            &[sps, pps, idr],
            &[aud, sps, pps, idr],
        ),
        (
            "all its own",
            &[aud_own, sps, pps, sei, idr],
            &[aud_own, sps, pps, sei, idr],
        ),
        (
            "only half of its own",
            &[sps, idr],
            &[aud, sps, pps, sps, idr],
        ),
        ("empty units", &[&[], idr, &[]], &[aud, sps, pps, idr]),
    ] {
        let out = segment(&mut muxer(true, false), &[video(0, 0, nals)]);
        let expected: Vec<u8> = expected
            .iter()
            .flat_map(|nal| [&[0, 0, 0, 1], *nal].concat())
            .collect();
        assert_eq!(pes(&out, true)[0].data, expected, "{name}");
    }
}

#[test]
fn times_survive_and_stay_above_zero() {
    for (dts, offset, pts_out, dts_out) in [
        (0, 0, 0, None),
        (0, 80, 80, Some(0)),
        (1000, -40, 960, None),  // shown before it is decoded: decoded earlier
        (0, -1000, -1000, None), // as far as that goes
        (0, -1001, 0, None),     // and what is no picture order
        (1 << 31, 33, (1 << 31) + 33, Some(1 << 31)),
    ] {
        let out = segment(
            &mut muxer(true, false),
            &[video(dts, offset, &[&[0x65, 1]])],
        );
        let header = &pes(&out, true)[0].header;
        let wrap = |ms| stamp(ms) & 0x1_FFFF_FFFF;
        assert_eq!(
            header.pts.unwrap().as_u64(),
            wrap(pts_out),
            "{dts} {offset}"
        );
        assert_eq!(
            header.dts.map(|it| it.as_u64()),
            dts_out.map(wrap),
            "{dts} {offset}"
        );
    }
}

#[test]
fn decoding_times_keep_their_order_once_lowered() {
    let offsets = [0, 67, -33, -33, 67, -33, -33];
    let frames: Vec<_> = offsets
        .iter()
        .zip((0..).step_by(33))
        .map(|(&offset, dts)| video(dts, offset, &[&[0x41, 1]]))
        .collect();
    let packets = pes(&segment(&mut muxer(true, false), &frames), true);
    let decoded: Vec<_> = packets
        .iter()
        .map(|it| it.header.dts.or(it.header.pts).unwrap().as_u64())
        .collect();
    assert!(decoded.is_sorted(), "{decoded:?}");
    for (packet, frame) in packets.iter().zip(&frames) {
        assert_eq!(packet.header.pts.unwrap().as_u64(), stamp(frame.pts().0));
    }
}

#[test]
fn clock_and_random_access() {
    let frames = [video(0, 0, &[&[0x65, 1]]), video(40, 0, &[&[0x41, 1]])];
    let out = segment(&mut muxer(true, false), &frames);
    let fields: Vec<_> = packets(&out)
        .into_iter()
        .filter(|packet| packet.header.pid.as_u16() == VIDEO_PID)
        .filter_map(|packet| packet.adaptation_field)
        .map(|field| (field.random_access_indicator, field.pcr.unwrap().as_u64()))
        .collect();
    let clock = |dts: i64| stamp(dts - 500) * 300;
    assert_eq!(fields, [(true, clock(0)), (false, clock(40))]);
}

#[test]
fn the_clock_goes_on_while_video_is_silent() {
    let mut frames = vec![video(0, 0, &[&[0x65, 1]])];
    frames.extend((0..100).map(|at| audio(at * 1024 * 10 / 441, &[7; 50])));
    let out = segment(&mut muxer(true, true), &frames);
    let clocks: Vec<_> = packets(&out)
        .into_iter()
        .filter_map(|packet| packet.adaptation_field?.pcr)
        .map(|pcr| pcr.as_u64() / 27_000)
        .collect();
    assert!(clocks.len() > 15, "{clocks:?}");
    assert!(
        clocks
            .windows(2)
            .all(|pair| (1..=250).contains(&(pair[1] - pair[0]))),
        "{clocks:?}"
    );
    assert_counters_run_on(&out);
}

#[test]
fn audio_is_grouped_and_comes_back_as_adts() {
    let frames: Vec<_> = (0..20)
        .map(|at| audio(at * 1024 * 10 / 441, &[at as u8; 200]))
        .collect();
    let out = segment(&mut muxer(false, true), &frames);
    let groups = pes(&out, false);
    // 100 ms hold five starts of 23.2 ms.
    assert_eq!(groups.len(), 4);
    let expected: Vec<u8> = frames
        .iter()
        .flat_map(|frame| [&aac_config().adts_header(200).unwrap(), frame.data.as_ref()].concat())
        .collect();
    assert_eq!(
        groups
            .iter()
            .flat_map(|it| it.data.clone())
            .collect::<Vec<_>>(),
        expected
    );
    for (group, frame) in groups.iter().zip(frames.iter().step_by(5)) {
        assert_eq!(group.header.pts.unwrap().as_u64(), stamp(frame.dts.0));
    }
}

#[test]
fn audio_after_a_gap_has_its_own_time() {
    let out = segment(
        &mut muxer(false, true),
        &[audio(0, &[1; 9]), audio(23, &[2; 9]), audio(70, &[3; 9])],
    );
    let times: Vec<_> = pes(&out, false)
        .iter()
        .map(|it| it.header.pts.unwrap().as_u64())
        .collect();
    assert_eq!(times, [stamp(0), stamp(70)]);
}

#[test]
fn the_largest_audio_frames_never_outgrow_their_pes() {
    // 96 kHz: ten frames of the largest size want to share a group.
    let mut muxer = Muxer::new();
    let config = AudioConfig::parse(Codec::Aac, &[0x10, 0x10]).unwrap();
    muxer.set_audio(config.unwrap());
    let frames: Vec<_> = (0..30)
        .map(|at| audio(at * 1024 / 96, &[1; 8184]))
        .collect();
    let out = segment(&mut muxer, &frames);
    let total: usize = pes(&out, false).iter().map(|it| it.data.len()).sum();
    assert_eq!(total, 30 * 8191);
}

#[test]
fn a_frame_of_many_megabytes_comes_back() {
    let mut nal = vec![0x55; 8 << 20];
    nal[0] = 0x65;
    let out = segment(
        &mut muxer(true, false),
        &[video(0, 0, &[&nal]), video(40, 0, &[&[0x41]])],
    );
    let packets = pes(&out, true);
    assert!(packets.iter().any(|packet| packet.data.ends_with(&nal)));
    assert_counters_run_on(&out);
}

#[test]
fn what_cannot_be_written_leaves_no_trace() {
    let mut broken = video(0, 0, &[&[0x65, 1], &[0x41, 2]]);
    broken.data.truncate(broken.data.len() - 1);
    let truncated = Error::AccessUnit(codec::Error::Truncated);
    for (mut muxer, frame, error) in [
        (muxer(true, true), broken, truncated),
        (muxer(true, true), video(0, 0, &[]), Error::Empty),
        (muxer(true, true), video(0, 0, &[&[]]), Error::Empty),
        (muxer(true, true), audio(0, &[]), Error::Empty),
        (muxer(true, true), audio(0, &[0; 8185]), Error::NotAdts),
        (muxer(false, true), video(0, 0, &[&[0x65]]), Error::NoConfig),
        (muxer(true, false), audio(0, &[1]), Error::NoConfig),
    ] {
        let mut out = BytesMut::new();
        assert_eq!(muxer.check(&frame), Err(error));
        assert_eq!(muxer.write(&frame, &mut out), Err(error));
        muxer.flush_audio(&mut out);
        assert!(out.is_empty());
    }
    let usac = AudioConfig::parse(Codec::Aac, &[0xF9, 0x46, 0x40]);
    assert_eq!(usac, Err(Error::NotAdts));
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let data = proptest::collection::vec(any::<u8>(), 0..600);
    let dts = prop_oneof![any::<i64>(), 0..5_000_i64];
    (any::<bool>(), any::<bool>(), dts, any::<i32>(), data).prop_map(
        |(is_video, key, dts, offset, data)| {
            let mut frame = if is_video {
                video(dts, offset, &[&data])
            } else {
                audio(dts, &data)
            };
            frame.kind = Kind::Media { key };
            frame
        },
    )
}

proptest! {
    #[test]
    fn any_frames_make_segments_that_read_back(frames in proptest::collection::vec(any_frame(), 0..40), cut in 0usize..40) {
        let mut muxer = muxer(true, true);
        let mut out = BytesMut::new();
        let (mut video_frames, mut audio_bytes) = (0, 0);
        muxer.start_segment(&mut out);
        for (at, frame) in frames.iter().enumerate() {
            if at == cut {
                muxer.flush_audio(&mut out);
                muxer.start_segment(&mut out);
            }
            if muxer.write(frame, &mut out).is_ok() {
                match frame.codec {
                    Codec::Avc => video_frames += 1,
                    _ => audio_bytes += frame.data.len() + 7,
                }
            }
        }
        muxer.flush_audio(&mut out);
        assert_counters_run_on(&out);
        prop_assert_eq!(pes(&out, true).len(), video_frames);
        prop_assert_eq!(pes(&out, false).iter().map(|it| it.data.len()).sum::<usize>(), audio_bytes);
    }

    #[test]
    fn any_bytes_as_an_access_unit_are_taken_or_refused_whole(data in proptest::collection::vec(any::<u8>(), 0..300), key: bool) {
        let frame = Frame { data: data.into(), kind: Kind::Media { key }, ..video(0, 0, &[]) };
        let mut out = BytesMut::new();
        let taken = muxer(true, false).write(&frame, &mut out).is_ok();
        prop_assert_eq!(out.is_empty(), !taken);
        prop_assert_eq!(out.len() % 188, 0);
    }
}

/// Main profile, 320×240, made by x265.
fn hevc_config() -> hevc::DecoderConfig {
    let record = hex(
        "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c959409210001002a42010101600000030090000003000003003ca00a080f16595952930bc05a020000030002000003003c1022000100064401c073c189",
    );
    hevc::DecoderConfig::parse(&record).unwrap()
}

const MP3: &[u8] = &[0xFF, 0xFB, 0x90, 0x64, 1, 2, 3];
const MP3_LOW: &[u8] = &[0xFF, 0xF3, 0x80, 0x64, 1, 2, 3];
const AC3: &[u8] = &[0x0B, 0x77, 0xFE, 0x95, 0x14, 0x40, 0x43, 0xE1, 9];
const EAC3: &[u8] = &[0x0B, 0x77, 0x03, 0x7F, 0x3F, 0x87, 0xC0, 0x00, 9];

fn of_codec(codec: Codec, dts: i64, data: &[u8]) -> Frame {
    Frame {
        codec,
        ..audio(dts, data)
    }
}

/// Without video, with the audio that this frame is of.
fn muxer_for(frame: &Frame) -> Muxer {
    let mut muxer = Muxer::new();
    let config = AudioConfig::of_frame(frame.codec, &frame.data).unwrap();
    muxer.set_audio(config.unwrap());
    muxer
}

/// The track entries of the program map table: type, packet identifier, descriptors.
fn tracks(data: &[u8]) -> Vec<(u8, u16, Vec<u8>)> {
    let section = &data[188 + 5..];
    let length = usize::from(section[1] & 0x0F) << 8 | usize::from(section[2]);
    let end = 3 + length - 4; // the CRC
    let mut rest = &section[12..end];
    let mut tracks = Vec::new();
    while let [kind, high, low, _, descriptors, after @ ..] = rest {
        let pid = u16::from_be_bytes([*high, *low]) & 0x1FFF;
        let (descriptors, after) = after.split_at((*descriptors).into());
        tracks.push((*kind, pid, descriptors.to_vec()));
        rest = after;
    }
    tracks
}

#[test]
fn tables_name_each_codec() {
    let registered = |format: &[u8]| [&[5, 4], format].concat();
    let mut muxer = Muxer::new();
    muxer.set_video(VideoConfig::Hevc(hevc_config()));
    assert_eq!(
        tracks(&segment(&mut muxer, &[])),
        [(0x24, VIDEO_PID, registered(b"HEVC"))]
    );
    for (codec, data, number, descriptors) in [
        (Codec::Mp3, MP3, 0x03, vec![]),
        (Codec::Mp3, MP3_LOW, 0x04, vec![]),
        (Codec::Ac3, AC3, 0x81, registered(b"AC-3")),
        (Codec::Eac3, EAC3, 0x87, registered(b"EAC3")),
    ] {
        let frame = of_codec(codec, 0, data);
        let out = segment(&mut muxer_for(&frame), &[frame]);
        assert_eq!(
            tracks(&out),
            [(number, AUDIO_PID, descriptors)],
            "{codec:?}"
        );
    }
}

#[test]
fn hevc_access_units_get_what_they_lack() {
    let config = hevc_config();
    let [vps, sps, pps] = [&config.vps, &config.sps, &config.pps].map(|sets| sets[0].as_ref());
    let (aud, aud_own): (&[u8], &[u8]) = (&[0x46, 1, 0x50], &[0x46, 1, 0x10]);
    let (idr, slice): (&[u8], &[u8]) = (&[0x26, 1, 2], &[0x02, 1, 3]);
    for (name, key, nals, expected) in [
        (
            "key frame",
            true,
            &[idr][..],
            &[aud, vps, sps, pps, idr][..],
        ),
        ("other frame", false, &[slice], &[aud, slice]),
        (
            "own delimiter",
            true,
            &[aud_own, idr],
            &[aud_own, vps, sps, pps, idr],
        ),
        (
            "own sets",
            true,
            &[vps, sps, pps, idr],
            &[aud, vps, sps, pps, idr],
        ),
        (
            "some of its own",
            true,
            &[sps, pps, idr],
            &[aud, vps, sps, pps, sps, pps, idr],
        ),
    ] {
        let frame = Frame {
            codec: Codec::Hevc,
            kind: Kind::Media { key },
            ..video(0, 0, nals)
        };
        let mut muxer = Muxer::new();
        muxer.set_video(VideoConfig::Hevc(config.clone()));
        let expected: Vec<u8> = expected
            .iter()
            .flat_map(|nal| [&[0, 0, 0, 1], *nal].concat())
            .collect();
        assert_eq!(
            pes(&segment(&mut muxer, &[frame]), true)[0].data,
            expected,
            "{name}"
        );
    }
}

#[test]
fn frames_with_headers_of_their_own_come_back_as_they_were() {
    for (codec, data, frame_ms, in_group) in [
        (Codec::Mp3, MP3, 26, 4),
        (Codec::Ac3, AC3, 32, 4),
        (Codec::Eac3, EAC3, 32, 4),
    ] {
        let frames: Vec<_> = (0..8)
            .map(|at| of_codec(codec, at * frame_ms, data))
            .collect();
        let out = segment(&mut muxer_for(&frames[0]), &frames);
        let groups = pes(&out, false);
        let ids: Vec<_> = groups
            .iter()
            .map(|it| it.header.stream_id.as_u8())
            .collect();
        let id = if codec == Codec::Mp3 { 0xC0 } else { 0xBD };
        assert_eq!(ids, vec![id; 8 / in_group], "{codec:?}");
        let read: Vec<u8> = groups.into_iter().flat_map(|it| it.data).collect();
        assert_eq!(read, data.repeat(8), "{codec:?}");
    }
}

#[test]
fn frames_that_the_tables_do_not_announce_are_refused() {
    let ac3 = of_codec(Codec::Ac3, 0, AC3);
    let hevc = Frame {
        codec: Codec::Hevc,
        ..video(0, 0, &[&[0x26, 1]])
    };
    for (muxer, frame, error) in [
        (
            muxer_for(&ac3),
            of_codec(Codec::Mp3, 0, MP3),
            Error::NoConfig,
        ),
        (
            muxer_for(&ac3),
            of_codec(Codec::Eac3, 0, EAC3),
            Error::NoConfig,
        ),
        (muxer_for(&ac3), audio(0, &[1]), Error::NoConfig),
        (
            muxer_for(&ac3),
            of_codec(Codec::Ac3, 0, &AC3[1..]),
            Error::AudioFrame(codec::Error::Marker("AC-3's sync word")),
        ),
        (
            muxer_for(&ac3),
            of_codec(Codec::Ac3, 0, &AC3.repeat(1000)),
            Error::TooLarge,
        ),
        (
            muxer(true, true),
            of_codec(Codec::Mp3, 0, MP3),
            Error::NoConfig,
        ),
        (muxer(true, true), hevc, Error::NoConfig),
    ] {
        assert_eq!(muxer.check(&frame), Err(error));
    }
}

#[test]
fn a_track_that_comes_late_is_told_at_the_start() {
    let key = video(0, 0, &[&[0x65, 1]]);
    let (mut late, mut out) = (muxer(true, false), BytesMut::new());
    segment(&mut late, &[]);
    late.start_segment(&mut out);
    late.write(&key, &mut out).unwrap();
    late.set_audio(AudioConfig::Aac(aac_config()));
    late.restart_segment(&mut out);
    late.write(&audio(0, &[1; 9]), &mut out).unwrap();
    late.flush_audio(&mut out);
    assert_eq!(tracks(&out).len(), 2);
    assert_eq!((pes(&out, true).len(), pes(&out, false).len()), (1, 1));
    out.unsplit({
        let mut next = BytesMut::new();
        late.start_segment(&mut next);
        next
    });
    assert_counters_run_on(&out);
}
