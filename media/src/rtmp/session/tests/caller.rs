//! The calling end, against our own session and against a peer that says anything.

use super::*;

#[test]
fn a_caller_publishes_to_a_session() {
    for piece_len in [1, 100, usize::MAX] {
        let mut line = Line::new(Role::Publish, piece_len);
        line.run();
        assert_eq!(
            line.served,
            [Event::Publish {
                app: "live".into(),
                name: "name".into()
            }]
        );
        line.session.accept_publish(line.now);
        line.run();
        assert_eq!(line.called, [CallerEvent::Started]);

        let sent = [
            media(Track::Data, 0, b"meta"),
            media(Track::Video, 0, &[0x17; 70_000]),
            media(Track::Audio, 0xFF_FFFF, &[0xAF; 300]),
            media(Track::Video, 0xFFFF_FFFF, &[]),
            media(Track::Video, 3, &[0x27; 3]),
        ];
        sent.iter().for_each(|media| line.caller.send(media));
        line.caller.close();
        line.served.clear();
        line.run();
        let mut expected: Vec<_> = sent.into_iter().map(Event::Media).collect();
        expected.push(Event::Unpublish);
        assert_eq!(line.served, expected, "in pieces of {piece_len}");
        assert_eq!(line.caller.next_event(line.now), Ok(None));
    }
}

#[test]
fn a_caller_plays_from_a_session() {
    for piece_len in [1, 100, usize::MAX] {
        let mut line = Line::new(Role::Play, piece_len);
        line.run();
        assert_eq!(
            line.served,
            [Event::Play {
                app: "live".into(),
                name: "name".into()
            }]
        );
        line.session.accept_play();
        line.run();

        let sent = [
            media(Track::Video, 0x0100_0000, &[0x17; 70_000]),
            media(Track::Audio, 0x0100_0001, &[0xAF; 3]),
        ];
        let mut shared = BytesMut::new();
        sent.iter().for_each(|media| media.write(&mut shared));
        line.hand_to_caller(&shared);
        line.session.end_play();
        line.run();
        let [video, audio] = sent.map(CallerEvent::Media);
        let expected = [CallerEvent::Started, video, audio, CallerEvent::Ended];
        assert_eq!(line.called, expected, "in pieces of {piece_len}");
    }
}

#[test]
fn a_relay_and_its_server_know_of_each_other() {
    let asker = relay::Asker {
        node: "isocast-1".into(),
        hops: 1,
        token: Some(relay::Token("a shared secret".into())),
        expects: None,
        since: Some(MediaMs(1 << 33)),
    };
    let bond = relay::Bond {
        pair: relay::Pair {
            epoch: 1_700_000_000_000,
            node: "isocast-0".into(),
            incarnation: 7,
        },
        path: vec!["isocast-0".into()],
    };
    let mark = relay::Mark {
        time: MediaMs(1 << 33),
        sent_at: UnixMs(1_700_000_000_123),
        is_held: false,
        discontinuity: true,
    };
    for piece_len in [1, 100, usize::MAX] {
        let mut line = Line::new(Role::Play, piece_len);
        line.caller = Caller::relay(call(Role::Play), asker.clone(), 2);
        line.run();
        assert_eq!(line.session.asker(), Some(&asker));
        line.session.accept_relay(&bond);
        line.run();
        assert_eq!(line.called, [CallerEvent::Started]);
        assert_eq!(line.caller.bond(), Some(&bond));
        let mut shared = BytesMut::new();
        mark.message().write(&mut shared);
        line.hand_to_caller(&shared);
        let Some(CallerEvent::Media(media)) = line.called.pop() else {
            panic!("{:?}", line.called);
        };
        assert_eq!(relay::Mark::read(&media), Some(mark));
    }
}

#[test]
fn who_is_no_relay_is_none_to_either_end() {
    let mut line = Line::new(Role::Play, usize::MAX);
    line.run();
    assert_eq!(line.session.asker(), None);
    line.session.accept_play();
    line.run();
    assert_eq!(line.caller.bond(), None);
}

#[test]
fn a_caller_hears_why_it_was_refused() {
    for (role, code) in [
        (Role::Publish, status::PUBLISH_BAD_NAME),
        (Role::Play, status::PLAY_STREAM_NOT_FOUND),
        (Role::Play, status::PLAY_FAILED),
    ] {
        let mut line = Line::new(role, usize::MAX);
        line.run();
        line.session.refuse(code, "Because.");
        line.run();
        let (code, description) = (code.to_owned(), "Because.".to_owned());
        assert_eq!(line.called, [CallerEvent::Refused { code, description }]);
    }
}

