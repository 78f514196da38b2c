//! Nodes that talk to each other over real sockets, and others that are no nodes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use isocast_claims::{Incarnation, NodeId, Owner, Pair, Standing};
use isocast_proto::v1::peer_service_client::PeerServiceClient;
use isocast_proto::{Description, State, v1};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};

use super::client::Client;
use super::*;
use crate::api::tests::Node;
use crate::config::{self, Config, HostPort};
use crate::data::scratch::Scratch;
use crate::ownership::Peers as _;
use crate::rooms::memory::Memory;

pub(super) const TOKEN: &str = "a-token-of-all-nodes";

/// A node that knows peers by [`TOKEN`].
pub(super) async fn node(id: &str, list: Vec<HostPort>) -> Node {
    let scratch = Scratch::new();
    scratch.write("token", TOKEN.as_bytes());
    let peers = config::Peers {
        token_file: scratch.path().join("token"),
        list,
        ..Default::default()
    };
    node_with(id, peers).await
}

async fn node_with(id: &str, peers: config::Peers) -> Node {
    let mut config = Config {
        peers,
        ..Config::default()
    };
    config.node.id = id.into();
    Node::with(config, Arc::new(Memory::new())).await
}

/// An authority, and certificates of its in files.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ca: String,
    scratch: Scratch,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            ca,
            scratch: Scratch::new(),
        }
    }

    /// Certificate, key and authority for whoever is called `name`, valid until this year.
    fn issue(&self, name: &str, until: i32) -> config::Peers {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let write = |what: &str, text: &str| -> PathBuf {
            let file = format!("{name}-{until}-{what}");
            self.scratch.write(&file, text.as_bytes());
            self.scratch.path().join(file)
        };
        config::Peers {
            tls_cert_file: write("cert", &certificate.pem()),
            tls_key_file: write("key", &key.serialize_pem()),
            tls_ca_file: write("ca", &self.ca),
            ..Default::default()
        }
    }

    async fn node(&self, id: &str, list: Vec<HostPort>) -> Node {
        let peers = self.issue("isocast-peer", 2100);
        node_with(id, config::Peers { list, ..peers }).await
    }
}

fn at(node: &Node) -> HostPort {
    node.internal.to_string().parse().unwrap()
}

fn id(node: &str) -> NodeId {
    NodeId::parse(node).unwrap()
}

fn pair(epoch: u64) -> Pair {
    Pair {
        epoch,
        owner: Owner {
            node: id("node-3"),
            incarnation: Incarnation(1),
        },
    }
}

async fn knows(node: &Node, names: &[&str]) {
    let mut known = node.app.peers.known.subscribe();
    let all = |known: &Arc<Known>| names.iter().all(|name| known.contains_key(&id(name)));
    let found = timeout(Duration::from_secs(10), known.wait_for(all)).await;
    assert!(found.is_ok(), "{names:?} are found");
}

