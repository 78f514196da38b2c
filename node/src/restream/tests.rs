//! Pushes to a server in this process, which writes down what it gets.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use isocast_media::rtmp::session::status::PUBLISH_BAD_NAME;
use isocast_media::rtmp::{Event, Limits, Media, Session};
use isocast_media::{Codec, Frame, Kind, MediaMs};
use prometheus_client::metrics::family::Family;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::config::Config;
use crate::data::Secret;
use crate::hub::{Hub, Publisher, Source};
use crate::outbound::{Rules, Trust};
use crate::registry::Claim;
use crate::rooms::memory::Memory;
use crate::rooms::{NewRoom, OnConflict, Playback};
use crate::run::assemble::hub_limits;

const KEY: &str = "the-key-there";

/// A target's end: takes publishers whose key is right, and hands on what they send.
struct Server {
    address: SocketAddr,
    got: mpsc::Receiver<Media>,
    /// Whether publishers end their streams in words.
    unpublished: mpsc::Receiver<()>,
    /// Asks every publisher to connect anew.
    going: watch::Sender<bool>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (media, got) = mpsc::channel(1000);
        let (ends, unpublished) = mpsc::channel(10);
        let (going, goes) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, media.clone(), ends.clone(), goes.clone()));
            }
        });
        Self {
            address,
            got,
            unpublished,
            going,
        }
    }

    async fn media(&mut self) -> Media {
        let media = tokio::time::timeout(Duration::from_secs(10), self.got.recv());
        media.await.expect("media in time").expect("it runs")
    }
}

async fn serve(
    mut tcp: TcpStream,
    media: mpsc::Sender<Media>,
    ends: mpsc::Sender<()>,
    mut goes: watch::Receiver<bool>,
) {
    goes.mark_unchanged();
    let mut session = Session::new(Limits::default(), 1, Instant::now());
    let mut buffer = [0; 4096];
    loop {
        let event = session
            .next_event(Instant::now())
            .expect("a push speaks RTMP");
        if tcp.write_all(&session.take_output()).await.is_err() {
            return;
        }
        match event {
            Some(Event::Publish { app, name }) => {
                assert_eq!(app, "live");
                match name == KEY {
                    true => session.accept_publish(Instant::now()),
                    false => session.refuse(PUBLISH_BAD_NAME, &format!("{name} is no key")),
                }
            }
            Some(Event::Media(one)) => media.send(one).await.unwrap(),
            Some(Event::Unpublish) => ends.send(()).await.unwrap(),
            Some(_) => {}
            None => tokio::select! {
                read = tcp.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(count) => session.receive(&buffer[..count]),
                },
                Ok(()) = goes.changed() => {
                    let elsewhere = Some("rtmp://192.0.2.1/live");
                    assert!(session.request_reconnect(elsewhere, "going"));
                }
            },
        }
    }
}

