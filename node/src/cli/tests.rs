//! Whole command lines, on real data folders and against a canned node.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::*;
use crate::data::scratch::Scratch;
use crate::data::{Folder, Lock, NodeFile};

/// What a command gave: exit code, standard output, standard error.
#[derive(Debug, PartialEq)]
struct Given {
    code: u8,
    out: String,
    err: String,
}

fn run_on(terminal: bool, arguments: &[&str]) -> Given {
    run_with(terminal, &[], arguments)
}

fn run_with(terminal: bool, environment: &[(&str, &str)], arguments: &[&str]) -> Given {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let console = Console {
        out: &mut out,
        err: &mut err,
        out_is_terminal: terminal,
    };
    let arguments = std::iter::once("isocast-node").chain(arguments.iter().copied());
    let node = |loaded: Loaded| -> anyhow::Result<()> {
        anyhow::bail!("a node would run on {}", loaded.config.data_dir.display())
    };
    let code = answer(
        arguments.map(OsString::from).collect(),
        environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        console,
        node,
    );
    let text = |bytes| String::from_utf8(bytes).expect("we print UTF-8");
    Given {
        code,
        out: text(out),
        err: text(err),
    }
}

fn run(arguments: &[&str]) -> Given {
    run_on(false, arguments)
}

/// A room command on this folder.
fn room(folder: &Path, arguments: &[&str]) -> Given {
    let folder = folder.to_str().expect("a plain path");
    run(&[&["room"], arguments, &["--data-dir", folder]].concat())
}

fn json_of(given: &Given) -> Value {
    assert_eq!((given.code, given.err.as_str()), (0, ""));
    serde_json::from_str(&given.out).expect("JSON")
}

