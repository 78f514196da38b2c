//! On real servers, in every way that Redis is run.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use isocast_claims::record::Corrupt;
use isocast_claims::store::{Found, Mark};
use isocast_harness::{self as harness, RedisCluster, RedisSentinel, RedisUser, wait};
use serde_json::{Value, json};

use tokio_util::task::TaskTracker;

use super::*;
use crate::config::HostPort;
use crate::data::scratch::Scratch;
use crate::registry::active::live_rooms;
use crate::registry::contract::{hold, node, record, room};
use crate::registry::directory::living;

const PREFIX: &str = "live/main:";

/// A registry with the task that connects it.
struct Started {
    redis: Arc<Redis>,
    metrics: Metrics,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Started {
    fn new(config: config::Redis) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let metrics = Metrics::new();
        let redis = Redis::new(&config, &metrics).expect("its files");
        tasks.spawn(redis.keep_connected(stop.clone()));
        Self {
            redis: Arc::new(redis),
            metrics,
            stop,
            tasks,
        }
    }

    /// Until it has a connection, or has noticed that it has none, and says so.
    fn wait(&self, up: bool) {
        wait::until(&format!("up: {up}"), 20, || {
            let said = self.metrics.registry_up.get() == i64::from(up);
            (said && self.redis.is_reachable() == up).then_some(())
        });
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn at(address: std::net::SocketAddr, mode: RedisMode) -> config::Redis {
    config::Redis {
        mode,
        endpoints: vec![HostPort {
            host: address.ip().to_string(),
            port: address.port(),
        }],
        key_prefix: PREFIX.to_owned(),
        ..config::Redis::default()
    }
}

fn standalone(server: &harness::Redis) -> Started {
    let started = Started::new(at(server.address, RedisMode::Standalone));
    started.wait(true);
    started
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server() {
    let server = harness::Redis::start();
    let started = standalone(&server);
    hold(started.redis.clone()).await;
    // A server that was started anew knows no script.
    assert_eq!(server.ask(&["FLUSHALL"]), "OK");
    assert_eq!(server.ask(&["SCRIPT", "FLUSH"]), "OK");
    assert!(started.redis.read(&room("a")).await.is_ok());
    assert_eq!(server.ask(&["SCRIPT", "FLUSH"]), "OK");
    hold(started.redis.clone()).await;

    let keys = server.ask(&["KEYS", "*"]);
    let strange: Vec<_> = keys
        .lines()
        .filter(|key| !key.starts_with(PREFIX))
        .collect();
    assert_eq!(strange, [""; 0], "keys without the prefix");
    started.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_a_user_without_other_rights() {
    let user = RedisUser {
        name: "node",
        password: "a-password",
        prefix: PREFIX,
    };
    let (server, certificate) = harness::Redis::start_secured(user);
    for forbidden in [
        &["KEYS", "*"][..],
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["SET", "elsewhere", "x"],
        &["PUBLISH", "elsewhere", "x"],
    ] {
        let dry = server.ask(&[&["ACL", "DRYRUN", user.name], forbidden].concat());
        assert!(
            dry.contains("no permissions") || dry.contains("no access"),
            "{forbidden:?}: {dry}"
        );
    }
    let scratch = Scratch::new();
    scratch.write("password", b"a-password\n");
    let config = config::Redis {
        user: user.name.to_owned(),
        password_file: scratch.path().join("password"),
        tls: true,
        ca_file: certificate.cert_file.clone(),
        ..at(server.address, RedisMode::Standalone)
    };
    let started = Started::new(config.clone());
    started.wait(true);
    hold(started.redis.clone()).await;
    started.end().await;

    // Another authority is believed nothing, and a wrong password opens nothing.
    scratch.write("wrong", b"b-password\n");
    let elsewhere = Scratch::new();
    let other = harness::Certificate::issue(elsewhere.path());
    for wrong in [
        config::Redis {
            ca_file: other.cert_file,
            ..config.clone()
        },
        config::Redis {
            password_file: scratch.path().join("wrong"),
            ..config
        },
    ] {
        let started = Started::new(wrong);
        let error = wait::until("a reason", 20, || {
            let called = futures_util::FutureExt::now_or_never(
                started.redis.call(&room("a"), Request::Read),
            )?;
            let error = called.expect_err("not let in").to_string();
            (!error.contains("not connected yet")).then_some(error)
        });
        assert!(!error.contains("b-password"), "{error}");
        assert!(!started.redis.is_reachable());
        started.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_sentinel_replaces() {
    let mut servers = RedisSentinel::start();
    let config = config::Redis {
        master_name: RedisSentinel::NAME.to_owned(),
        ..at(servers.address(), RedisMode::Sentinel)
    };
    let started = Started::new(config);
    started.wait(true);
    hold(started.redis.clone()).await;

    let (id, claim) = (room("over"), Request::claim(Mark::default(), record(7, 1)));
    assert_eq!(
        started.redis.call(&id, claim).await.unwrap(),
        Reply::Written
    );
    assert_eq!(servers.master().ask(&["WAIT", "1", "5000"]), "1");
    servers.fail_over();
    // That the old one is gone is noticed by a call, so the first may fail.
    let found = loop {
        started.wait(true);
        if let Ok(found) = started.redis.read(&id).await {
            break found;
        }
    };
    let renewed = Request::renew(record(7, 1));
    assert_eq!(found.pair, Some(record(7, 1).pair));
    assert_eq!(
        started.redis.call(&id, renewed).await.unwrap(),
        Reply::Written
    );
    hold_again(&started).await;
    started.end().await;
}

/// On what the run before has left.
async fn hold_again(started: &Started) {
    let all = living::<Value>(&*started.redis, &Directory::Nodes, 1000)
        .await
        .unwrap();
    assert_eq!(all.entries, []);
    assert!(
        live_rooms(&*started.redis)
            .await
            .unwrap()
            .rooms
            .contains(&room("live"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_three() {
    let servers = RedisCluster::start();
    let started = Started::new(at(servers.address(), RedisMode::Cluster));
    started.wait(true);
    hold(started.redis.clone()).await;
    for server in servers.nodes() {
        let count: u32 = server.ask(&["DBSIZE"]).parse().expect("a number");
        assert!(count > 50, "{} has {count} of 300 rooms", server.address);
    }
    started.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_costs_nothing_and_comes_back() {
    let mut server = harness::Redis::start();
    let started = standalone(&server);
    let (redis, id) = (&*started.redis, room("a"));
    assert!(redis.call(&id, Request::Read).await.is_ok());

    server.pause();
    let begun = Instant::now();
    assert!(redis.call(&id, Request::Read).await.is_err());
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    started.wait(false);
    let failing_fast = || redis.call(&id, Request::Read).now_or_never();
    let called = (0..1000).map(|_| failing_fast().expect("no wait"));
    assert_eq!(called.filter(Result::is_err).count(), 1000);
    server.go_on();
    started.wait(true);
    assert!(redis.call(&id, Request::Read).await.is_ok());

    let address = server.kill();
    assert!(redis.call(&id, Request::Read).await.is_err());
    started.wait(false);
    let _server = harness::Redis::start_at(address);
    started.wait(true);
    assert!(redis.call(&id, Request::Read).await.is_ok());
    started.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_left_in_the_way_is_told_and_replaced() {
    let server = harness::Redis::start();
    let started = standalone(&server);
    let redis = &*started.redis;
    let key = |below: &str| format!("{PREFIX}{below}");
    let (id, claims) = (room("a"), key("stream:room_a"));
    let hash = |key: &str| format!("redis.call('HSET', '{key}', ");
    let whole = "'publisher_node', 'x', 'incarnation', '1', 'started_at', '1', 'status', 'live', \
                 'last_heartbeat', '1', 'viewer_count', '1', 'key_fingerprint', '0123456789abcdef'";
    let huge = "string.rep('9', 1048576)";
    for (script, expected) in [
        (
            format!("redis.call('SET', '{claims}', {huge})"),
            Err(Corrupt::Missing("publisher_node")),
        ),
        (
            format!("redis.call('LPUSH', '{claims}', 'x')"),
            Err(Corrupt::Missing("publisher_node")),
        ),
        (
            format!("{}'epoch', {huge}, {whole})", hash(&claims)),
            Err(Corrupt::Unreadable("epoch")),
        ),
        (
            format!(
                "{}'epoch', '1', {whole}, 'started_at', {huge})",
                hash(&claims)
            ),
            Err(Corrupt::Unreadable("started_at")),
        ),
        (
            format!("{}'epoch', '1', {whole}, 'status', '')", hash(&claims)),
            Err(Corrupt::Unreadable("status")),
        ),
        (
            format!("{}'version', '9')", hash(&claims)),
            Err(Corrupt::Missing("publisher_node")),
        ),
        (
            format!("{}'epoch', '9223372036854775808', {whole})", hash(&claims)),
            Ok(1 << 63),
        ),
    ] {
        server.ask(&["DEL", &claims]);
        server.ask(&["EVAL", &script, "0"]);
        let found: Found = redis.read(&id).await.unwrap();
        let epoch = found
            .record
            .expect("something")
            .map(|record| record.pair.epoch);
        assert_eq!(epoch, expected, "{script}");
        assert!(found.mark.0.iter().all(|part| part.len() <= 256));
        let claim = Request::claim(found.mark, record(5, 1));
        assert_eq!(
            redis.call(&id, claim).await.unwrap(),
            Reply::Written,
            "{script}"
        );
        let mended = redis.read(&id).await.unwrap();
        assert_eq!(mended.pair, Some(record(5, 1).pair));
        let left_s: i64 = server.ask(&["TTL", &claims]).parse().expect("a number");
        assert!((290..=300).contains(&left_s), "{left_s}");
        assert_eq!(server.ask(&["HLEN", &claims]), "8", "nothing of it is left");
    }

    // A key without an end gets one, though only its owner renews it.
    assert_eq!(server.ask(&["PERSIST", &claims]), "1");
    assert_eq!(
        redis.call(&id, Request::renew(record(5, 1))).await.unwrap(),
        Reply::Written
    );
    assert_ne!(server.ask(&["TTL", &claims]), "-1");

    let (nodes, list) = (key("cluster:nodes"), key("active_streams"));
    let entry = || json!({"n": 1}).to_string();
    for garbage in ["SET", "LPUSH", "SADD"] {
        server.ask(&["DEL", &nodes]);
        server.ask(&[garbage, &nodes, "x"]);
        let found = living::<Value>(redis, &Directory::Nodes, 60_000)
            .await
            .unwrap();
        assert_eq!((found.entries.len(), found.corrupt), (0, 1), "{garbage}");
        redis
            .stamp(&Directory::Nodes, &node("me"), entry())
            .await
            .unwrap();
        let found = living::<Value>(redis, &Directory::Nodes, 60_000)
            .await
            .unwrap();
        assert_eq!((found.entries.len(), found.corrupt), (1, 0), "{garbage}");
    }
    let far = format!("{{\"last_heartbeat\":{}}}", 1_u64 << 63);
    for (name, value) in [
        ("a", "no JSON"),
        ("b", "[]"),
        ("c", "{\"last_heartbeat\":\"1\"}"),
        ("no node", "{\"last_heartbeat\":1}"),
        ("d", &far),
    ] {
        server.ask(&["HSET", &nodes, name, value]);
    }
    server.ask(&["EVAL", &format!("{}'huge', {huge})", hash(&nodes)), "0"]);
    server.ask(&["HSET", &nodes, "later", "{\"last_heartbeat\":1,\"x\":[1]}"]);
    let found = living::<Value>(redis, &Directory::Nodes, 60_000)
        .await
        .unwrap();
    assert_eq!((found.entries.len(), found.corrupt), (1, 6));
    assert_eq!(
        server.ask(&["HEXISTS", &nodes, "later"]),
        "0",
        "dead, so struck"
    );

    server.ask(&["SET", &list, "x"]);
    assert_eq!(redis.listed().await.unwrap().corrupt, 1);
    redis.activate(std::slice::from_ref(&id)).await.unwrap();
    for garbage in ["no room", "room_a", "\u{fffd}"] {
        server.ask(&["SADD", &list, garbage]);
    }
    server.ask(&[
        "EVAL",
        &format!("redis.call('SADD', '{list}', {huge})"),
        "0",
    ]);
    let live = live_rooms(redis).await.unwrap();
    assert_eq!((live.rooms, live.corrupt), (vec![id], 4));
    started.end().await;
}

/// What renewals cost the node: `cargo test -p isocast-node --bins -- --ignored --nocapture renewals`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn renewals_cost() {
    const ROOMS: u64 = 1000;
    const ROUNDS: u32 = 30;
    let server = harness::Redis::start();
    let cluster = RedisCluster::start();
    for (name, address, mode) in [
        ("one server", server.address, RedisMode::Standalone),
        ("a cluster", cluster.address(), RedisMode::Cluster),
    ] {
        let started = Started::new(at(address, mode));
        started.wait(true);
        // As owners do: a task for each.
        let all = async |request: fn(u64) -> Request| {
            let each = (1..=ROOMS).map(|n| {
                let (redis, id) = (Arc::clone(&started.redis), room(&format!("r{n}")));
                tokio::spawn(async move { redis.call(&id, request(n)).await.unwrap() })
            });
            for reply in join_all(each).await {
                assert_eq!(reply.unwrap(), Reply::Written);
            }
        };
        all(|n| Request::claim(Mark::default(), record(n, n))).await;
        let (begun, used) = (Instant::now(), cpu());
        for _ in 0..ROUNDS {
            all(|n| Request::renew(record(n, n))).await;
        }
        let (took, used) = (begun.elapsed() / ROUNDS, (cpu() - used) / ROUNDS);
        let share = used.as_secs_f64() / 2.0 * 100.0;
        println!(
            "{name}: {ROOMS} renewals take {took:?} and {used:?} of a core: {share:.2} % every 2 s"
        );
        started.end().await;
    }
}

/// What this process has used of all cores.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    // utime and stime, of which the first two fields are left out here (proc(5)).
    let field = |n: usize| {
        fields
            .split(' ')
            .nth(n - 3)
            .and_then(|f| f.parse::<u64>().ok())
    };
    let ticks = field(14).expect("utime") + field(15).expect("stime");
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}