#[test]
fn a_publisher_is_told_when_it_is_thrown_out() {
    let mut line = Line::new(Role::Publish, usize::MAX);
    line.run();
    line.session.accept_publish(line.now);
    line.run();
    line.session.refuse(status::PUBLISH_BAD_NAME, "Taken over.");
    line.run();
    assert!(matches!(line.called[1], CallerEvent::Refused { .. }));
    // Too late to send anything.
    line.caller.send(&media(Track::Audio, 0, &[1]));
    line.caller.close();
    assert!(line.caller.take_output().is_empty());
}

#[test]
fn a_session_knows_what_its_caller_can_do() {
    for role in [Role::Publish, Role::Play] {
        let mut line = Line::new(role, usize::MAX);
        assert_eq!(line.session.peer(), Capabilities::default());
        line.run();
        let all = Capabilities {
            reconnect: true,
            multitrack: true,
        };
        assert_eq!(line.session.peer(), all);
    }
}

#[test]
fn a_caller_is_asked_to_reconnect_and_goes_on_until_it_does() {
    for (role, tc_url) in [
        (Role::Publish, None),
        (Role::Play, Some("rtmp://other/live")),
    ] {
        let mut line = Line::new(role, usize::MAX);
        assert!(!line.session.request_reconnect(None, "too early"));
        line.run();
        match role {
            Role::Publish => line.session.accept_publish(line.now),
            Role::Play => line.session.accept_play(),
        }
        assert!(line.session.request_reconnect(tc_url, "Restarting."));
        line.run();
        let asked = CallerEvent::Reconnect {
            tc_url: tc_url.map(str::to_owned),
            description: "Restarting.".into(),
        };
        assert_eq!(line.called, [CallerEvent::Started, asked]);
        let sent = media(Track::Audio, 0, &[1]);
        line.served.clear();
        match role {
            Role::Publish => {
                line.caller.send(&sent);
                line.run();
                assert_eq!(line.served, [Event::Media(sent)]);
            }
            Role::Play => {
                let mut shared = BytesMut::new();
                sent.write(&mut shared);
                line.hand_to_caller(&shared);
                assert_eq!(line.called.pop(), Some(CallerEvent::Media(sent)));
            }
        }
        line.session.refuse(status::PUBLISH_REJECTED, "Gone.");
        assert!(!line.session.request_reconnect(None, "too late"));
    }
}

/// What each answer does while the caller is connecting, creating, starting, started and ended:
/// `-` for nothing, else the event, then what the caller says.
#[test]
fn every_answer_in_every_state() {
    let result = |transaction, value| command("_result", transaction, &[Value::Null, value]);
    let status = |level: &str, code: &str| {
        let properties = Value::Object(super::status::properties(level, code, "x"));
        command("onStatus", 0.0, &[Value::Null, properties])
    };
    let table = [
        (
            result(1.0, Value::Null),
            ["createStream", "-", "-", "-", "-"],
        ),
        (
            result(2.0, Value::Number(1.0)),
            ["-", "publish", "-", "-", "-"],
        ),
        (
            result(2.0, Value::Number(f64::NAN)),
            ["-", "publish", "-", "-", "-"],
        ),
        (result(2.0, Value::Null), ["-", "publish", "-", "-", "-"]),
        (result(3.0, Value::Null), ["-", "-", "-", "-", "-"]),
        (
            command("_error", 1.0, &[]),
            ["refused", "refused", "refused", "-", "-"],
        ),
        (
            status("status", status::PUBLISH_START),
            ["-", "-", "started", "-", "-"],
        ),
        (
            status("status", status::PLAY_START),
            ["-", "-", "started", "-", "-"],
        ),
        (
            status("status", status::PLAY_RESET),
            ["-", "-", "-", "-", "-"],
        ),
        (
            status("status", status::PLAY_UNPUBLISH_NOTIFY),
            ["ended", "ended", "ended", "ended", "-"],
        ),
        (
            status("error", status::PLAY_FAILED),
            ["refused", "refused", "refused", "refused", "-"],
        ),
        (
            status("status", status::RECONNECT_REQUEST),
            ["reconnect", "reconnect", "reconnect", "reconnect", "-"],
        ),
        (command("onStatus", 0.0, &[]), ["-", "-", "-", "-", "-"]),
        (command("onBWDone", 0.0, &[]), ["-", "-", "-", "-", "-"]),
        (command("connect", 1.0, &[]), ["-", "-", "-", "-", "-"]),
        (
            media_body(Track::Audio, &[1]),
            ["-", "-", "media", "media", "-"],
        ),
        (
            Body::UserControl(UserControl::PingRequest { timestamp: 1 }),
            ["PingResponse"; 5],
        ),
        (Body::SetChunkSize(0), ["!chunk_size"; 5]),
    ];
    for (said, expected) in &table {
        for (steps, expected) in expected.iter().enumerate() {
            // Nothing is read after the end.
            let expected = if steps == 4 { "-" } else { expected };
            let found = answered(steps, said);
            assert_eq!(found, expected, "after {steps} steps: {}", line(said));
        }
    }
}