fn refusals(node: &Node, reason: &str) -> u64 {
    let line = format!("isocast_refusals_total{{surface=\"peer\",reason=\"{reason}\"}} ");
    let text = node.app.metrics.render("");
    let found = text.lines().find_map(|it| it.strip_prefix(&line));
    found.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn three_nodes_find_ask_and_tell_each_other() {
    let authority = Authority::new();
    for by_tls in [false, true] {
        let start = async |id, list| match by_tls {
            true => authority.node(id, list).await,
            false => node(id, list).await,
        };
        let one = start("node-1", vec![]).await;
        let two = start("node-2", vec![at(&one)]).await;
        let three = start("node-3", vec![at(&one), at(&two)]).await;
        knows(&two, &["node-1"]).await;
        knows(&three, &["node-1", "node-2"]).await;

        let (room, peers) = (RoomId::parse("open").unwrap(), &three.app.peers);
        assert_eq!(peers.known(), [id("node-1"), id("node-2")]);
        for peer in peers.known() {
            let answer = peers.ask(&peer, &room, &pair(7)).await.expect("an answer");
            assert_eq!((answer.floor, answer.standing), (None, Standing::Free));
            assert_eq!(peers.announce(&peer, &room, &pair(7)).await, None);
            let answer = peers.ask(&peer, &room, &pair(8)).await.expect("an answer");
            assert_eq!(answer.floor, Some(pair(7)));
            let replayed = peers.announce(&peer, &room, &pair(6)).await;
            assert_eq!(replayed, Some(pair(7)), "what is older is stale");
        }
        assert_eq!(peers.ask(&id("node-9"), &room, &pair(7)).await, None);
    }
}

#[tokio::test]
async fn a_node_that_ends_leaves_no_connection_behind() {
    let one = node("node-1", vec![]).await;
    let two = node("node-2", vec![at(&one)]).await;
    knows(&two, &["node-1"]).await;
    two.app.stop.close();
    two.app.stop.close_listeners();
    two.app.tasks.close();
    let ended = timeout(Duration::from_secs(5), two.app.tasks.wait()).await;
    assert!(ended.is_ok(), "{} tasks go on", two.app.tasks.len());
    assert_eq!(two.app.peers.known(), []);
}

#[tokio::test]
async fn a_room_is_described_as_it_is_here() {
    let one = node("node-1", vec![]).await;
    let mut stub = stub(&one).await;
    let mut describe = async |room: &str| {
        let asked = v1::DescribeRequest {
            to: "node-1".into(),
            room: room.into(),
        };
        let answer = stub.describe(with_token(asked, TOKEN)).await.unwrap();
        Description::try_from(answer.into_inner()).unwrap()
    };
    let nothing = Description {
        state: State::None,
        pair: None,
        room_time_ms: None,
    };
    assert_eq!(describe("open").await, nothing);
    let (publisher, stream) = crate::api::tests::publish(&one);
    let live = describe("open").await;
    let (pair, time) = stream.newest().expect("a publisher");
    assert_eq!((live.state, live.room_time_ms), (State::Live, Some(time.0)));
    assert_eq!(
        (live.pair.as_ref(), &pair),
        (Some(&pair), &publisher.claim().pair)
    );
    drop(publisher);
    let interrupted = describe("open").await;
    assert_eq!(interrupted.state, State::Interrupted);
    assert_eq!(interrupted.pair, live.pair);
    assert_eq!(describe("shut").await, nothing);
}

#[tokio::test]
async fn a_peer_that_is_gone_costs_no_time() {
    let one = node("node-1", vec![]).await;
    let two = node("node-2", vec![at(&one)]).await;
    knows(&two, &["node-1"]).await;
    one.app.stop.close_listeners();
    one.app.stop.close();
    let room = RoomId::parse("open").unwrap();
    let began = Instant::now();
    let gone = async {
        // Until its connection has ended it may still answer.
        while two
            .app
            .peers
            .ask(&id("node-1"), &room, &pair(7))
            .await
            .is_some()
        {}
    };
    timeout(Duration::from_secs(8), gone)
        .await
        .expect("it goes");
    for _ in 0..5 {
        assert_eq!(
            two.app.peers.ask(&id("node-1"), &room, &pair(7)).await,
            None
        );
    }
    assert!(began.elapsed() < Duration::from_secs(9));
}

/// Talks in the clear to an internal port, as what no node says.
async fn stub(node: &Node) -> PeerServiceClient<tonic::transport::Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", node.internal)).unwrap();
    PeerServiceClient::new(connect(endpoint).await)
}

async fn connect(endpoint: Endpoint) -> tonic::transport::Channel {
    let dial = tower::service_fn(|uri: hyper::Uri| async move {
        let authority = uri.authority().expect("it has one").as_str().to_owned();
        let tcp = TcpStream::connect(authority).await?;
        Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(tcp))
    });
    endpoint.connect_with_connector(dial).await.unwrap()
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request
}

fn question(to: &str) -> v1::QuestionRequest {
    v1::QuestionRequest {
        to: to.into(),
        room: "open".into(),
        pair: Some((&pair(7)).into()),
    }
}