/// A node's hub with a live room `a`, and what sends it on.
struct World {
    restreams: Restreams,
    hub: Hub,
    publisher: Publisher,
    stream: Arc<Stream>,
    metrics: Metrics,
    store: Arc<Memory>,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(Memory::new());
        let room = RoomId::parse("a").unwrap();
        let new = NewRoom {
            id: room.clone(),
            playback: Playback::Public,
            on_conflict: OnConflict::Refuse,
            created_at: isocast_media::UnixMs(1),
            limits: crate::rooms::RoomLimits::default(),
        };
        store.create(new).await.unwrap();
        let metrics = Metrics::new();
        let rules = Rules::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let trust = Trust::new(Path::new("")).unwrap();
        let dialler = Arc::new(Dialler::new(rules, trust, Family::default()));
        let restreams = Restreams::new(
            store.clone(),
            dialler,
            Allowed::new(&[]),
            &metrics,
            Stop::default(),
            TaskTracker::new(),
        );
        let hub = Hub::new(hub_limits(&Config::default()));
        let claim = Claim::of(room, 1);
        let (publisher, stream) = hub
            .publish(claim, Source::anyone(), Instant::now())
            .unwrap();
        Self {
            restreams,
            hub,
            publisher,
            stream,
            metrics,
            store,
        }
    }

    fn push(&self, codec: Codec, kind: Kind, dts: i64, data: &'static [u8]) {
        let frame = Frame {
            codec,
            track_id: 0,
            kind,
            dts: MediaMs(dts),
            pts_offset_ms: 0,
            data: Bytes::from_static(data),
        };
        self.publisher.push(frame, Instant::now()).unwrap();
    }

    /// A description, configurations and two GOPs, 7 s into the encoder's time.
    fn begin(&self) {
        self.push(
            Codec::Script,
            Kind::Metadata,
            0,
            b"\x02\x00\x0aonMetaData\x03\x00\x00\x09",
        );
        self.push(Codec::Avc, Kind::Config, 7000, b"avc");
        self.push(Codec::Aac, Kind::Config, 7000, b"aac");
        for at in [7000, 8000] {
            self.push(Codec::Avc, Kind::Media { key: true }, at, b"key");
            self.push(Codec::Aac, Kind::Media { key: true }, at + 10, b"sound");
        }
    }

    async fn state(&self, target: &Target, state: State) -> Status {
        let look = async {
            loop {
                let status = self.restreams.status(self.stream.room(), target);
                match status {
                    Some(status) if status.state == state => return status,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(10), look).await;
        found.expect("the state in time")
    }

    fn gauge(&self, state: State) -> i64 {
        let state = state.as_str();
        self.metrics
            .restreams
            .get_or_create(&crate::metrics::StateLabel { state })
            .get()
    }
}

fn target(to: SocketAddr, key: &str) -> Target {
    Target {
        name: "t".parse().unwrap(),
        url: format!("rtmp://{to}/live").parse().unwrap(),
        stream_key: Secret::new(key.to_owned()),
        enabled: true,
    }
}

#[tokio::test]
async fn a_push_begins_at_zero_with_all_that_a_player_needs() {
    let (world, mut server) = (World::new().await, Server::start().await);
    world.begin();
    let target = target(server.address, KEY);
    let targets = [target.clone()];
    world
        .store
        .put_restreams(world.stream.room(), &targets)
        .await
        .unwrap();
    world.restreams.follow(&world.stream);
    let mut got = Vec::new();
    for _ in 0..5 {
        let Media {
            timestamp, body, ..
        } = server.media().await;
        got.push((timestamp, body));
    }
    assert!(
        got[0]
            .1
            .starts_with(b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData")
    );
    let ends: Vec<_> = got
        .iter()
        .skip(1)
        .map(|(at, body)| (*at, &body[body.len() - 3..]))
        .collect();
    assert_eq!(
        ends,
        [(0, &b"avc"[..]), (0, b"aac"), (0, b"key"), (10, b"und")]
    );

    let live = world.state(&target, State::Live).await;
    assert!(live.bytes_out > 3000, "the handshake alone is more");
    assert_eq!((live.retries, world.gauge(State::Live)), (0, 1));
    world.push(Codec::Avc, Kind::Media { key: true }, 9000, b"key");
    assert_eq!(server.media().await.timestamp, 1000);

    // The end of the stream is told to the target.
    world.hub.end_all();
    let end = tokio::time::timeout(Duration::from_secs(5), server.unpublished.recv());
    assert_eq!(end.await.expect("in time"), Some(()));
    world.restreams.look();
    assert!(
        world
            .restreams
            .status(world.stream.room(), &target)
            .is_none()
    );
    world.restreams.0.as_ref().unwrap().tasks.close();
    world.restreams.0.as_ref().unwrap().tasks.wait().await;
    assert_eq!(world.gauge(State::Live), 0);
}

#[tokio::test]
async fn targets_change_while_the_room_is_live() {
    let (world, mut server, mut other) = (
        World::new().await,
        Server::start().await,
        Server::start().await,
    );
    world.begin();
    world.restreams.follow(&world.stream);
    let first = target(server.address, KEY);
    world
        .restreams
        .changed(world.stream.room(), vec![first.clone()]);
    server.media().await;
    // The same again changes nothing.
    world
        .restreams
        .changed(world.stream.room(), vec![first.clone()]);
    world.restreams.look();
    assert_eq!(world.state(&first, State::Live).await.retries, 0);
    assert!(server.unpublished.try_recv().is_err());

    let second = target(other.address, KEY);
    world
        .restreams
        .changed(world.stream.room(), vec![second.clone()]);
    other.media().await;
    server
        .unpublished
        .recv()
        .await
        .expect("the first was ended");
    assert!(
        world
            .restreams
            .status(world.stream.room(), &first)
            .is_none()
    );
    let off = Target {
        enabled: false,
        ..second
    };
    world.restreams.changed(world.stream.room(), vec![off]);
    other
        .unpublished
        .recv()
        .await
        .expect("the second was ended");
}

#[tokio::test]
async fn a_refusal_is_shown_without_the_key() {
    let (world, server) = (World::new().await, Server::start().await);
    world.begin();
    world.restreams.follow(&world.stream);
    let wrong = target(server.address, "a-wrong-key");
    world
        .restreams
        .changed(world.stream.room(), vec![wrong.clone()]);
    let waiting = world.state(&wrong, State::Waiting).await;
    assert_eq!(
        waiting.error.as_deref(),
        Some("refused: NetStream.Publish.BadName")
    );
    assert_eq!((waiting.retries, world.gauge(State::Waiting)), (1, 1));
}

#[tokio::test]
async fn who_asks_to_connect_anew_is_called_again_at_once() {
    let (world, mut server) = (World::new().await, Server::start().await);
    world.begin();
    world.restreams.follow(&world.stream);
    let target = target(server.address, KEY);
    world
        .restreams
        .changed(world.stream.room(), vec![target.clone()]);
    for _ in 0..5 {
        server.media().await;
    }
    server.going.send(true).unwrap();
    let end = tokio::time::timeout(Duration::from_secs(5), server.unpublished.recv());
    assert_eq!(end.await.expect("in time"), Some(()), "in words");
    let again = server.media().await;
    assert_eq!(again.timestamp, 0, "a push of its own");
    assert_eq!(world.state(&target, State::Live).await.retries, 1);
}
