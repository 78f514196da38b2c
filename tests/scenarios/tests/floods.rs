//! Floods: what strangers in great number cost, and what they leave to others.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use isocast_harness::{
    Clip, Crowd, Ffmpeg, Node, NodeOptions, Peer, Process, Room, flv, http, wait,
};
use isocast_media::frame::Track;

const CONNECTIONS: usize = 10_000;
/// Below `rtmp.pre_auth_per_ip_max`.
const PER_ADDRESS: usize = 50;
const RESIDENT_KIB_MAX: u64 = 200 << 10;
/// C0 and C1, and no C2.
const HALF_HANDSHAKE: [u8; 1537] = {
    let mut bytes = [0; 1537];
    bytes[0] = 3;
    bytes
};

/// Each flood needs most of the files that one process may open.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn idle_connections_are_closed_and_a_publisher_is_admitted_meanwhile() {
    strangers_on_rtmp("idle connections", b"");
}

#[test]
fn half_handshakes_are_closed_and_a_publisher_is_admitted_meanwhile() {
    strangers_on_rtmp("half handshakes", &HALF_HANDSHAKE);
}

fn strangers_on_rtmp(what: &str, hello: &[u8]) {
    let _turn = alone();
    let node = Node::start();
    let room = node.public_room("real");
    let before = node.resident_kib();
    let began = Instant::now();
    let mut crowd = Crowd::connect(node.rtmp, CONNECTIONS, PER_ADDRESS, hello);
    let connected = began.elapsed();
    let grown = node.resident_kib().saturating_sub(before);

    let asked = Instant::now();
    let mut publisher = Peer::publish(node.rtmp, &room.key);
    publisher.expect_start();
    let admitted = asked.elapsed();

    let open = crowd.open();
    wait::until("the last stranger's end", 15, || {
        (crowd.open() == 0).then_some(())
    });
    println!(
        "{what}: {CONNECTIONS} within {connected:?}, {open} of them open then, RSS +{grown} KiB; \
         a publisher admitted within {admitted:?}; all closed {:?} after the first came",
        began.elapsed()
    );
    assert!(grown <= RESIDENT_KIB_MAX, "RSS +{grown} KiB");
    assert!(admitted <= Duration::from_secs(1), "{admitted:?}");
    publisher.close();
    node.stop();
}

/// A room that ffmpeg publishes, and a viewer who reads all of it, whatever the test does meanwhile.
struct Show {
    room: Room,
    seen: Arc<Mutex<Vec<u8>>>,
    _publisher: Process,
}

fn show(node: &Node) -> Show {
    let room = node.public_room("show");
    let log = node.file("publisher.log");
    let clip = Clip::AudioVideo.path();
    let publisher = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&room), &log);
    node.wait_for_live(&room);
    let mut socket = TcpStream::connect(node.http).expect("the node listens");
    // To HTTP/1.0 a body is sent as it is, until the connection's end.
    let request = b"GET /flv/room_show.flv HTTP/1.0\r\nHost: node\r\n\r\n";
    socket.write_all(request).expect("it is open");
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let seen_too = Arc::clone(&seen);
    // It ends with the node.
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = socket.read(&mut buffer) {
            seen_too
                .lock()
                .expect("nobody panics")
                .extend_from_slice(&buffer[..count]);
        }
    });
    Show {
        room,
        seen,
        _publisher: publisher,
    }
}

impl Show {
    /// Waits for this many pictures more, and insists that none is missing since it began; how many
    /// there are.
    fn has_all_pictures(&self, more: usize) -> usize {
        let had = self.times().len();
        let times = wait::until("pictures", 60, || {
            let times = self.times();
            (times.len() >= had + more).then_some(times)
        });
        let mut steps: BTreeMap<u32, usize> = BTreeMap::new();
        for two in times.windows(2) {
            *steps.entry(two[1] - two[0]).or_default() += 1;
        }
        // 30 a second, and where the clip begins anew.
        let longest = steps.keys().last().copied().unwrap_or_default();
        assert!(longest <= 60, "steps between pictures, in ms: {steps:?}");
        times.len()
    }

    fn times(&self) -> Vec<u32> {
        let seen = self.seen.lock().expect("nobody panics");
        let head = seen.windows(4).position(|four| four == b"\r\n\r\n");
        pictures(&seen[head.map_or(seen.len(), |end| end + 4)..])
    }
}

fn pictures(body: &[u8]) -> Vec<u32> {
    // The file's header and the size before its first tag.
    if body.len() < 13 {
        return Vec::new();
    }
    let tags = flv::tags(body);
    let video = tags.iter().filter(|tag| tag.track == Track::Video);
    // AVC's packet type 1 is a picture (FLV annex E.4.3.1).
    let pictures = video.filter(|tag| tag.body.get(1) == Some(&1));
    pictures.map(|tag| tag.timestamp).collect()
}