#[test]
fn a_caller_that_gives_up_early_says_nothing_out_of_order() {
    let mut line = Line::new(Role::Publish, usize::MAX);
    line.caller.close();
    assert_eq!(line.caller.take_output().len(), 1 + handshake::PACKET_LEN);
    line.run();
    assert!(line.called.is_empty());
}

/// A caller that has been led `steps` far, and what it makes of `said`.
fn answered(steps: usize, said: &Body) -> String {
    let now = Instant::now();
    let mut caller = Caller::new(call(Role::Publish), 1);
    let mut peer = Peer::new();
    caller.take_output();
    let mut hello = BytesMut::from(&[3][..]);
    hello.extend_from_slice(&[0; 2 * handshake::PACKET_LEN]);
    caller.receive(&hello);
    let start = super::status::properties("status", status::PUBLISH_START, "x");
    let end = super::status::properties("status", status::PLAY_UNPUBLISH_NOTIFY, "x");
    let lead = [
        command("_result", 1.0, &[]),
        command("_result", 2.0, &[Value::Null, Value::Number(1.0)]),
        command("onStatus", 0.0, &[Value::Null, Value::Object(start)]),
        command("onStatus", 0.0, &[Value::Null, Value::Object(end)]),
    ];
    for body in &lead[..steps] {
        caller.receive(&peer.write(body));
        caller.next_event(now).unwrap();
    }
    caller.next_event(now).unwrap();
    let before = caller.take_output();
    peer.read(&before[handshake::PACKET_LEN..]); // C2 comes first

    caller.receive(&peer.write(said));
    let event = match caller.next_event(now) {
        Err(error) => format!("!{}", error.reason()),
        Ok(None) => String::new(),
        Ok(Some(CallerEvent::Started)) => "started".into(),
        Ok(Some(CallerEvent::Refused { .. })) => "refused".into(),
        Ok(Some(CallerEvent::Reconnect { .. })) => "reconnect".into(),
        Ok(Some(CallerEvent::Ended)) => "ended".into(),
        Ok(Some(CallerEvent::Media(_))) => "media".into(),
    };
    let mut words = vec![event];
    for said in peer.read(&caller.take_output()) {
        words.extend(said.split(' ').next().map(str::to_owned));
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        "-".into()
    } else {
        words.join(" ")
    }
}

/// Both of our ends, joined by a wire that hands on pieces of `piece_len` bytes.
struct Line {
    session: Session,
    caller: Caller,
    now: Instant,
    piece_len: usize,
    served: Vec<Event>,
    called: Vec<CallerEvent>,
}

impl Line {
    fn new(role: Role, piece_len: usize) -> Self {
        let now = Instant::now();
        Self {
            session: Session::new(Limits::default(), 1, now),
            caller: Caller::new(call(role), 2),
            now,
            piece_len,
            served: Vec::new(),
            called: Vec::new(),
        }
    }

    /// Until neither end has anything more to say.
    fn run(&mut self) {
        loop {
            let to_session = self.caller.take_output();
            for piece in to_session.chunks(self.piece_len) {
                self.session.receive(piece);
                self.serve();
            }
            self.serve();
            let to_caller = self.session.take_output();
            self.hand_to_caller(&to_caller);
            if to_session.is_empty() && to_caller.is_empty() {
                return;
            }
        }
    }

    fn serve(&mut self) {
        while let Some(event) = self.session.next_event(self.now).unwrap() {
            self.served.push(event);
        }
    }

    fn hand_to_caller(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece_len) {
            self.caller.receive(piece);
            while let Some(event) = self.caller.next_event(self.now).unwrap() {
                self.called.push(event);
            }
        }
    }
}

fn call(role: Role) -> Call {
    Call {
        tc_url: "rtmp://localhost/live".into(),
        app: "live".into(),
        name: "name".into(),
        role,
    }
}
