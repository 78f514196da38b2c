//! Real connections to peers that misbehave.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use futures_util::future::join_all;
use futures_util::stream;
use hyper::service::service_fn;
use isocast_claims::NodeId;
use isocast_media::hls::SegmentName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::error::Refusal;
use crate::outbound::HostPort;
use crate::rooms::RoomId;

#[derive(Debug)]
struct Plain;

impl Dial for Plain {
    fn dial<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<Box<dyn Connection>, Error>> {
        Box::pin(async {
            let HostPort { host, port } = &holder.at;
            let tcp = TcpStream::connect((host.as_str(), *port)).await;
            let tcp = tcp.map_err(|error| Error::Unreachable {
                host: host.clone(),
                cause: error.to_string(),
            })?;
            Ok(Box::new(tcp) as Box<dyn Connection>)
        })
    }

    fn bearer(&self) -> BoxFuture<'_, Option<HeaderValue>> {
        Box::pin(async { Some(HeaderValue::from_static("Bearer secret")) })
    }
}

struct Peer {
    client: Client,
    holder: Holder,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Peer {
    /// A server that answers every request like this.
    async fn that(
        answers: impl Fn(Request<Incoming>) -> Response<Body> + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let peer = Self::at(listener.local_addr().unwrap().port());
        let (stop, tasks) = (peer.stop.clone(), peer.tasks.clone());
        peer.tasks.spawn(async move {
            while let Some(Ok((tcp, _))) = stop.run_until_cancelled(listener.accept()).await {
                let (answers, stop) = (answers.clone(), stop.clone());
                let service = service_fn(move |request| {
                    let answer = answers(request);
                    async { Ok::<_, Infallible>(answer) }
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let served = server.serve_connection(TokioIo::new(tcp), service);
                tasks.spawn(async move { stop.run_until_cancelled(served).await.is_some() });
            }
        });
        peer
    }

    fn at(port: u16) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Self {
            client: Client::new(Arc::new(Plain), tasks.clone(), stop.clone()),
            holder: Holder {
                node: NodeId::parse("peer").unwrap(),
                at: HostPort {
                    host: "127.0.0.1".into(),
                    port,
                },
            },
            tasks,
            stop,
        }
    }

    async fn ask(&self, object: Object) -> Result<Reply, Failure> {
        let ask = Ask {
            room: RoomId::parse("a").unwrap(),
            object,
            after: None,
        };
        let called = timeout(Duration::from_secs(5), self.client.call(&self.holder, &ask));
        called.await.unwrap_or(Err(Failure::Late))
    }
}

fn good(body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    let claim = HeaderValue::from_static("7 1 peer");
    response.headers_mut().insert("isocast-claim", claim);
    response
}

fn segment() -> Object {
    Object::Segment(SegmentName::parse("7-00c0ffee", "9.ts").unwrap())
}

#[tokio::test]
async fn a_good_answer_is_read() {
    let peer = Peer::that(|request| {
        assert_eq!(request.uri().path(), "/peer/hls/room_a/7-00c0ffee/9.ts");
        assert_eq!(request.headers()[header::AUTHORIZATION], "Bearer secret");
        good(vec![3; 3 << 20])
    });
    let peer = peer.await;
    let Ok(Reply::Found(found)) = peer.ask(segment()).await else {
        panic!("it was sent");
    };
    assert_eq!((found.body.len(), found.pair.epoch), (3 << 20, 7));
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_told() {
    let unreachable = |failure: &Failure| matches!(failure, Failure::Unreachable(_));
    let garbled = |failure: &Failure| matches!(failure, Failure::Garbled(_));
    let status = |failure: &Failure| matches!(failure, Failure::Status(500 | 302));
    type Fixed = fn(Request<Incoming>) -> Response<Body>;
    type Answers = Box<dyn Fn(Request<Incoming>) -> Response<Body> + Send + Sync>;
    type Check = fn(&Failure) -> bool;
    let breaks_off = |_| {
        let parts = [Ok("some"), Err(std::io::Error::other("and no more"))];
        good(Body::from_stream(stream::iter(parts)))
    };
    let endless = |_| {
        let parts = stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from(vec![0; 1 << 20])));
        good(Body::from_stream(parts))
    };
    let declares = |length: &'static str| {
        move |_: Request<Incoming>| {
            let mut response = good("short");
            let length = HeaderValue::from_static(length);
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length);
            response
        }
    };
    let fails = |code: u16| {
        move |_: Request<Incoming>| {
            let mut response = good("");
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            response
        }
    };
    let rows: [(&str, Answers, Check); 8] = [
        ("500", Box::new(fails(500)), status),
        ("redirect", Box::new(fails(302)), status),
        ("breaks off", Box::new(breaks_off as Fixed), unreachable),
        ("endless", Box::new(endless as Fixed), garbled),
        ("declares much", Box::new(declares("99999999999")), garbled),
        ("declares more", Box::new(declares("6")), unreachable),
        ("declares less", Box::new(declares("4")), unreachable),
        (
            "no claim",
            Box::new(|_| Response::new("body".into())),
            garbled,
        ),
    ];
    for (what, answers, check) in rows {
        let answers = Arc::new(answers);
        let peer = Peer::that(move |request| answers(request)).await;
        let failure = peer.ask(segment()).await.expect_err(what);
        assert!(check(&failure), "{what}: {failure:?}");
        peer.stop.cancel();
        peer.tasks.close();
        peer.tasks.wait().await;
    }
}

