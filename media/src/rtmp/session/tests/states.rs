//! What the table of all pairs does not show.

use super::*;

#[test]
fn an_answer_repeats_its_transaction() {
    for (transaction, expected) in [
        (1.0, Some("_result 1 1")),
        (77.0, Some("_result 77 1")),
        (-1.0, Some("_result -1 1")),
        (0.5, Some("_result 0.5 1")),
        (1e300, Some(&*format!("_result {} 1", 1e300))),
        (0.0, None),
    ] {
        let mut dialogue = Dialogue::connected();
        dialogue.command("createStream", transaction, &[Value::Null]);
        assert_eq!(dialogue.event(), Ok(None));
        assert_eq!(dialogue.answers(), Vec::from_iter(expected));
    }
    for transaction in [f64::NAN, f64::INFINITY] {
        let mut dialogue = Dialogue::connected();
        dialogue.command("createStream", transaction, &[Value::Null]);
        let error = dialogue.event().unwrap_err();
        assert_eq!(error.reason(), "message_malformed");
    }
    // `connect` is answered even so: nothing can go on without.
    let mut dialogue = Dialogue::opened();
    dialogue.command("connect", 0.0, &[]);
    assert_eq!(dialogue.event(), Ok(None));
    let last = dialogue.answers().pop().unwrap();
    assert_eq!(last, "_result 0 status NetConnection.Connect.Success");
}

#[test]
fn a_ping_is_answered_with_its_own_timestamp() {
    for timestamp in [0, 77, u32::MAX] {
        let mut dialogue = Dialogue::opened();
        dialogue.say(&Body::UserControl(UserControl::PingRequest { timestamp }));
        assert_eq!(dialogue.event(), Ok(None));
        let answer = Body::UserControl(UserControl::PingResponse { timestamp });
        assert_eq!(dialogue.answers(), [line(&answer)]);
    }
}

#[test]
fn names_are_passed_on_as_they_came() {
    let longest = "x".repeat(16 << 10);
    for sent in [
        "",
        "key",
        "a/b",
        "\0",
        "../../etc",
        "%2e%2e",
        "📺",
        "\u{202E}rtl",
        "key?a=b&c",
        &longest,
    ] {
        for name in ["publish", "play"] {
            let mut dialogue = Dialogue::connected();
            dialogue.command(name, 0.0, &[Value::Null, text(sent)]);
            let found = match dialogue.event() {
                Ok(Some(Event::Publish { name, .. } | Event::Play { name, .. })) => name,
                other => panic!("{other:?}"),
            };
            assert_eq!(found, sent, "{name}");
        }
    }
    // No name at all is an empty one.
    for values in [
        vec![],
        vec![Value::Null],
        vec![Value::Null, Value::Number(1.0)],
    ] {
        let mut dialogue = Dialogue::connected();
        dialogue.command("publish", 0.0, &values);
        let (app, name) = ("live".into(), String::new());
        assert_eq!(dialogue.event(), Ok(Some(Event::Publish { app, name })));
    }
    let mut dialogue = Dialogue::connected();
    let mut payload = b"\x02\0\x07publish\0\0\0\0\0\0\0\0\0\x05\x02\xFF\xFF".to_vec();
    payload.resize(payload.len() + 65_535 - 100, b'x'); // refused by its length alone
    let message = chunk::Message {
        csid: 3,
        timestamp: 0,
        type_id: 20,
        stream_id: 1,
        payload: payload.into(),
    };
    let mut bytes = BytesMut::new();
    chunk::write(&message, CHUNK_SIZE_DEFAULT, &mut bytes);
    dialogue.session.receive(&bytes);
    assert_eq!(dialogue.event().unwrap_err().reason(), "amf_limit");
}

#[test]
fn the_app_is_what_connect_says_without_slashes_at_its_end() {
    for (said, expected) in [
        (Some("live"), "live"),
        (Some("live/"), "live"),
        (Some("a/b//"), "a/b"),
        (Some(""), ""),
        (None, ""),
    ] {
        let mut dialogue = Dialogue::opened();
        match said {
            Some(app) => dialogue.connect(app),
            None => dialogue.command("connect", 1.0, &[Value::Null]),
        }
        dialogue.command("publish", 0.0, &[Value::Null, text("key")]);
        let (app, name) = (expected.into(), "key".into());
        assert_eq!(dialogue.event(), Ok(Some(Event::Publish { app, name })));
    }
}

#[test]
fn what_is_accepted_can_still_be_ended() {
    let mut dialogue = Dialogue::publishing();
    dialogue
        .session
        .refuse(status::PUBLISH_BAD_NAME, "Taken over.");
    assert_eq!(
        dialogue.answers(),
        ["onStatus error NetStream.Publish.BadName"]
    );
    dialogue.say(&media_body(Track::Audio, &[1]));
    assert_eq!(dialogue.event(), Ok(None));

    let mut dialogue = Dialogue::playing();
    dialogue.session.end_play();
    let expected = [
        "StreamEof { stream_id: 1 }",
        "onStatus status NetStream.Play.UnpublishNotify",
    ];
    assert_eq!(dialogue.answers(), expected);
    assert_eq!(dialogue.session.deadline(), None);
}

#[test]
fn messages_given_up_are_counted() {
    let mut dialogue = Dialogue::publishing();
    let bytes = dialogue.peer.write(&media_body(Track::Video, &[7; 200]));
    dialogue.session.receive(&bytes[..140]); // a header of 12 bytes, and 128 of 200
    dialogue.say(&media_body(Track::Video, &[8; 2]));
    let expected = Event::Media(media(Track::Video, 0, &[8; 2]));
    assert_eq!(dialogue.event(), Ok(Some(expected)));
    assert_eq!(dialogue.session.messages_dropped(), 1);
}