#[tokio::test]
async fn who_has_no_token_is_nobody() {
    let one = node("node-1", vec![]).await;
    let mut stub = stub(&one).await;
    let ours = v1::IntroduceRequest {};
    let refused = stub.introduce(Request::new(ours)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    for token in ["", "another-token-of-nodes", crate::api::tests::ADMIN_TOKEN] {
        let refused = stub.introduce(with_token(ours, token)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{token}");
    }
    assert_eq!(refusals(&one, "unauthorized"), 4);
    assert!(stub.introduce(with_token(ours, TOKEN)).await.is_ok());

    // What it opens is what nodes say to each other, and nothing else.
    let admin = format!(
        "GET /admin/v1/node HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
    );
    assert!(raw(&one, &admin).await.starts_with("HTTP/1.1 4"));
}

#[tokio::test]
async fn a_node_without_credential_serves_no_peers() {
    let alone = Node::start().await;
    let mut stub = stub(&alone).await;
    let asked = with_token(v1::IntroduceRequest {}, TOKEN);
    assert!(stub.introduce(asked).await.is_err());
    let path = "/isocast.v1.PeerService/Introduce";
    assert_eq!(
        call(&alone, path, b"\0\0\0\0\0").await,
        None,
        "it is not there"
    );
}

#[tokio::test]
async fn either_of_two_tokens_is_taken_while_they_change() {
    let scratch = Scratch::new();
    scratch.write(
        "token",
        format!("{TOKEN}\nthe-token-that-comes\n").as_bytes(),
    );
    let peers = config::Peers {
        token_file: scratch.path().join("token"),
        ..Default::default()
    };
    let one = node_with("node-1", peers).await;
    let mut stub = stub(&one).await;
    for (token, is_taken) in [
        (TOKEN, true),
        ("the-token-that-comes", true),
        ("the-token-that-went", false),
    ] {
        let asked = with_token(v1::IntroduceRequest {}, token);
        assert_eq!(stub.introduce(asked).await.is_ok(), is_taken, "{token}");
    }
}

#[tokio::test]
async fn what_no_node_says_is_refused_and_counted() {
    let one = node("node-1", vec![]).await;
    let mut stub = stub(&one).await;
    let mut asked = async |request| {
        let answer = stub.question(with_token(request, TOKEN)).await;
        answer.map(drop).map_err(|status| status.code())
    };
    assert_eq!(asked(question("node-1")).await, Ok(()));
    assert_eq!(
        asked(question("node-2")).await,
        Err(Code::FailedPrecondition)
    );
    assert_eq!(refusals(&one, "misdirected"), 1);
    let mut bad_room = question("node-1");
    bad_room.room = "../open".into();
    assert_eq!(asked(bad_room).await, Err(Code::InvalidArgument));
    assert_eq!(refusals(&one, "bad_request"), 1);
    let mut large = question("node-1");
    large.room = "a".repeat(65 << 10);
    assert_eq!(asked(large).await, Err(Code::OutOfRange));
    assert_eq!(refusals(&one, "too_large"), 1);
    let mut ahead = question("node-1");
    ahead.pair = Some((&pair(u64::MAX)).into());
    let told = stub.announce(with_token(
        v1::AnnounceRequest {
            to: ahead.to,
            room: ahead.room,
            pair: ahead.pair,
        },
        TOKEN,
    ));
    assert_eq!(told.await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(refusals(&one, "bad_request"), 2);
    let asked = with_token(question("node-1"), TOKEN);
    assert!(stub.question(asked).await.is_ok(), "it goes on");
}

#[tokio::test]
async fn garbage_in_a_call_is_refused_and_counted() {
    let one = node("node-1", vec![]).await;
    const QUESTION: &str = "/isocast.v1.PeerService/Question";
    let many = [&b"\0\0\0\0\x64"[..], &[0x73; 100]].concat();
    for (path, body, code, reason) in [
        // A frame of 4 GiB, one that is compressed, and what is no protobuf.
        (QUESTION, &b"\0\xff\xff\xff\xff"[..], "11", "too_large"),
        (QUESTION, b"\x01\0\0\0\x01a", "13", "malformed"),
        (QUESTION, b"\0\0\0\0\x02\x0a\xff", "13", "malformed"),
        (QUESTION, &many, "13", "malformed"),
        (
            "/isocast.v1.PeerService/Forget",
            b"\0\0\0\0\0",
            "12",
            "unknown_method",
        ),
    ] {
        let before = refusals(&one, reason);
        let told = call(&one, path, body).await;
        assert_eq!(told.as_deref(), Some(code), "{path} {body:?}");
        assert_eq!(refusals(&one, reason), before + 1, "{path} {body:?}");
    }
    assert_eq!(call(&one, "/grpc.health.v1.Health/Check", b"").await, None);
    let mut stub = stub(&one).await;
    let asked = with_token(question("node-1"), TOKEN);
    assert!(stub.question(asked).await.is_ok(), "it goes on");
}

/// One call of these bytes, by the token; what gRPC says became of it.
async fn call(node: &Node, path: &str, body: &[u8]) -> Option<String> {
    let tcp = TcpStream::connect(node.internal).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(tcp);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut requests, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = hyper::Request::post(format!("http://{}{path}", node.internal))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(http_body_util::Full::new(bytes::Bytes::copy_from_slice(
            body,
        )))
        .unwrap();
    let response = requests.send_request(request).await.unwrap();
    connection.abort();
    let status = response.headers().get("grpc-status")?;
    Some(status.to_str().unwrap().to_owned())
}

async fn raw(node: &Node, request: &str) -> String {
    let mut tcp = TcpStream::connect(node.internal).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tcp.read_to_string(&mut answer);
    timeout(Duration::from_secs(5), read)
        .await
        .unwrap()
        .unwrap();
    answer
}

/// A connection's refusal is counted a moment after the other side has heard of it.
async fn is_counted(node: &Node, reason: &str) {
    let counted = async {
        while refusals(node, reason) == 0 {
            tokio::task::yield_now().await;
        }
    };
    let counted = timeout(Duration::from_secs(5), counted).await;
    assert!(counted.is_ok(), "{reason} is counted");
}

/// Introduces itself to a node by these certificates.
async fn introduced(node: &Node, by: &config::Peers) -> Result<Owner, crate::outbound::Error> {
    let credential = Credential::read(by).unwrap().unwrap();
    let dialler = crate::run::assemble::dialler(&node.app.config, &node.app.metrics).unwrap();
    let tasks = node.app.tasks.clone();
    let client = Client::new(at(node), credential, dialler, tasks);
    client.introduce().await
}

#[tokio::test]
async fn only_certificates_of_the_cluster_are_taken() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let one = ours.node("node-1", vec![]).await;
    let good = ours.issue("isocast-peer", 2100);
    assert_eq!(introduced(&one, &good).await.unwrap().node, id("node-1"));
    // They trust our authority; it is who they are that is wrong.
    let with_our_ca = |peers: config::Peers| config::Peers {
        tls_ca_file: good.tls_ca_file.clone(),
        ..peers
    };
    for (by, reason) in [
        (theirs.issue("isocast-peer", 2100), "certificate_of_others"),
        (ours.issue("isocast-peer", 2001), "certificate_expired"),
    ] {
        let began = Instant::now();
        let refused = introduced(&one, &with_our_ca(by)).await;
        assert!(refused.is_err(), "{reason}");
        assert!(began.elapsed() < Duration::from_secs(1), "{reason}");
        is_counted(&one, reason).await;
    }
    // A node does not start with a certificate of another name; a stranger may come with one.
    let misnamed = ours.issue("another", 2100);
    assert!(Credential::read(&misnamed).is_err());
    let shown = handshake(&one, &ours, &misnamed).await;
    assert!(shown.is_err(), "{shown:?}");
    is_counted(&one, "certificate_wrong_name").await;
}

#[tokio::test]
async fn a_server_that_is_no_node_is_not_told_anything() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let stranger = theirs.node("node-1", vec![]).await;
    let refused = introduced(&stranger, &ours.issue("isocast-peer", 2100)).await;
    assert_eq!(refused.unwrap_err().label(), "untrusted");
    // Nor one that speaks in the clear.
    let plain = node("node-2", vec![]).await;
    let refused = introduced(&plain, &ours.issue("isocast-peer", 2100)).await;
    assert_eq!(refused.unwrap_err().label(), "untrusted");
}

#[tokio::test]
async fn probes_need_no_certificate_and_peers_do() {
    let authority = Authority::new();
    let one = authority.node("node-1", vec![]).await;
    for path in ["/livez", "/readyz", "/metrics"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        assert!(
            raw(&one, &request).await.starts_with("HTTP/1.1 200"),
            "{path}"
        );
    }
    let refused: Status = stub(&one)
        .await
        .introduce(v1::IntroduceRequest {})
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "in the clear");
    assert_eq!(refusals(&one, "unauthorized"), 1);
    // By TLS without a certificate: probes again.
    let answer = handshake(&one, &authority, &config::Peers::default()).await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 200"));
}

/// Asks for `/livez` by TLS, with these certificates if any.
async fn handshake(
    node: &Node,
    authority: &Authority,
    shown: &config::Peers,
) -> std::io::Result<String> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(authority.ca.as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown.has_certificate() {
        true => {
            let chain = vec![CertificateDer::from_pem_file(&shown.tls_cert_file).unwrap()];
            let key = PrivateKeyDer::from_pem_file(&shown.tls_key_file).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
        false => config.with_no_client_auth(),
    };
    let tcp = TcpStream::connect(node.internal).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut tls = connector.connect(crate::tls::server_name(), tcp).await?;
    tls.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    tls.read_to_string(&mut answer).await?;
    Ok(answer)
}
