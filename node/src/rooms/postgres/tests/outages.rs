//! Servers that do not answer, or not as they should.

use std::time::Instant;

use futures_util::future::join_all;
use futures_util::poll;
use isocast_harness::Certificate;
use sqlx::{ConnectOptions, Executor};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::rooms::{Error, Rooms};
use crate::sync::Mutex;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_costs_a_deadline_and_is_joined_when_it_is_back() {
    let mut server = Server::start();
    let database = server.database();
    migrated(&server, &database).await;
    let (store, mut keeper) = node(&server.url(&database), None, DEADLINE);
    let mut state = store.dialect.state.clone();
    let stop = CancellationToken::new();
    while keeper.look().await.is_err() {}
    let keeping = tokio::spawn(keeper.run(stop.clone()));
    let store = Arc::new(store);
    let room = id("a");
    store.create(new("a")).await.expect("made");
    let busy = Arc::clone(&store);
    let mut busy = tokio::spawn(async move {
        loop {
            if let Err(error) = busy.rotate_key(&id("a"), None).await {
                return error;
            }
        }
    });
    assert!(poll!(&mut busy).is_pending());

    server.kill();
    let began = Instant::now();
    let calls = join_all((0..32).map(|_| store.get(&room))).await;
    assert!(
        calls
            .iter()
            .all(|call| matches!(call, Err(Error::Unavailable(_))))
    );
    assert!(matches!(busy.await, Ok(Error::Unavailable(_))));
    assert!(began.elapsed() < 3 * DEADLINE, "{:?}", began.elapsed());
    state.wait_for(Result::is_err).await.expect("it is kept");
    let mut next = store.get(&room);
    assert!(poll!(&mut next).is_ready(), "nobody waits any more");

    server.start_again();
    let back = tokio::time::timeout(PATIENCE, state.wait_for(Result::is_ok)).await;
    back.expect("it is found").expect("it is kept");
    let key = store.rotate_key(&room, None).await.expect("replaced");
    assert!(
        store
            .authenticate(&key, NOW)
            .await
            .expect("answers")
            .is_some()
    );
    stop.cancel();
    keeping.await.expect("it ends");
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound");
    let url = format!("postgres://a:b@{address}/c");
    let (store, mut keeper) = node(&url, None, Duration::from_millis(50));
    let refused = store.get(&id("a")).await.expect_err("not yet").to_string();
    assert!(refused.contains("has not been asked"), "{refused}");
    let trouble = keeper.look().await;
    assert!(matches!(trouble, Err(Trouble::NoAnswer(_))), "{trouble:?}");
    let room = id("a");
    let mut call = store.get(&room);
    assert!(poll!(&mut call).is_ready());
}

/// Else each of them would cost a call its deadline.
#[tokio::test]
async fn connections_from_before_a_silence_are_not_used_after_it() {
    let server = Server::shared();
    let database = server.database();
    migrated(&server, &database).await;
    let network = Network::before(server.address).await;
    let url = server.url(&database);
    let url = url.replace(&server.address.to_string(), &network.address.to_string());
    let (store, mut keeper) = node(&url, None, DEADLINE);
    let room = id("a");
    while keeper.look().await.is_err() {}
    while join_all((0..8).map(|_| store.get(&room)))
        .await
        .iter()
        .any(Result::is_err)
    {}
    network.cut();
    assert!(keeper.look().await.is_err());
    network.heal();
    while keeper.look().await.is_err() {}
    for call in join_all((0..8).map(|_| store.get(&room))).await {
        assert_eq!(call.expect("answers"), None);
    }
}

#[tokio::test]
async fn what_waits_too_long_ends_on_the_server_too() {
    let server = Server::shared();
    let database = server.database();
    migrated(&server, &database).await;
    let url = server.url(&database);
    let patient = opened(&url, None).await;
    let (hasty, mut keeper) = node(&url, None, Duration::from_millis(500));
    while keeper.look().await.is_err() {}
    let (source, _scratch) = source(&url, None);
    let mut other = source.without_deadline().connect().await.expect("there");
    other
        .execute("BEGIN; LOCK TABLE rooms")
        .await
        .expect("locked");
    let late = hasty.create(new("a")).await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    let waiting = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    isocast_harness::wait::until("the end of the statement", 20, || {
        (server.ask(&database, waiting).trim() == "0").then_some(())
    });
    other.execute("ROLLBACK").await.expect("lets go");
    assert_eq!(patient.get(&id("a")).await.expect("answers"), None);
    let made = hasty.create(new("a")).await;
    assert!(!matches!(made, Err(Error::AlreadyExists(_))), "{made:?}");
}

#[tokio::test]
async fn so_many_wait_and_no_more() {
    let server = Server::shared();
    let database = server.database();
    migrated(&server, &database).await;
    let store = opened(&server.url(&database), None).await;
    let room = id("a");
    let mut calls: Vec<_> = (0..CALLS_MAX).map(|_| store.get(&room)).collect();
    for call in &mut calls {
        assert!(poll!(call).is_pending());
    }
    let refused = store
        .get(&room)
        .await
        .expect_err("one too many")
        .to_string();
    assert!(refused.contains("1024 calls wait"), "{refused}");
    for call in calls {
        assert_eq!(call.await.expect("answers"), None);
    }
}

/// Who is let in by which words, and that a password is in none of what is shown.
#[tokio::test]
async fn strangers_and_their_servers_are_refused_without_a_secret_told() {
    let server = Server::shared();
    let database = server.database();
    migrated(&server, &database).await;
    let url = role(&server, &database);
    let pem = server.certificate.pem();
    let scratch = Scratch::new();
    let other = Certificate::issue(scratch.path()).pem();
    let wrong = url.replace("%77", "%78");
    assert_ne!(wrong, url);
    for (url, authority, expected) in [
        (url.clone(), Some(&pem), None),
        (format!("{url}?sslmode=require"), None, None),
        (
            format!("{url}?sslmode=disable"),
            None,
            Some("no pg_hba.conf entry"),
        ),
        (wrong, Some(&pem), Some("password authentication failed")),
        (url.clone(), Some(&other), Some("certificate")),
        (
            format!("{url}?sslmode=verify-full"),
            None,
            Some("certificate"),
        ),
        (url.replace("127.0.0.1", "127.0.0.2"), Some(&pem), Some("")),
    ] {
        let (store, mut keeper) = node(&url, authority.map(String::as_str), PATIENCE);
        let state = keeper.look().await;
        let shown = format!("{state:?} {store:?} {keeper:?}");
        for secret in ["p@ss", "w%rd", "%70%40"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let trouble = state.err().map(|trouble| trouble.to_string());
        match (&trouble, expected) {
            (None, None) => {}
            (Some(trouble), Some(expected)) if trouble.contains(expected) => {}
            _ => panic!("{trouble:?}, not {expected:?}"),
        }
    }
}

/// Between a node and its server: a network that can drop, without a word, what it carries.
struct Network {
    address: std::net::SocketAddr,
    silence: Arc<Mutex<CancellationToken>>,
}

impl Network {
    async fn before(server: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let silence: Arc<Mutex<CancellationToken>> = Arc::default();
        let own = Arc::clone(&silence);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let silence = own.lock().clone();
                let mut far = TcpStream::connect(server).await.expect("it is there");
                tokio::spawn(async move {
                    let carried = tokio::io::copy_bidirectional(&mut near, &mut far);
                    if silence.run_until_cancelled(carried).await.is_none() {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { address, silence }
    }

    fn cut(&self) {
        self.silence.lock().cancel();
    }

    fn heal(&self) {
        *self.silence.lock() = CancellationToken::new();
    }
}