#[tokio::test]
async fn a_playlist_is_no_larger_than_one_can_be() {
    let peer = Peer::that(|_| good(vec![b'#'; PLAYLIST_BYTES_MAX + 1])).await;
    let failure = peer.ask(Object::Playlist).await.unwrap_err();
    assert!(matches!(failure, Failure::Garbled(_)), "{failure:?}");
}

#[tokio::test]
async fn nothing_there_is_an_answer() {
    let peer = Peer::that(|_| {
        let mut response = good("");
        *response.status_mut() = StatusCode::NOT_FOUND;
        wire::tell_absent(response.headers_mut(), &Refusal::NoSegment);
        response
    });
    let reply = peer.await.ask(segment()).await;
    assert!(matches!(reply, Ok(Reply::Absent(Refusal::NoSegment))));
}

#[tokio::test]
async fn what_speaks_no_http2_or_nothing_at_all_is_unreachable() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let peer = Peer::at(listener.local_addr().unwrap().port());
    let talks = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    });
    let failure = peer.ask(segment()).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable(_)), "{failure:?}");
    talks.await.unwrap();
    let failure = peer.ask(segment()).await.unwrap_err();
    assert!(
        matches!(failure, Failure::Unreachable(_)),
        "nobody listens: {failure:?}"
    );
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_noticed() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let peer = Peer::at(listener.local_addr().unwrap().port());
    let accepted = async { listener.accept().await.unwrap() };
    let begun = Instant::now();
    let (_silent, failure) = tokio::join!(accepted, peer.ask(segment()));
    assert!(
        matches!(failure, Err(Failure::Unreachable(_))),
        "{failure:?}"
    );
    assert!(begun.elapsed() >= PING_EVERY);
}

#[tokio::test]
async fn many_requests_share_few_connections() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let peer = Peer::that(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        let later = async {
            sleep(Duration::from_millis(200)).await;
            Ok::<_, Infallible>("body")
        };
        good(Body::from_stream(stream::once(later)))
    });
    let peer = peer.await;
    let answers = join_all((0..300).map(|_| peer.ask(segment()))).await;
    assert!(answers.iter().all(Result::is_ok));
    let line = Arc::clone(&peer.client.lines.lock()[&peer.holder]);
    assert_eq!(line.lock().await.len(), 4, "90 at once on each");
    assert_eq!(requests.load(Ordering::Relaxed), 300);
}
