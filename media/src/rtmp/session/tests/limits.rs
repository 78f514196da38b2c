//! Deadlines, rates and sizes.

use proptest::prelude::*;

use super::*;

#[test]
fn every_state_has_its_deadline() {
    let secs = Duration::from_secs;
    let heard = |track| {
        move || {
            let mut dialogue = Dialogue::publishing();
            dialogue.pass(secs(10));
            dialogue.say(&media_body(track, &[1]));
            assert!(dialogue.event().unwrap().is_some());
            dialogue
        }
    };
    let decided_late = || {
        let mut dialogue = Dialogue::deciding();
        dialogue.pass(secs(3));
        dialogue.session.accept_publish(dialogue.now);
        dialogue
    };
    let unpublished = || {
        let mut dialogue = Dialogue::publishing();
        dialogue.pass(secs(100));
        dialogue.command("closeStream", 0.0, &[]);
        assert_eq!(dialogue.event(), Ok(Some(Event::Unpublish)));
        dialogue
    };
    let table: [(_, Box<dyn Fn() -> Dialogue>, _); 11] = [
        (
            "accepted",
            Box::new(Dialogue::new),
            Some((5, "handshake_timeout")),
        ),
        (
            "opened",
            Box::new(Dialogue::opened),
            Some((15, "command_timeout")),
        ),
        (
            "connected",
            Box::new(Dialogue::connected),
            Some((15, "command_timeout")),
        ),
        ("deciding", Box::new(Dialogue::deciding), None),
        (
            "publishing",
            Box::new(Dialogue::publishing),
            Some((20, "media_timeout")),
        ),
        (
            "decided late",
            Box::new(decided_late),
            Some((23, "media_timeout")),
        ),
        (
            "after audio",
            Box::new(heard(Track::Audio)),
            Some((40, "media_timeout")),
        ),
        (
            "after video",
            Box::new(heard(Track::Video)),
            Some((40, "media_timeout")),
        ),
        (
            "after a description",
            Box::new(heard(Track::Data)),
            Some((20, "media_timeout")),
        ),
        (
            "unpublished",
            Box::new(unpublished),
            Some((115, "command_timeout")),
        ),
        ("playing", Box::new(Dialogue::playing), None),
    ];
    for (name, make, expected) in table {
        let dialogue = make();
        let (session, start) = (&dialogue.session, dialogue.start);
        let Some((after, reason)) = expected else {
            assert_eq!(session.deadline(), None, "{name}");
            assert_eq!(
                session.check_deadline(start + secs(86_400)),
                Ok(()),
                "{name}"
            );
            continue;
        };
        let deadline = start + secs(after);
        assert_eq!(session.deadline(), Some(deadline), "{name}");
        let just_before = deadline - Duration::from_nanos(1);
        assert_eq!(session.check_deadline(just_before), Ok(()), "{name}");
        let error = session.check_deadline(deadline).unwrap_err();
        assert_eq!(error.reason(), reason, "{name}");
    }
}

#[test]
fn a_slow_handshake_does_not_move_its_deadline() {
    let mut dialogue = Dialogue::new();
    let mut hello = BytesMut::new();
    handshake::Client::start(2, &mut hello);
    for byte in hello.iter().take(4) {
        dialogue.pass(Duration::from_secs(1));
        dialogue.session.receive(&[*byte]);
        assert_eq!(dialogue.event(), Ok(None));
    }
    let expected = dialogue.start + Duration::from_secs(5);
    assert_eq!(dialogue.session.deadline(), Some(expected));
    assert!(dialogue.session.take_output().is_empty());
}

#[test]
fn a_stranger_is_closed_without_an_answer() {
    for hello in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0x16, 3, 1],
        b"SSH-2.0-x",
        &[0],
        &[6],
    ] {
        let mut dialogue = Dialogue::new();
        dialogue.session.receive(hello);
        assert_eq!(dialogue.event(), Err(Error::Version(hello[0])));
        assert!(dialogue.session.take_output().is_empty());
    }
}

#[test]
fn a_hundred_commands_a_second_and_no_more() {
    let mut dialogue = Dialogue::connected();
    for second in 0..3 {
        dialogue.pass(Duration::from_secs(1));
        for _ in 0..100 {
            dialogue.command("createStream", 5.0, &[Value::Null]);
        }
        assert_eq!(dialogue.event(), Ok(None), "second {second}");
        assert_eq!(dialogue.answers().len(), 100);
    }
    dialogue.pass(Duration::from_millis(999));
    dialogue.command("FCPublish", 0.0, &[]);
    assert_eq!(dialogue.event(), Err(Error::CommandRate { max: 100 }));
}

