//! Two nodes whose rooms are in one PostgreSQL database.

use isocast_harness::{
    Clip, Ffmpeg, Node, NodeOptions, Output, Peer, Postgres, Room, Scratch, http, node_binary, run,
    wait,
};

const PASSWORD: &str = "not-to-be-told";

/// A database, and what all nodes on it know.
struct Shared {
    server: Postgres,
    database: String,
    scratch: Scratch,
}

impl Shared {
    fn new() -> Self {
        let server = Postgres::start();
        let database = server.database();
        let scratch = Scratch::new("shared");
        let shared = Self {
            server,
            database,
            scratch,
        };
        let url = shared.server.role("isocast", PASSWORD, &shared.database);
        shared.put("url", &url);
        shared.put("owner-url", &shared.server.url(&shared.database));
        shared.put("secret", &"0123456789abcdef".repeat(4));
        shared.put("token", "the-token-of-all-nodes");
        for name in ["play", "publish"] {
            shared.put(
                name,
                &format!("k1 the-{name}-secret-of-all-nodes-0123456789"),
            );
        }
        // What tables there will be is the node's to say.
        shared.server.sql(
            &shared.database,
            "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO isocast",
        );
        shared
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.scratch.file(name), text).expect("a folder of ours");
    }

    fn file(&self, name: &str) -> String {
        self.scratch.file(name).display().to_string()
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let certificate = &self.server.certificate.cert_file;
        vec![
            ("postgres.url_file", self.file("url")),
            ("postgres.ca_file", certificate.display().to_string()),
            ("rooms.secret_file", self.file("secret")),
            ("api.token_file", self.file("token")),
            ("play.secret_file", self.file("play")),
            ("publish.secret_file", self.file("publish")),
        ]
    }

    fn options(&self) -> NodeOptions {
        let settings = self.settings().into_iter();
        settings.fold(NodeOptions::default(), |options, (key, value)| {
            options.set(key, value)
        })
    }

    /// Runs `isocast-node` with what a node is configured with, on a data folder that no node has.
    fn command(&self, arguments: &[&str]) -> Output {
        let mut command = std::process::Command::new(node_binary());
        command.current_dir(self.scratch.path()).args(arguments);
        command.arg("--data-dir").arg(self.scratch.file("data"));
        for (key, value) in self.settings() {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        run(&mut command)
    }

    fn migrate(&self) -> Output {
        let mut command = std::process::Command::new(node_binary());
        command
            .current_dir(self.scratch.path())
            .arg("migrate")
            .args([
                "--set",
                &format!("postgres.url_file={}", self.file("owner-url")),
            ])
            .args([
                "--set",
                &format!("rooms.secret_file={}", self.file("secret")),
            ]);
        run(&mut command)
    }
}

#[test]
fn nodes_wait_for_tables_share_rooms_and_outlive_the_database() {
    let mut shared = Shared::new();
    let nodes = [shared.options().start(), shared.options().start()];
    for node in &nodes {
        assert_eq!(rooms(node), "degraded");
        let told = node.log().matches("run `isocast-node migrate`").count();
        assert_eq!(told, 1, "{}", node.log());
    }
    let refused = nodes[0].operator("POST", "/api/v1/rooms", br#"{"id": "show"}"#);
    assert_eq!(refused.status, 503, "{}", refused.text());
    Peer::publish(nodes[0].rtmp, "room_show_key_0123456789abcdef").expect_refusal(10);
    let check = shared.command(&["migrate", "--check"]);
    assert_eq!(check.code, Some(1));
    assert!(check.err.contains("schema 0"), "{}", check.err);

    let migrated = shared.migrate();
    assert_eq!(migrated.code, Some(0), "{}", migrated.err);
    assert!(migrated.out.contains("it was 0"), "{}", migrated.out);
    assert!(shared.migrate().out.contains("nothing to do"));
    assert_eq!(shared.command(&["migrate", "--check"]).code, Some(0));
    nodes.iter().for_each(|node| wait_for_rooms(node, "ok"));

    let room = nodes[0].public_room("show");
    let clip = Clip::AudioVideo.path();
    let log = nodes[1].file("publisher.log");
    let url = nodes[1].publish_url(&room);
    let mut publisher = Ffmpeg::debian().publish_forever(&clip, &url, &log);
    nodes[1].wait_for_live(&room);

    shared.server.kill();
    let lost = nodes[0].operator("GET", "/api/v1/rooms/show", b"");
    assert_eq!(lost.status, 503, "{}", lost.text());
    nodes
        .iter()
        .for_each(|node| wait_for_rooms(node, "degraded"));
    assert!(publisher.is_running(), "what is live goes on");
    nodes[1].wait_for_live(&room);

    shared.server.start_again();
    nodes.iter().for_each(|node| wait_for_rooms(node, "ok"));
    let other = nodes[1].public_room("other");
    opens(&nodes[0], &other);
    drop(publisher);

    let list = shared.command(&["room", "list"]);
    assert_eq!(list.code, Some(0), "{}", list.err);
    let names: Vec<_> = list
        .out
        .lines()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(names, ["other", "show"]);
    for node in nodes {
        let log = node.stop();
        assert!(
            !log.contains(PASSWORD) && !log.contains("%6e%6f%74"),
            "{log}"
        );
        let changes = log.matches("rooms cannot be had").count();
        assert_eq!(changes, 2, "no tables, no server: {log}");
    }
}

#[test]
fn a_node_with_a_secret_of_its_own_is_told_and_opens_no_room() {
    let shared = Shared::new();
    assert_eq!(shared.migrate().code, Some(0));
    let first = shared.options().start();
    let room = first.public_room("show");
    shared.put("other", &"f".repeat(64));
    let other = shared
        .options()
        .set("rooms.secret_file", shared.file("other"));
    let other = other.start();
    assert_eq!(rooms(&other), "degraded");
    Peer::publish(other.rtmp, &room.key).expect_refusal(10);
    let log = other.stop();
    assert!(log.contains("hashed under another secret"), "{log}");
    opens(&first, &room);

    let url_file = format!("postgres.url_file={}", shared.file("url"));
    let mut check = std::process::Command::new(node_binary());
    check
        .current_dir(shared.scratch.path())
        .args(["config", "check", "--set", &url_file]);
    let output = run(&mut check);
    assert_eq!(output.code, Some(2));
    let line = "postgres.url_file needs rooms.secret_file";
    assert!(output.err.contains(line), "{}", output.err);
    first.stop();
}

fn opens(node: &Node, room: &Room) {
    let mut publisher = Peer::publish(node.rtmp, &room.key);
    publisher.expect_start();
    publisher.close();
}

/// What the node says of its rooms; it is ready all the same.
fn rooms(node: &Node) -> String {
    let answer = http::get(node.internal, "/readyz");
    assert_eq!(answer.status, 200);
    let json = answer.json();
    let rooms = json
        .pointer("/dependencies/rooms")
        .and_then(|it| it.as_str());
    rooms.unwrap_or_default().to_owned()
}

fn wait_for_rooms(node: &Node, expected: &str) {
    let what = format!("rooms to be {expected}");
    wait::until(&what, 20, || (rooms(node) == expected).then_some(()));
}
