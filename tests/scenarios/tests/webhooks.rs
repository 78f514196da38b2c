//! What happens to rooms is told to the operator's URL, in order, signed, and nowhere else.

use std::path::Path;
use std::process::Command;

use isocast_harness::{
    Clip, Ffmpeg, Manner, Node, NodeOptions, Peer, Process, Receiver, Request, Room, run, tool,
    wait,
};

const SECRET: &str = "a-secret-for-the-webhooks-of-this-test";
const NEXT_SECRET: &str = "the-secret-that-takes-its-place";

/// A node that tells `receiver`, with `SECRET` in a file that the test may change.
fn options(receiver: &Receiver, folder: &Path) -> NodeOptions {
    let secret = folder.join("webhook-secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("a folder of ours");
    NodeOptions::default()
        .set("network.allow_addresses", "127.0.0.0/8")
        .set(
            "webhooks.url",
            format!("http://{}/hook?token=in-the-query", receiver.address),
        )
        .set("webhooks.secret_file", secret.display())
        .set("hub.hold_s", 1)
}

fn publish(node: &Node, room: &Room) -> Process {
    let clip = Clip::AudioVideo.path();
    let log = node.file(&format!("{}-publish.log", room.id));
    Ffmpeg::debian().publish_forever(&clip, &node.publish_url(room), &log)
}

fn kinds(requests: &[Request]) -> Vec<String> {
    let kind = |request: &Request| request.json()["type"].as_str().map(str::to_owned);
    requests.iter().filter_map(kind).collect()
}

#[test]
fn a_rooms_life_is_told_in_order_whatever_the_receiver_does() {
    let metadata = "http://169.254.169.254/latest/meta-data/".to_owned();
    let receiver = Receiver::start([
        Manner::Status(500),
        Manner::Redirect(metadata),
        Manner::Hang,
        Manner::Huge(100 << 20),
    ]);
    let scratch = isocast_harness::Scratch::new("webhooks");
    let node = options(&receiver, scratch.path()).start();
    let room = node.public_room("told");
    let mut publisher = publish(&node, &room);
    node.wait_for_live(&room);
    // Four tries: 1, 2 and 4 s apart, and 5 s for the one that hangs.
    let tries = receiver.wait_for(4, 30);
    assert_eq!(kinds(&tries), ["publish"; 4]);
    assert!(
        tries.iter().all(|one| one.body == tries[0].body),
        "the same event"
    );
    assert!(tries[3].at - tries[0].at >= std::time::Duration::from_secs(9));

    let mut viewer = Peer::play(node.rtmp, "room_told");
    viewer.expect_start();
    let _ = receiver.wait_for(5, 10);
    drop(viewer);
    // The last viewer is told of after five seconds.
    let _ = receiver.wait_for(6, 15);
    let mut watching = Peer::play(node.rtmp, "room_told");
    watching.expect_start();
    let _ = receiver.wait_for(7, 10);
    publisher.signal(isocast_harness::Signal::INT);
    publisher.wait(10);
    let told = receiver.wait_for(9, 20);
    assert_eq!(
        kinds(&told[3..]),
        [
            "publish",
            "first_viewer",
            "last_viewer",
            "first_viewer",
            "unpublish",
            "last_viewer"
        ]
    );
    let unpublish = told[7].json();
    assert_eq!(unpublish["reason"], "ended");
    assert!(
        unpublish["duration_ms"]
            .as_u64()
            .is_some_and(|ms| ms > 5000)
    );

    let mut ids = std::collections::BTreeSet::new();
    for request in &told {
        assert_eq!(request.line, "POST /hook?token=in-the-query HTTP/1.1");
        let json = request.json();
        assert_eq!(json["room"], "told");
        assert_eq!(json["epoch"], told[0].json()["epoch"]);
        assert_eq!(request.header("isocast-event-id"), json["id"].as_str());
        ids.insert(json["id"].to_string());
        is_signed(request, SECRET);
        is_not_signed(request, NEXT_SECRET);
        let all = format!("{request:?}{}", String::from_utf8_lossy(&request.body));
        let key = room.key.rsplit('_').next().expect("a key");
        assert!(!all.contains(key) && !all.contains(SECRET));
    }
    assert_eq!(ids.len(), 6, "an id for each event");

    assert_eq!(
        node.metric("isocast_webhooks_total{result=\"retried\""),
        3.0
    );
    assert_eq!(
        node.metric("isocast_outbound_total{what=\"webhook\",result=\"late\""),
        1.0
    );
    wait::until("all delivered", 5, || {
        (node.metric("isocast_webhooks_total{result=\"delivered\"") == 6.0).then_some(())
    });
    let log = node.stop();
    assert!(
        !log.contains(SECRET) && !log.contains("in-the-query"),
        "{log}"
    );
}

#[test]
fn two_secrets_sign_while_one_takes_the_others_place() {
    let receiver = Receiver::start([]);
    let scratch = isocast_harness::Scratch::new("webhooks");
    let node = options(&receiver, scratch.path())
        .set("webhooks.events", "publish")
        .start();
    let expect = |count: usize, right: &[&str], wrong: &[&str]| {
        let room = node.public_room(&format!("r{count}"));
        let mut peer = Peer::publish(node.rtmp, &room.key);
        peer.expect_start();
        let told = receiver.wait_for(count, 10);
        let last = told.last().expect("one");
        right.iter().for_each(|secret| is_signed(last, secret));
        wrong.iter().for_each(|secret| is_not_signed(last, secret));
    };
    let file = scratch.path().join("webhook-secret");
    let write = |text: &str| std::fs::write(&file, text).expect("a folder of ours");
    expect(1, &[SECRET], &[NEXT_SECRET]);
    write(&format!("{SECRET}\n{NEXT_SECRET}\n"));
    expect(2, &[SECRET, NEXT_SECRET], &[]);
    let told = receiver.wait_for(2, 1);
    // A receiver that has the file with two lines takes what either has signed.
    for one in &told {
        let both = format!("{NEXT_SECRET}\n{SECRET}\n");
        assert_eq!(documentation_says(one, &both), "True");
    }
    write(&format!("{NEXT_SECRET}\n"));
    expect(3, &[NEXT_SECRET], &[SECRET]);
    // Half a file is no secret: the one that was read before stays.
    write("short");
    expect(4, &[NEXT_SECRET], &[SECRET]);
    node.stop();
}

#[test]
fn a_stopping_node_says_so() {
    let receiver = Receiver::start([]);
    let scratch = isocast_harness::Scratch::new("webhooks");
    let node = options(&receiver, scratch.path()).start();
    let room = node.public_room("last");
    let _publisher = publish(&node, &room);
    node.wait_for_live(&room);
    let _ = receiver.wait_for(1, 10);
    node.stop();
    let told = receiver.wait_for(2, 1);
    assert_eq!(kinds(&told), ["publish", "unpublish"]);
    assert_eq!(told[1].json()["reason"], "stopped");
}

#[test]
fn who_ended_a_broadcast_is_told() {
    let receiver = Receiver::start([]);
    let scratch = isocast_harness::Scratch::new("webhooks");
    let node = options(&receiver, scratch.path())
        .set("webhooks.events", "unpublish")
        .start();
    let ends = [("kicked", "POST", "/kick"), ("revoked", "DELETE", "")];
    for (count, (reason, method, what)) in ends.into_iter().enumerate() {
        let room = node.public_room(reason);
        let mut peer = Peer::publish(node.rtmp, &room.key);
        peer.expect_start();
        let path = format!("/api/v1/rooms/{}{what}", room.id);
        assert_eq!(node.operator(method, &path, b"").status, 204);
        let told = receiver.wait_for(count + 1, 10);
        assert_eq!(told[count].json()["reason"], reason);
    }
    node.stop();
}

#[test]
fn an_end_that_was_said_is_one_even_if_a_reset_follows() {
    let receiver = Receiver::start([]);
    let scratch = isocast_harness::Scratch::new("webhooks");
    let node = options(&receiver, scratch.path())
        .set("webhooks.events", "unpublish")
        .start();
    let room = node.public_room("reset");
    for count in 1..=40 {
        let mut peer = Peer::publish(node.rtmp, &room.key);
        peer.expect_start();
        peer.close_unread();
        let told = receiver.wait_for(count, 10);
        assert_eq!(told[count - 1].json()["reason"], "ended", "{count}");
    }
    node.stop();
}

#[test]
fn an_address_that_is_not_listed_is_never_called() {
    let receiver = Receiver::start([]);
    let port = receiver.address.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
    ] {
        let node = NodeOptions::default().set("webhooks.url", &url).start();
        let secret = node.data_dir().join("webhook-secret");
        let made = std::fs::metadata(secret).expect("made by the start");
        let mode = std::os::unix::fs::PermissionsExt::mode(&made.permissions());
        assert_eq!(mode & 0o777, 0o600);
        let room = node.public_room("a");
        let mut peer = Peer::publish(node.rtmp, &room.key);
        peer.expect_start();
        wait::until("the refusal", 10, || {
            let denied = "isocast_outbound_total{what=\"webhook\",result=\"denied\"";
            (node.metric(denied) >= 1.0).then_some(())
        });
        node.stop();
    }
    assert!(receiver.requests().is_empty());
}