#[test]
fn ten_thousand_streams_are_one_stream() {
    let mut dialogue = Dialogue::connected();
    for _ in 0..10_000 {
        dialogue.pass(Duration::from_millis(10));
        dialogue.command("createStream", 5.0, &[Value::Null]);
        assert_eq!(dialogue.event(), Ok(None));
        assert_eq!(dialogue.answers(), ["_result 5 1"]);
    }

    let mut dialogue = Dialogue::connected();
    for _ in 0..10_000 {
        dialogue.command("createStream", 5.0, &[Value::Null]);
    }
    assert_eq!(dialogue.event(), Err(Error::CommandRate { max: 100 }));
    assert!(dialogue.answers().len() <= 100);
}

#[test]
fn fifty_thousand_chunks_a_second_and_no_more() {
    const CHUNKS: usize = 50_000;
    let mut dialogue = Dialogue::connected();
    dialogue.say(&Body::SetChunkSize(1));
    assert_eq!(dialogue.event(), Ok(None));
    for _ in 0..2 {
        dialogue.pass(Duration::from_secs(1));
        dialogue.say(&media_body(Track::Audio, &[0; CHUNKS]));
        assert_eq!(dialogue.event(), Ok(None));
    }
    dialogue.say(&media_body(Track::Audio, &[0]));
    let refused = Err(Error::ChunkRate { max: CHUNKS as u32 });
    assert_eq!(dialogue.event(), refused);
}

#[test]
fn what_arrives_is_acknowledged_once_a_window() {
    const HANDSHAKE_LEN: usize = 1 + 2 * handshake::PACKET_LEN;
    for (window, expected) in [
        (None, Some(2_500_000)),
        (Some(0), Some(4096)),
        (Some(1), Some(4096)),
        (Some(4096), Some(4096)),
        (Some(100_000), Some(100_000)),
        (Some(u32::MAX), None),
    ] {
        let mut dialogue = Dialogue::opened();
        let mut sent = HANDSHAKE_LEN;
        if let Some(window) = window {
            let bytes = dialogue.peer.write(&Body::WindowAckSize(window));
            sent += bytes.len();
            dialogue.session.receive(&bytes);
        }
        let piece = dialogue.peer.write(&media_body(Track::Audio, &[0; 1000]));
        let (mut last, mut seen) = (0, 0);
        for _ in 0..6000 {
            dialogue.pass(Duration::from_millis(1));
            dialogue.session.receive(&piece);
            sent += piece.len();
            assert_eq!(dialogue.event(), Ok(None));
            let answers = dialogue.answers();
            let due = expected.is_some_and(|window| sent - last >= window);
            if due {
                assert_eq!(answers, [format!("Acknowledgement({sent})")], "{window:?}");
                last = sent;
                seen += 1;
            } else {
                assert!(answers.is_empty(), "{window:?}: {answers:?} after {sent}");
            }
        }
        assert_eq!(seen > 0, expected.is_some(), "{window:?}");
    }
}

#[test]
fn strangers_may_send_less_than_publishers() {
    let long = media_body(Track::Video, &vec![0; (64 << 10) + 1]);
    for (make, reason) in [
        (
            Dialogue::opened as fn() -> Dialogue,
            Some("message_too_long"),
        ),
        (Dialogue::connected, Some("message_too_long")),
        (Dialogue::playing, Some("message_too_long")),
        (Dialogue::publishing, None),
    ] {
        let mut dialogue = make();
        dialogue.say(&long);
        let found = dialogue.event().err().map(|error| error.reason());
        assert_eq!(found, reason);
    }
}

proptest! {
    #[test]
    fn any_bytes_end_well(
        bytes in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => 0u8..24], 0..3000),
        start in 0usize..4,
        piece_len in 1usize..500,
    ) {
        let starts = [Dialogue::new, Dialogue::opened, Dialogue::publishing, Dialogue::playing];
        let mut dialogue = starts[start]();
        for piece in bytes.chunks(piece_len) {
            dialogue.session.receive(piece);
            loop {
                match dialogue.event() {
                    Ok(Some(Event::Publish { .. })) => dialogue.session.accept_publish(dialogue.now),
                    Ok(Some(Event::Play { .. })) => dialogue.session.accept_play(),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return Ok(()),
                }
            }
        }
        // Of answers a stranger gets no more than its handshake's, and the 18 bytes of a ping
        // response for each ping request of at least 7 bytes.
        prop_assert!(dialogue.session.take_output().len() <= 3073 + 3 * bytes.len());
    }
}
