//! A whole conversation, at either end. The first byte of an input chooses the end and the state
//! it starts in, the second how large the pieces are in which the rest arrives; what its owner
//! decides follows from the bytes.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use isocast_media::Track;
use isocast_media::rtmp::handshake::{self, PACKET_LEN};
use isocast_media::rtmp::session::{Role, relay};
use isocast_media::rtmp::{Call, Caller, CallerEvent, Event, Limits, Media, Session};

/// `open`, `ended`, `mark`, or the reason of a refusal.
pub fn target(data: &[u8]) -> &'static str {
    let &[start, piece_len, ref bytes @ ..] = data else {
        return "open";
    };
    let pieces = bytes.chunks(usize::from(piece_len).max(1));
    match start % 6 {
        0 => serve(pieces, false),
        1 => serve(pieces, true),
        2 => call(pieces, Role::Publish, false),
        3 => call(pieces, Role::Play, false),
        4 => call(pieces, Role::Play, true),
        _ => relays(bytes),
    }
}

fn serve<'a>(pieces: impl Iterator<Item = &'a [u8]>, opened: bool) -> &'static str {
    let start = Instant::now();
    let mut session = Session::new(Limits::default(), 1, start);
    let mut received = 0;
    if opened {
        let mut hello = BytesMut::new();
        handshake::Client::start(2, &mut hello);
        hello.extend_from_slice(&[0; PACKET_LEN]);
        session.receive(&hello);
    }
    let mut sent = 0;
    for (number, piece) in pieces.enumerate() {
        let now = start + Duration::from_millis(number as u64);
        session.receive(piece);
        received += piece.len();
        loop {
            match session.next_event(now) {
                Err(error) => return error.reason(),
                Ok(None) => break,
                Ok(Some(Event::Publish { name, .. })) if name.len() % 4 == 3 => {
                    session.refuse("NetStream.Publish.BadName", "No.");
                    return "ended";
                }
                Ok(Some(Event::Publish { .. })) => session.accept_publish(now),
                Ok(Some(Event::Play { .. })) => match session.asker() {
                    Some(_) => session.accept_relay(&bond()),
                    None => session.accept_play(),
                },
                // No media is longer than what came.
                Ok(Some(Event::Media(media))) => assert!(media.body.len() <= received),
                Ok(Some(Event::Unpublish | Event::Stop)) => {}
            }
        }
        sent += session.take_output().len();
        // The handshake, one answer to `connect`, and 100 commands a second, each with an answer of
        // at most a few times its own size.
        assert!(sent <= 8192 + 64 * received, "{sent} bytes for {received}");
        if let Some(deadline) = session.deadline() {
            assert!(deadline <= now + Duration::from_secs(30));
        }
    }
    "open"
}

fn call<'a>(pieces: impl Iterator<Item = &'a [u8]>, role: Role, is_relay: bool) -> &'static str {
    let call = Call {
        tc_url: "rtmp://host/live".into(),
        app: "live".into(),
        name: "name".into(),
        role,
    };
    let start = Instant::now();
    let mut caller = match is_relay {
        true => Caller::relay(call, asker(), 1),
        false => Caller::new(call, 1),
    };
    let (mut hello, mut answer) = (BytesMut::from(&caller.take_output()[..]), BytesMut::new());
    let served = handshake::Server::new(2).receive(&mut hello, &mut answer);
    assert_eq!(served, Ok(false), "C2 is missing");
    caller.receive(&answer);
    let mut received = 0;
    for (number, piece) in pieces.enumerate() {
        let now = start + Duration::from_millis(number as u64);
        caller.receive(piece);
        received += piece.len();
        loop {
            match caller.next_event(now) {
                Err(error) => return error.reason(),
                Ok(None) => break,
                Ok(Some(CallerEvent::Media(media))) => {
                    assert!(media.body.len() <= received);
                    check_mark(&media);
                }
                Ok(Some(CallerEvent::Refused { .. } | CallerEvent::Ended)) => return "ended",
                Ok(Some(CallerEvent::Started | CallerEvent::Reconnect { .. })) => {}
            }
        }
        caller.take_output();
    }
    "open"
}

/// The bytes are a data message.
fn relays(body: &[u8]) -> &'static str {
    let media = Media {
        track: Track::Data,
        timestamp: 0,
        body: Bytes::copy_from_slice(body),
    };
    check_mark(&media);
    match relay::Mark::read(&media) {
        Some(_) => "mark",
        None => "open",
    }
}

/// A mark that was read is written to be read the same.
fn check_mark(media: &Media) {
    if let Some(mark) = relay::Mark::read(media) {
        assert_eq!(relay::Mark::read(&mark.message()), Some(mark));
    }
}

fn asker() -> relay::Asker {
    relay::Asker {
        node: "b".into(),
        hops: 1,
        token: None,
        expects: None,
        since: None,
    }
}

fn bond() -> relay::Bond {
    relay::Bond {
        pair: relay::Pair {
            epoch: 1,
            node: "a".into(),
            incarnation: 1,
        },
        path: vec!["a".into()],
    }
}