#[test]
fn wrong_usage_is_one_line_and_exit_2() {
    for (arguments, line) in [
        (
            &["--nope"][..],
            "error: unexpected argument '--nope' found\n",
        ),
        (
            &["confg"],
            "error: unrecognized subcommand 'confg'; a similar subcommand exists: 'config'\n",
        ),
        (
            &["room"],
            "error: a command is missing; --help lists them\n",
        ),
        (
            &["room", "delete"],
            "error: the following required arguments were not provided: <ID>\n",
        ),
        (
            &["room", "delete", "room_x"],
            "error: invalid value 'room_x' for '<ID>': a room id is 1 to 64 of A-Z, a-z, 0-9, `_` and `-`, and does not start with `room_`\n",
        ),
        (
            &["room", "create", "--playback", "open"],
            "error: invalid value 'open' for '--playback <PLAYBACK>' [possible values: private, signed, public]\n",
        ),
        (
            &["config", "check", "--set", "hls.idle_s=1"],
            "--set hls.idle_s: 1 is out of range, it takes a whole number from 10 to 86400\n",
        ),
        (&["--set", "x"], "--set x: write it as section.key=value\n"),
        (
            &["--config-dir", "/no-such"],
            "--config-dir: \"/no-such\" is not a folder\n",
        ),
    ] {
        let given = run(arguments);
        let expected = Given {
            code: 2,
            out: String::new(),
            err: line.to_owned(),
        };
        assert_eq!(given, expected, "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_answers() {
    let version = run(&["--version"]);
    assert_eq!(
        version.out,
        format!("isocast-node {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!((version.code, version.err.as_str()), (0, ""));
    let help = run(&["room", "create", "--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.contains("--on-conflict"));
}

#[test]
fn no_command_and_run_both_run_a_node() {
    for arguments in [&["--data-dir", "x"][..], &["run", "--data-dir", "x"]] {
        let given = run(arguments);
        let err = "error: a node would run on x\n".to_owned();
        assert_eq!(
            given,
            Given {
                code: 1,
                out: String::new(),
                err
            },
            "{arguments:?}"
        );
    }
}

/// A flag before the command is either honoured or refused, never lost.
#[test]
fn flags_before_the_command_are_not_lost() {
    for arguments in [
        &["--set", "hls.idle_s=20", "config", "show"][..],
        &["config", "--set", "hls.idle_s=20", "show"],
        &[
            "--set",
            "hls.idle_s=20",
            "config",
            "show",
            "--set",
            "log.level=warn",
        ],
        &[
            "config",
            "--set",
            "hls.idle_s=20",
            "show",
            "--set",
            "log.level=warn",
        ],
    ] {
        let given = run(arguments);
        assert!(
            given.code == 2 || given.out.contains("idle_s = 20"),
            "{arguments:?}: {given:?}"
        );
        assert_eq!(
            given.err.lines().count(),
            usize::from(given.code == 2),
            "{given:?}"
        );
    }
}

#[test]
fn the_configuration_is_checked_shown_and_listed() {
    let scratch = Scratch::new();
    scratch.write("default.toml", b"[hls]\nidle_s = 20\n");
    let folder = scratch.path().to_str().expect("a plain path");
    let file = scratch.path().join("default.toml");
    let file = file.display();

    let check = run(&[
        "config",
        "check",
        "--config-dir",
        folder,
        "--set",
        "log.level=warn",
    ]);
    let expected = format!(
        "configuration ok\nread {file}\nhls.idle_s from {file}:2\nlog.level from --set log.level\n"
    );
    assert_eq!(
        check,
        Given {
            code: 0,
            out: expected,
            err: String::new()
        }
    );

    let show = run(&[
        "config",
        "show",
        "--config-dir",
        folder,
        "--set",
        "node.id=n1",
    ]);
    assert_eq!(show.code, 0);
    // What is shown is itself a configuration with the same effect.
    scratch.write("default.toml", show.out.as_bytes());
    assert_eq!(run(&["config", "show", "--config-dir", folder]), show);
    assert!(show.out.contains("idle_s = 20\n") && show.out.contains("id = \"n1\"\n"));

    assert_eq!(run(&["config", "table"]).out, config::table());

    scratch.write("default.toml", b"[hls]\nidle = 20\n");
    let wrong = run(&["config", "check", "--config-dir", folder]);
    let err = format!("{file}:2: hls.idle: unknown key; did you mean hls.idle_s?\n");
    assert_eq!(
        wrong,
        Given {
            code: 2,
            out: String::new(),
            err
        }
    );
}

#[test]
fn what_a_node_would_not_start_with_is_a_warning() {
    let scratch = Scratch::new();
    scratch.write("short", b"k1 short\n");
    scratch.write("good", b"0123456789abcdef\n");
    let path = |name| scratch.path().join(name).display().to_string();
    let check = |setting: &str| run(&["config", "check", "--set", setting]);
    for (setting, warning) in [
        (
            format!("play.secret_file={}", path("short")),
            "play.secret_file: ",
        ),
        (
            format!("publish.secret_file={}", path("none")),
            "publish.secret_file: ",
        ),
        (
            format!("admin.token_file={}", path("none")),
            "admin.token_file: ",
        ),
        (
            format!("webhooks.secret_file={}", path("none")),
            "webhooks.secret_file: ",
        ),
        (
            format!("network.ca_file={}", path("good")),
            "network.ca_file: ",
        ),
        (
            "webhooks.url=http://10.0.0.1/".to_owned(),
            "webhooks.url: nobody is told, for it is a private address",
        ),
        (
            "webhooks.url=https://[::1]/".to_owned(),
            "webhooks.url: nobody is told, for it is a loopback address",
        ),
        (
            "webhooks.url=http://192.1.1.1/".to_owned(),
            "webhooks.url: nobody is told, for http is for addresses in network.allow_addresses",
        ),
        (
            "webhooks.url=http://a.example/".to_owned(),
            "webhooks.url: nobody is told, for http is for addresses in network.allow_addresses",
        ),
        (
            "auth.issuer=https://id.example".to_owned(),
            "auth.issuer: does nothing without auth.jwks_file or auth.jwks_url",
        ),
        (
            "auth.audience=isocast".to_owned(),
            "auth.audience: does nothing without auth.jwks_file or auth.jwks_url",
        ),
    ] {
        let given = check(&setting);
        let start = format!("configuration ok\nwarning: {warning}");
        assert_eq!(given.code, 0, "{given:?}");
        assert!(given.out.starts_with(&start), "{setting}: {given:?}");
    }
    for setting in [
        format!("api.token_file={}", path("good")),
        "webhooks.url=https://a.example/".to_owned(),
        "webhooks.url=https://192.1.1.1/".to_owned(),
    ] {
        let given = check(&setting);
        assert!(!given.out.contains("warning"), "{setting}: {given:?}");
    }
    for (settings, warning) in [
        (&["webhooks.url=http://10.0.0.1/"][..], None),
        (&["webhooks.url=http://a.example/"], None),
        (
            &[
                "auth.jwks_url=https://10.0.0.1/",
                "auth.issuer=i",
                "auth.audience=a",
            ],
            None,
        ),
        (
            &[
                "auth.jwks_url=https://[::1]/",
                "auth.issuer=i",
                "auth.audience=a",
            ],
            Some("warning: auth.jwks_url: no keys come, for it is a loopback address"),
        ),
    ] {
        let listed = [
            "config",
            "check",
            "--set",
            "network.allow_addresses=10.0.0.0/8",
        ];
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let given = run(&listed.into_iter().chain(set).collect::<Vec<_>>());
        match warning {
            Some(warning) => assert!(given.out.contains(warning), "{given:?}"),
            None => assert!(!given.out.contains("warning"), "{given:?}"),
        }
    }
    let variable = [("ISOCAST_HUB_HOLD_S", "20")];
    let given = run_with(false, &variable, &["config", "check"]);
    let out = "configuration ok\nwarning: environment ISOCAST_HUB_HOLD_S: sets nothing; ISOCAST__HUB__HOLD_S would\n";
    assert_eq!((given.code, given.out.as_str()), (0, out));
}

/// Takes nothing, for this reason.
struct Closed(std::io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Err(self.0.into())
    }
}

#[test]
fn a_reader_that_has_enough_is_no_failure_and_a_full_disk_is() {
    use std::io::ErrorKind::{BrokenPipe, StorageFull};
    for arguments in [
        &["config", "table"][..],
        &["config", "check"],
        &["completions", "bash"],
        &["--help"],
    ] {
        for (kind, expected) in [(BrokenPipe, 0), (StorageFull, 1)] {
            let (mut out, mut err) = (Closed(kind), Vec::new());
            let console = Console {
                out: &mut out,
                err: &mut err,
                out_is_terminal: false,
            };
            let arguments = std::iter::once("isocast-node").chain(arguments.iter().copied());
            let arguments = arguments.map(OsString::from).collect::<Vec<_>>();
            let no_node =
                |_: Loaded| -> anyhow::Result<()> { anyhow::bail!("no command of these") };
            let code = answer(arguments.clone(), Vec::new(), console, no_node);
            assert_eq!(code, expected, "{arguments:?}");
            assert_eq!(err.is_empty(), expected == 0, "{arguments:?}");
        }
    }
}

#[test]
fn what_only_a_node_can_tell_says_so() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("data");
    room(&folder, &["create", "demo"]);
    for (command, what_follows) in [
        ("play-url", "and only a running one knows how it is reached"),
        ("stats", "so nothing is live"),
        ("kick", "so nothing is live"),
    ] {
        let given = room(&folder, &[command, "demo"]);
        let err =
            format!("error: no node runs on this data folder, {what_follows}: start it first\n");
        assert_eq!((given.code, given.err), (1, err), "{command}");
    }
}

#[test]
fn rooms_without_a_node() {
    let scratch = Scratch::new();
    let folder = scratch.path().join("data");
    let first = room(&folder, &["list"]);
    assert_eq!((first.code, first.out.as_str()), (0, ""));
    let start = format!("warning: the data folder {} is new:", folder.display());
    assert!(first.err.starts_with(&start), "{first:?}");
    let created = json_of(&room(
        &folder,
        &[
            "create",
            "demo",
            "--playback",
            "public",
            "--on-conflict",
            "takeover",
            "--json",
        ],
    ));
    assert_eq!(created["room"]["id"], "demo");
    assert_eq!(created["room"]["playback"], "public");
    assert_eq!(created["room"]["on_conflict"], "takeover");
    assert_eq!(created["room"]["key_generation"], 1);
    let key = created["stream_key"].as_str().expect("text");
    assert!(key.starts_with("room_demo_key_"));

    let again = room(&folder, &["create", "demo"]);
    let err = "error: room demo exists already\n".to_owned();
    assert_eq!(
        again,
        Given {
            code: 1,
            out: String::new(),
            err
        }
    );

    let rotated = json_of(&room(&folder, &["rotate-key", "demo", "--json"]));
    assert!(rotated["stream_key"].as_str().is_some_and(|new| new != key));

    let random = json_of(&room(&folder, &["create", "--json"]));
    assert_eq!(random["room"]["id"].as_str().map(str::len), Some(12));
    assert_eq!(random["room"]["playback"], "signed");

    let list = json_of(&room(&folder, &["list", "--json"]));
    assert_eq!(list["rooms"].as_array().map(Vec::len), Some(2));
    assert_eq!(list["next"], Value::Null);
    let plain = room(&folder, &["list"]);
    assert!(
        plain
            .out
            .lines()
            .any(|line| line == "demo\tpublic\ttakeover\tkey 2"),
        "{plain:?}"
    );

    assert_eq!(
        room(&folder, &["delete", "demo"]).out,
        "room demo deleted\n"
    );
    let gone = room(&folder, &["delete", "demo"]);
    assert_eq!(
        (gone.code, gone.err.as_str()),
        (1, "error: there is no room demo\n")
    );
    let gone = room(&folder, &["rotate-key", "demo"]);
    assert_eq!(
        (gone.code, gone.err.as_str()),
        (1, "error: there is no room demo\n")
    );
}

#[test]
fn a_key_is_shown_to_people_and_kept_in_a_file_otherwise() {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new();
    let folder = scratch.path().to_str().expect("a plain path");
    let file = scratch.path().join("keys/a");

    let piped = run(&["room", "create", "a", "--data-dir", folder]);
    let expected = format!(
        "room a created (playback signed, on conflict refuse)\nstream key written to {}\n",
        file.display()
    );
    assert_eq!(
        piped,
        Given {
            code: 0,
            out: expected,
            err: String::new()
        }
    );
    let first = std::fs::read_to_string(&file).expect("the key's file");
    assert!(first.starts_with("room_a_key_") && first.ends_with('\n'));
    assert_eq!(
        std::fs::metadata(&file).expect("there").mode() & 0o777,
        0o600
    );

    let rotated = run(&["room", "rotate-key", "a", "--data-dir", folder]);
    assert!(
        rotated
            .out
            .ends_with(&format!("stream key written to {}\n", file.display()))
    );
    let second = std::fs::read_to_string(&file).expect("the key's file");
    assert_ne!(first, second);

    let asked = run(&[
        "room",
        "rotate-key",
        "a",
        "--show-key",
        "--data-dir",
        folder,
    ]);
    let seen = run_on(true, &["room", "rotate-key", "a", "--data-dir", folder]);
    for given in [asked, seen] {
        let start =
            "room a has a new key; the old one is refused\nstream key (shown once): room_a_key_";
        assert!(given.out.starts_with(start), "{given:?}");
    }
    assert!(
        !file.exists(),
        "a key that is shown replaces the one in the file"
    );

    run(&["room", "rotate-key", "a", "--data-dir", folder]);
    assert!(file.exists());
    run(&["room", "delete", "a", "--data-dir", folder]);
    assert!(!file.exists());
}

#[test]
fn a_secret_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    room(scratch.path(), &["list"]);
    let secret = scratch.path().join("secret");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let given = room(scratch.path(), &["list"]);
    let err = format!(
        "warning: every user of this machine can read {}\n",
        secret.display()
    );
    assert_eq!(
        given,
        Given {
            code: 0,
            out: String::new(),
            err
        }
    );
}

#[test]
fn rooms_through_the_running_node() {
    let a = json!({"id": "a", "playback": "public", "on_conflict": "refuse", "created_at_ms": 5, "key_generation": 1});
    let b = json!({"id": "b", "playback": "signed", "on_conflict": "refuse", "created_at_ms": 6, "key_generation": 1});
    let created = json!({"room": a, "stream_key": "room_a_key_x"});
    let rotated = json!({"stream_key": "room_a_key_y"});
    let node = Node::start(vec![
        (201, created.to_string()),
        (200, json!({"rooms": [a], "next": "a"}).to_string()),
        (200, json!({"rooms": [b], "next": null}).to_string()),
        (200, rotated.to_string()),
        (204, String::new()),
    ]);
    let folder = node.scratch.path();
    assert_eq!(
        json_of(&room(
            folder,
            &["create", "a", "--playback", "public", "--json"]
        )),
        created
    );
    let list = json_of(&room(folder, &["list", "--json"]));
    assert_eq!(list, json!({"rooms": [a, b], "next": null}));
    assert_eq!(
        json_of(&room(folder, &["rotate-key", "a", "--json"])),
        rotated
    );
    assert_eq!(room(folder, &["delete", "a"]).out, "room a deleted\n");

    let file = node.lock.folder().api_token(Path::new(""));
    let token = node.lock.token(&file).expect("made");
    let bearer = format!("authorization: Bearer {}", token.reveal());
    let asked = node.requests();
    assert!(asked.iter().all(|request| request.head.contains(&bearer)));
    let lines: Vec<_> = asked
        .iter()
        .map(|request| request.head[0].as_str())
        .collect();
    assert_eq!(
        lines,
        [
            "POST /api/v1/rooms HTTP/1.1",
            "GET /api/v1/rooms?limit=1000 HTTP/1.1",
            "GET /api/v1/rooms?limit=1000&after=a HTTP/1.1",
            "POST /api/v1/rooms/a/rotate-key HTTP/1.1",
            "DELETE /api/v1/rooms/a HTTP/1.1",
        ]
    );
    let body: Value = serde_json::from_str(&asked[0].body).expect("JSON");
    assert_eq!(
        body,
        json!({"id": "a", "playback": "public", "on_conflict": "refuse"})
    );
}

#[test]
fn what_the_node_refuses_is_told_in_one_line() {
    let error = |code: &str, message: &str| {
        json!({"error": {"code": code, "message": message}}).to_string()
    };
    let page_without_end = json!({"rooms": [], "next": "a"}).to_string();
    let node = Node::start(vec![
        (409, error("already_exists", "room a exists already")),
        (503, error("unavailable", "two\nlines\u{1b}[31m")),
        (500, "<html>".to_owned()),
        (200, "{}".to_owned()),
        (200, "x".repeat((1 << 20) + 1)),
        (200, page_without_end),
    ]);
    let folder = node.scratch.path();
    let at = node.address;
    for (arguments, line) in [
        (&["create", "a"][..], "error: room a exists already\n".to_owned()),
        (&["create", "a"], "error: two\\nlines\\u{1b}[31m\n".to_owned()),
        (&["delete", "a"], format!("error: the node at {at} answered 500 Internal Server Error\n")),
        (
            &["list"],
            "error: the node's answer is not what this version reads: missing field `rooms` at line 1 column 2\n".to_owned(),
        ),
        (&["list"], format!("error: the node at {at}: the answer broke off: length limit exceeded\n")),
    ] {
        let given = room(folder, arguments);
        assert_eq!(given, Given { code: 1, out: String::new(), err: line }, "{arguments:?}");
    }
    let given = room(folder, &["list"]);
    assert_eq!(
        given,
        Given {
            code: 0,
            out: String::new(),
            err: String::new()
        }
    );
    assert_eq!(node.requests().len(), 6);
}

#[test]
fn a_node_that_is_gone_is_told() {
    let node = Node::start(vec![]);
    let address = node.address;
    let (scratch, _lock) = node.stop();
    let given = room(scratch.path(), &["list"]);
    assert_eq!(given.code, 1);
    assert!(
        given
            .err
            .starts_with(&format!("error: the node at {address}: ")),
        "{given:?}"
    );
    assert_eq!(given.err.lines().count(), 1);
}

/// A node that holds a data folder and gives canned answers, one a connection.
struct Node {
    scratch: Scratch,
    lock: Lock,
    address: SocketAddr,
    serving: JoinHandle<Vec<Asked>>,
}

struct Asked {
    /// Request line and header fields.
    head: Vec<String>,
    body: String,
}

impl Node {
    fn start(answers: Vec<(u16, String)>) -> Self {
        let scratch = Scratch::new();
        let lock = Folder::open(scratch.path())
            .and_then(|folder| folder.lock())
            .expect("readable")
            .expect("free");
        let token = lock.folder().api_token(Path::new(""));
        lock.token(&token).expect("made");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        // The wildcard makes the command call loopback.
        let http = SocketAddr::from(([0, 0, 0, 0], address.port()));
        let node = NodeFile {
            pid: std::process::id(),
            http,
            rtmp: http,
            internal: http,
            rtmps: None,
            https: None,
            relay: None,
        };
        lock.announce(&node).expect("written");
        let serving = std::thread::spawn(move || {
            answers
                .into_iter()
                .map(|(status, body)| serve(&listener, status, &body))
                .collect()
        });
        Self {
            scratch,
            lock,
            address,
            serving,
        }
    }

    /// What was asked, once every answer has been given.
    fn requests(self) -> Vec<Asked> {
        self.serving.join().expect("the canned node serves")
    }

    /// Closes the port but not the folder.
    fn stop(self) -> (Scratch, Lock) {
        self.serving.join().expect("the canned node serves");
        (self.scratch, self.lock)
    }
}

fn serve(listener: &TcpListener, status: u16, answer: &str) -> Asked {
    let (mut stream, _) = listener.accept().expect("a call");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    reader.read_exact(&mut body).expect("the body");
    let length = match status {
        204 => String::new(),
        _ => format!("content-length: {}\r\n", answer.len()),
    };
    // The command may leave in the middle of an answer that is too long.
    let _ = write!(stream, "HTTP/1.1 {status} x\r\n{length}\r\n{answer}");
    Asked {
        head,
        body: String::from_utf8(body).expect("JSON"),
    }
}

#[test]
fn a_room_is_given_limits_and_loses_them() {
    let scratch = Scratch::new();
    let room = |arguments: &[&str]| room(scratch.path(), arguments);
    let made = room(&[
        "create",
        "a",
        "--viewers-max",
        "9",
        "--codecs",
        "h264,aac",
        "--json",
    ]);
    let limits = json!({"viewers_max": 9, "codecs": ["h264", "aac"]});
    assert_eq!(json_of(&made)["room"]["limits"], limits);
    let changed = room(&["set", "a", "--bitrate-kbps-max", "3000", "--codecs", "none"]);
    let line = "room a changed (playback signed, on conflict refuse, limits {\"bitrate_kbps_max\":3000,\"viewers_max\":9})\n";
    assert_eq!(
        (changed.code, changed.out.as_str()),
        (0, line),
        "{changed:?}"
    );
    let changed = room(&[
        "set",
        "a",
        "--bitrate-kbps-max",
        "none",
        "--viewers-max",
        "none",
        "--playback",
        "public",
    ]);
    let line = "room a changed (playback public, on conflict refuse)\n";
    assert_eq!(
        (changed.code, changed.out.as_str()),
        (0, line),
        "{changed:?}"
    );
    for wrong in ["0", "-1", "1.5", "many", ""] {
        let given = room(&["set", "a", &format!("--viewers-max={wrong}")]);
        assert_eq!(
            (given.code, given.err.lines().count()),
            (2, 1),
            "{wrong}: {given:?}"
        );
    }
    let unknown = room(&["set", "a", "--codecs", "h264,h267"]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.err.contains("`h267` is none of h264, h265,"),
        "{unknown:?}"
    );
    let nothing = room(&["set", "a"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (2, ""), "{nothing:?}");
    assert_eq!(room(&["set", "b", "--viewers-max", "1"]).code, 1);
}

#[test]
fn bash_completes_what_the_command_line_takes() {
    let given = run(&["completions", "bash"]);
    assert_eq!((given.code, given.err.as_str()), (0, ""));
    let scratch = Scratch::new();
    let script = scratch.path().join("completions");
    std::fs::write(&script, given.out).expect("a file");
    // As the shell does it when Tab is pressed behind the last word.
    let complete = |words: &str| {
        let ask = format!(
            "source {} && COMP_WORDS=({words}) && COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) && \
            _isocast__node isocast-node \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\" && \
            echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let bash = std::process::Command::new("bash")
            .args(["--norc", "-c", &ask])
            .output();
        let bash = bash.expect("bash is there");
        assert!(
            bash.status.success(),
            "{}",
            String::from_utf8_lossy(&bash.stderr)
        );
        String::from_utf8(bash.stdout)
            .expect("text")
            .trim()
            .to_owned()
    };
    assert_eq!(complete("isocast-node room ki"), "kick");
    assert_eq!(complete("isocast-node comp"), "completions");
    assert!(complete("isocast-node room create --pl").contains("--playback"));
    assert!(complete("isocast-node room create --playback ''").contains("public"));
    for shell in ["zsh", "fish"] {
        let given = run(&["completions", shell]);
        assert!(
            given.code == 0 && given.out.contains("rotate-key"),
            "{shell}"
        );
    }
    assert_eq!(run(&["completions", "tcsh"]).code, 2);
}
