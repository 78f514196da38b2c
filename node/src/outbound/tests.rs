//! Calls to small servers that do what servers should not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use prometheus_client::metrics::family::Family;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::http::Answer;
use super::resolve::Resolve;
use super::rules::Reserved;
use super::*;

const DEADLINE: Duration = Duration::from_secs(5);

/// Gives one set of answers after the other, as a name does whose owner changes them.
#[derive(Debug, Default)]
struct Names {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    fn answering(answers: &[&[&str]]) -> Self {
        let read = |text: &&str| text.parse().unwrap();
        let sets = answers.iter().rev();
        let answers = sets.map(|set| set.iter().map(read).collect()).collect();
        Self {
            answers: Mutex::new(answers),
            asked: Arc::default(),
        }
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let next = self.answers.lock().unwrap().pop();
        Box::pin(async move { next.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// Never answers, as a name server that swallows questions.
#[derive(Debug)]
struct Silent;

impl Resolve for Silent {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::pending())
    }
}

fn dialler(listed: &[&str]) -> Dialler {
    let listed = listed.iter().map(|text| text.parse().unwrap());
    let trust = Trust::new(Path::new("")).unwrap();
    Dialler::new(Rules::new(listed.collect()), trust, Family::default())
}

fn url(text: &str) -> HttpUrl {
    HttpUrl::parse(text).unwrap()
}

async fn get(http: &Http, text: &str) -> Result<Answer, Error> {
    http.get("test", &url(text), HeaderMap::new(), DEADLINE, 4096)
        .await
}

/// Answers each connection's request with these bytes, over and over if asked, and counts them.
async fn server(answer: &'static [u8], over_and_over: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = tcp.read(&mut request).await;
                while tcp.write_all(answer).await.is_ok() && over_and_over {}
                // Until the other side has gone.
                while tcp.read(&mut request).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    (address, accepted)
}

#[tokio::test]
async fn one_bad_answer_refuses_a_name() {
    for (answers, expected) in [
        (&["8.8.8.8", "127.0.0.1"][..], Reserved::Loopback),
        (&["169.254.169.254", "8.8.8.8"], Reserved::Metadata),
        (&["2606:4700::1", "::ffff:10.0.0.1"], Reserved::Private),
        (&["8.8.8.8", "64:ff9b::7f00:1"], Reserved::Loopback),
    ] {
        let dialler = dialler(&[]).asking(Names::answering(&[answers]));
        let refused = dialler.rtmp("rebind.example", 1935, false, DEADLINE).await;
        let Err(Error::Denied { reserved, .. }) = refused else {
            panic!("{answers:?} may be called");
        };
        assert_eq!(reserved, expected, "{answers:?}");
    }
}

#[tokio::test]
async fn an_address_in_any_writing_is_checked() {
    let dialler = dialler(&[]);
    for host in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"] {
        let refused = dialler.rtmp(host, 1, false, DEADLINE).await.err().unwrap();
        assert_eq!(refused.label(), "denied", "{host}");
    }
    // What only the system's resolver reads as an address.
    for host in ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost"] {
        let refused = dialler.rtmp(host, 1, false, DEADLINE).await.err().unwrap();
        assert!(
            ["denied", "unresolved"].contains(&refused.label()),
            "{host}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_name_is_asked_once_and_called_where_it_said() {
    let (address, accepted) = server(b"HTTP/1.1 204 No Content\r\n\r\n", false).await;
    let names = Names::answering(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let asked = Arc::clone(&names.asked);
    let dialler = dialler(&["127.0.0.0/8"]).asking(names);
    let http = Http::new(Arc::new(dialler));
    let text = format!("http://rebind.example:{}/", address.port());
    assert_eq!(get(&http, &text).await.unwrap().status, 204);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
    // The next call asks anew, and is checked anew.
    let refused = get(&http, &text).await.unwrap_err();
    assert_eq!(refused.label(), "denied");
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn without_tls_only_listed_addresses_are_called() {
    let names = Names::answering(&[&["8.8.8.8"]]);
    let http = Http::new(Arc::new(dialler(&["127.0.0.0/8"]).asking(names)));
    let refused = get(&http, "http://public.example/").await.unwrap_err();
    assert!(matches!(refused, Error::Plain { .. }), "{refused}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_any_other() {
    let redirect = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n";
    let (address, accepted) = server(redirect, false).await;
    let http = Http::new(Arc::new(dialler(&["127.0.0.0/8", "169.254.169.254"])));
    let answer = get(&http, &format!("http://{address}/")).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_its_bound() {
    let http = Http::new(Arc::new(dialler(&["127.0.0.0/8"])));
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
    let (address, _) = server(ANSWER, true).await;
    let answer = get(&http, &format!("http://{address}/")).await.unwrap();
    assert_eq!(answer.status, 200);
    let cut = answer.body.unwrap_err();
    assert!(
        matches!(
            cut,
            Error::TooLarge {
                bytes_max: 4096,
                ..
            }
        ),
        "{cut}"
    );
    // And a header without end is none.
    let (address, _) = server(
        b"HTTP/1.1 200 OK\r\nx: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
        false,
    )
    .await;
    let started = Instant::now();
    let late = http
        .get(
            "test",
            &url(&format!("http://{address}/")),
            HeaderMap::new(),
            Duration::from_millis(300),
            4096,
        )
        .await
        .unwrap_err();
    assert!(matches!(late, Error::Late { .. }), "{late}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_given_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = Http::new(Arc::new(dialler(&["127.0.0.0/8"])));
    let started = Instant::now();
    let body = Bytes::from_static(b"{}");
    let to = url(&format!("http://{address}/"));
    let late = http
        .post("test", &to, HeaderMap::new(), body, DEADLINE, 4096)
        .await;
    assert_eq!(late.unwrap_err().label(), "late");
    assert_eq!(started.elapsed().as_secs(), DEADLINE.as_secs());

    let http = Http::new(Arc::new(dialler(&[]).asking(Silent)));
    let late = get(&http, "https://silent.example/").await;
    assert_eq!(late.unwrap_err().label(), "late");
}

#[tokio::test]
async fn what_is_no_tls_is_not_trusted() {
    let (address, _) = server(b"HTTP/1.1 200 OK\r\n\r\n", false).await;
    let http = Http::new(Arc::new(dialler(&["127.0.0.0/8"])));
    let refused = get(&http, &format!("https://{address}/"))
        .await
        .unwrap_err();
    assert_eq!(refused.label(), "untrusted", "{refused}");
}