fn is_signed(request: &Request, secret: &str) {
    assert!(openssl_says(request, secret), "signed under {secret}");
    assert_eq!(documentation_says(request, &format!("{secret}\n")), "True");
}

fn is_not_signed(request: &Request, secret: &str) {
    assert!(!openssl_says(request, secret), "not signed under {secret}");
    assert_eq!(documentation_says(request, &format!("{secret}\n")), "False");
}

fn openssl_says(request: &Request, secret: &str) -> bool {
    let header = request.header("isocast-signature").expect("signed");
    let time = header
        .split(',')
        .next()
        .and_then(|field| field.strip_prefix("t="));
    let mut signed = format!("{}.", time.expect("a time")).into_bytes();
    signed.extend(&request.body);
    let scratch = isocast_harness::Scratch::new("signed");
    let file = scratch.file("signed");
    std::fs::write(&file, signed).expect("a folder of ours");
    let mut command = Command::new(tool("openssl"));
    command
        .args(["dgst", "-sha256", "-hmac", secret, "-r"])
        .arg(&file);
    let output = run(&mut command);
    assert_eq!(output.code, Some(0), "{}", output.err);
    let hex = output.out.split(' ').next().expect("hex");
    header.split(',').any(|field| field == format!("v1={hex}"))
}

/// What the documentation tells receivers to run, with the secret's file as it is.
fn documentation_says(request: &Request, secret_file: &str) -> String {
    let page = std::fs::read_to_string(isocast_harness::repository().join("docs/webhooks.md"));
    let page = page.expect("webhooks are documented");
    let (_, rest) = page.split_once("```python\n").expect("a Python example");
    let (example, _) = rest.split_once("```").expect("its end");
    let scratch = isocast_harness::Scratch::new("python");
    let body = scratch.file("body");
    std::fs::write(&body, &request.body).expect("a folder of ours");
    let program = format!(
        "{example}\nimport sys\nprint(is_from_isocast(sys.argv[1].encode(), sys.argv[2], open(sys.argv[3], 'rb').read()))"
    );
    let header = request.header("isocast-signature").expect("signed");
    let mut command = Command::new(tool("python3"));
    command
        .args(["-c", &program, secret_file, header])
        .arg(body);
    let output = run(&mut command);
    assert_eq!(output.code, Some(0), "{}", output.err);
    output.out.trim().to_owned()
}