const WATCH: &[u8] = b"GET /flv/room_show.flv HTTP/1.1\r\nHost: node\r\n\r\n";

#[test]
fn a_node_that_may_open_few_files_refuses_viewers_and_recovers() {
    let _turn = alone();
    let node = NodeOptions::default().open_files_max(512).start();
    let show = show(&node);
    let mut crowd = Crowd::connect(node.http, 2000, 50, WATCH);
    let connected = crowd.len();
    let seen = show.has_all_pictures(75);
    let ready = http::get(node.internal, "/readyz");
    assert_eq!(ready.status, 200, "operators get through: {}", ready.text());
    let open = crowd.open();
    println!(
        "few files: {connected} of 2000 connected, {open} were served; {seen} pictures, none missing"
    );
    assert!(open < 500, "{open} of 512 files");
    drop(crowd);
    wait::until("a place for a viewer", 10, || {
        let answer = http::open(node.http, "GET", "/flv/room_show.flv", &[], b"");
        answer
            .is_ok_and(|answer| answer.head().status == 200)
            .then_some(())
    });
    node.wait_for_live(&show.room);
    show.has_all_pictures(25);
    node.stop();
}

#[test]
fn viewers_who_do_not_read_leave_memory_and_others_alone() {
    const MEMORY_MAX: u64 = 256 << 20;
    const VIEWERS: usize = 1000;
    let _turn = alone();
    let node = NodeOptions::default()
        .set("limits.memory_bytes_max", MEMORY_MAX)
        .start();
    let show = show(&node);
    let before = node.resident_kib();
    let crowd = Crowd::connect(node.http, VIEWERS, PER_ADDRESS, WATCH);
    let mut highest = before;
    let mut viewers: f64 = 0.0;
    for _ in 0..10 {
        show.has_all_pictures(25);
        highest = highest.max(node.resident_kib());
        viewers = viewers.max(node.metric("isocast_viewers{protocol=\"http-flv\""));
    }
    let shed = node.metric("isocast_refusals_total{reason=\"shed\"");
    let refused = node.metric("isocast_refusals_total{reason=\"overloaded\"");
    println!(
        "no readers: {} of {VIEWERS} connected, {viewers} viewers at most, {refused} refused, {shed} shed; \
         RSS {before} KiB before, {highest} KiB at most",
        crowd.len()
    );
    assert!(highest << 10 < MEMORY_MAX, "{highest} KiB");
    drop(crowd);
    wait::until("the crowd's end", 30, || {
        (node.metric("isocast_viewers{protocol=\"http-flv\"") <= 1.0).then_some(())
    });
    show.has_all_pictures(25);
    println!("RSS {} KiB after", node.resident_kib());
    node.stop();
}

#[test]
fn rooms_that_are_not_there_cost_nothing() {
    const ROUNDS: usize = 3000;
    let _turn = alone();
    let node = Node::start();
    let paths: [fn(usize) -> String; 3] = [
        |n| format!("/hls/room_none{n}/index.m3u8"),
        |n| format!("/flv/room_none{n}.flv"),
        |n| format!("/api/v1/live/none{n}"),
    ];
    let mut before = 0;
    for path in paths {
        let mut socket = TcpStream::connect(node.http).expect("the node listens");
        socket.set_nodelay(true).expect("an option");
        let mut took: Vec<_> = (0..ROUNDS)
            .map(|n| refused(&mut socket, &path(n)))
            .collect();
        took.sort_unstable();
        let (middle, p99) = (took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
        println!("{}: median {middle:?}, p99 {p99:?}", path(0));
        assert!(p99 < Duration::from_secs(1), "{p99:?}");
        // What is kept for a moment is kept by now.
        before = if before == 0 {
            node.resident_kib()
        } else {
            before
        };
    }
    let grown = node.resident_kib().saturating_sub(before);
    println!("RSS +{grown} KiB after {} rooms more", 2 * ROUNDS);
    assert!(grown <= 8 << 10, "RSS +{grown} KiB");
    node.stop();
}

/// Asks on a connection that stays open; how long the refusal took.
fn refused(socket: &mut TcpStream, path: &str) -> Duration {
    let began = Instant::now();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("it is open");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"}}") {
        let count = socket.read(&mut buffer).expect("an answer");
        assert!(count > 0, "it stays open");
        answer.extend_from_slice(&buffer[..count]);
    }
    let took = began.elapsed();
    let status = answer.get(9..12).unwrap_or_default();
    assert!(
        matches!(status, b"403" | b"404"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    took
}
