//! A stream that behaves, and viewers of it who miss nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use isocast_harness::{Node, Peer, Reply, Room, http, playlist, wait};
use isocast_media::Track;
use isocast_media::rtmp::CallerEvent;

use super::frames::{configuration, marks, picture, sound};

/// Milliseconds between two pictures, and between two sounds.
const EVERY_MS: u32 = 40;
const KEY_EVERY: u32 = 50;
/// Bytes of a picture: so few that what is kept of this stream does not hide what is kept of others.
const PICTURE_BYTES: usize = 300;
/// How long a viewer waits for anything at all.
const PATIENCE_S: u64 = 10;

pub(crate) struct Healthy {
    stop: Arc<AtomicBool>,
    publisher: JoinHandle<u32>,
    viewers: Vec<(&'static str, JoinHandle<Vec<u8>>)>,
}

impl Healthy {
    pub(crate) fn start(node: &Node) -> Self {
        let room = node.public_room("healthy");
        let stop = Arc::new(AtomicBool::new(false));
        let peer = Peer::publish(node.rtmp, &room.key);
        let stopped = Arc::clone(&stop);
        let publisher = std::thread::spawn(move || publish(peer, &stopped));
        node.wait_for_live(&room);
        node.wait_for_status(&format!("/hls/{}/index.m3u8", room.id), 200, PATIENCE_S);
        let viewers = vec![
            ("RTMP", play_rtmp(node, &room)),
            ("FLV", play_flv(node, &room)),
            ("HLS", play_hls(node, &room, Arc::clone(&stop))),
        ];
        Self {
            stop,
            publisher,
            viewers,
        }
    }

    /// Ends the stream; what a viewer has missed.
    pub(crate) fn finish(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self
            .publisher
            .join()
            .expect("the publisher is never refused");
        let mut missed = Vec::new();
        for (name, viewer) in self.viewers {
            let Ok(bytes) = viewer.join() else {
                missed.push(format!("the healthy stream: the {name} viewer gave up"));
                continue;
            };
            for kind in [b'V', b'A'] {
                if let Err(error) = check(&marks(&bytes, kind), sent) {
                    missed.push(format!(
                        "the healthy stream by {name}, {}: {error}",
                        kind as char
                    ));
                }
            }
        }
        missed
    }
}

/// From the first that came to the last that was sent, each once.
fn check(numbers: &[u32], sent: u32) -> Result<(), String> {
    let first = *numbers.first().ok_or("nothing came")?;
    for (expected, found) in (first..).zip(numbers) {
        if *found != expected {
            return Err(format!("{found} came instead of {expected}"));
        }
    }
    match first + numbers.len() as u32 {
        end if end == sent => Ok(()),
        end => Err(format!("it ends after {end}, of {sent}")),
    }
}

/// Sends on time until it is stopped; how many of each were sent.
fn publish(mut peer: Peer, stop: &AtomicBool) -> u32 {
    peer.expect_start();
    let began = Instant::now();
    for track in [Track::Video, Track::Audio] {
        assert!(peer.send(&configuration(track, 0)), "it is closed");
    }
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let now = number * EVERY_MS;
        let picture = picture(now, number, number.is_multiple_of(KEY_EVERY), PICTURE_BYTES);
        assert!(
            peer.send(&picture) && peer.send(&sound(now, number)),
            "it is closed"
        );
        number += 1;
        let due = began + Duration::from_millis(u64::from(number * EVERY_MS));
        wait::within(due.saturating_duration_since(Instant::now()), || None::<()>);
    }
    peer.close();
    number
}

fn play_rtmp(node: &Node, room: &Room) -> JoinHandle<Vec<u8>> {
    let mut peer = Peer::play(node.rtmp, &format!("room_{}", room.id));
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        loop {
            match peer.next(PATIENCE_S) {
                Reply::Event(CallerEvent::Media(media)) => bytes.extend_from_slice(&media.body),
                Reply::Event(CallerEvent::Started) => {}
                _ => return bytes,
            }
        }
    })
}

fn play_flv(node: &Node, room: &Room) -> JoinHandle<Vec<u8>> {
    let path = format!("/flv/room_{}.flv", room.id);
    let stream = http::open(node.http, "GET", &path, &[], b"");
    let mut stream = stream.expect("the node answers");
    std::thread::spawn(move || {
        stream.read_to_end().expect("FLV comes without a pause");
        stream.finish().body
    })
}

fn play_hls(node: &Node, room: &Room, stop: Arc<AtomicBool>) -> JoinHandle<Vec<u8>> {
    let (address, folder) = (node.http, format!("/hls/room_{}", room.id));
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut next = 0;
        loop {
            let answer = http::get(address, &format!("{folder}/index.m3u8"));
            let list = playlist::parse(&answer.text());
            for segment in list.segments.iter().filter(|segment| segment.msn >= next) {
                let answer = http::get(address, &format!("{folder}/{}", segment.uri));
                assert_eq!(answer.status, 200, "{}", segment.uri);
                bytes.extend_from_slice(&elementary(&answer.body));
            }
            next = list.segments.last().map_or(next, |segment| segment.msn + 1);
            if list.has_ended {
                return bytes;
            }
            // As often as a player asks, and once more at the end.
            let ends = || stop.load(Ordering::Relaxed).then_some(());
            wait::within(Duration::from_millis(500), ends);
        }
    })
}

/// The payloads of a transport stream's packets, one packet id after the other (ISO 13818-1 §2.4.3).
fn elementary(packets: &[u8]) -> Vec<u8> {
    let mut streams = std::collections::BTreeMap::<u16, Vec<u8>>::new();
    for packet in packets.as_chunks::<188>().0 {
        let id = u16::from_be_bytes([packet[1] & 0x1F, packet[2]]);
        let adaptation = match packet[3] & 0x20 {
            0 => 0,
            _ => 1 + usize::from(packet[4]),
        };
        let payload = packet.get(4 + adaptation..).unwrap_or_default();
        streams.entry(id).or_default().extend_from_slice(payload);
    }
    streams.into_values().flatten().collect()
}
