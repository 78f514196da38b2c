//! A canary in every place where a secret can be, and in places where people put one by mistake:
//! none is heard in a log, a metric, an event, an error or an answer.

use std::path::Path;
use std::process::Command;

use isocast_harness::{
    Certificate, Clip, Ffmpeg, Node, NodeOptions, Peer, Process, Receiver, Scratch, Signal, http,
    node_binary, run, tool, wait,
};
use serde_json::{Value, json};

/// In the texts of the test's own choice, so that each is told from the others.
fn canary(of: &str) -> String {
    format!("Canary{of}0123456789abcdefghijklmnopqrstuvwxyz")
}

/// What must not be heard, by what it is.
#[derive(Default)]
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn add(&mut self, what: &str, text: impl Into<String>) {
        let text = text.into();
        assert!(
            text.len() >= 16,
            "{what} is too short to be told from others"
        );
        self.0.push((what.to_owned(), text));
    }

    /// Every text that somebody may read, by who said it.
    fn assert_silent_in(&self, said: &[(String, String)]) {
        for (what, canary) in &self.0 {
            for (by, text) in said {
                assert!(
                    !text.contains(canary),
                    "the {what} is told by {by}:\n{text}"
                );
            }
        }
    }
}

/// A secret's file, for its owner only.
fn file(folder: &Path, name: &str, text: &str) -> String {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(&path);
    let mut made = made.expect("the test's own folder");
    writeln!(made, "{text}").expect("the test's own folder");
    path.display().to_string()
}

struct Stage {
    node: Node,
    receiver: Receiver,
    canaries: Canaries,
    said: Vec<(String, String)>,
    _scratch: Scratch,
}

impl Stage {
    fn start() -> Self {
        let scratch = Scratch::new("canary");
        let receiver = Receiver::start([]);
        let mut canaries = Canaries::default();
        let mut secret = |name: &str, before: &str| {
            let text = canary(&name.replace('-', ""));
            canaries.add(name, &text);
            file(scratch.path(), name, &format!("{before}{text}"))
        };
        let options = NodeOptions::default()
            .tls()
            .set("log.level", "trace")
            .set("hub.hold_s", 1)
            .set("api.token_file", secret("api-token", ""))
            .set("admin.token_file", secret("admin-token", ""))
            .set("play.secret_file", secret("play-secret", "k1 "))
            .set("publish.secret_file", secret("publish-secret", "k1 "))
            .set("webhooks.secret_file", secret("webhook-secret", ""))
            .set("network.allow_addresses", "127.0.0.0/8")
            .set(
                "webhooks.url",
                format!("http://{}/hook?token={}", receiver.address, canary("hook")),
            );
        canaries.add("webhook's query", canary("hook"));
        let node = options.start();
        let key = std::fs::read_to_string(&node.secure().certificate.key_file);
        let key = key.expect("the node reads it too");
        // The first lines of a key are the same for all of its kind.
        let line = key.lines().rev().nth(1).expect("a line of the key");
        canaries.add("TLS key", line);
        Self {
            node,
            receiver,
            canaries,
            said: Vec::new(),
            _scratch: scratch,
        }
    }

    fn hear(&mut self, by: &str, text: impl Into<String>) {
        self.said.push((by.to_owned(), text.into()));
    }

    /// Asks the API, and hears the answer.
    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self.node.operator(method, path, body.as_bytes());
        self.hear(
            &format!("{method} {path}: {}", answer.status),
            answer.text(),
        );
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Asks for what is to be told to its owner: nobody else hears it.
    fn ask_for_secret(&mut self, method: &str, path: &str, field: &str) -> String {
        let answer = self.node.operator(method, path, b"");
        let text = answer.json()[field].as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("{method} {path} has no {field}: {}", answer.text()))
    }
}

#[test]
fn no_canary_is_heard() {
    let mut stage = Stage::start();
    let key = a_room_with_a_key_of_its_own(&mut stage);
    let encoder = broadcasts(&mut stage, &key);
    mistakes_of_publishers_and_players(&mut stage, &key);
    mistakes_in_requests(&mut stage);
    everything_is_read(&mut stage);
    ends(stage, encoder);
}

fn a_room_with_a_key_of_its_own(stage: &mut Stage) -> String {
    let secret = canary("roomkey");
    let key = format!("room_sung_key_{secret}");
    stage.canaries.add("room's key", secret);
    let body = json!({"playback": "signed", "on_conflict": "takeover", "stream_key": key});
    let bearer = format!("Bearer {}", canary("admintoken"));
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
    ];
    let path = "/admin/v1/rooms/sung";
    let internal = stage.node.internal;
    let put = http::request(internal, "PUT", path, &headers, body.to_string().as_bytes());
    assert_eq!(put.status, 200, "{}", put.text());
    stage.hear("PUT of a room", put.text());
    for text in ["/admin/v1/node", "/admin/v1/rooms/sung"] {
        let answer = http::request(internal, "GET", text, &headers, b"");
        stage.hear(text, answer.text());
    }
    key
}

/// An encoder with the room's key, viewers with a signed address, and a key of the moment.
fn broadcasts(stage: &mut Stage, key: &str) -> Process {
    let node = &stage.node;
    let restream = canary("restreamkey");
    let target = Receiver::start([]).address;
    let log = node.file("encoder.log");
    let url = format!("rtmps://{}/live/{key}", node.secure().rtmps);
    let encoder = Ffmpeg::debian().publish_forever(&Clip::AudioVideo.path(), &url, &log);
    let link = "/api/v1/rooms/sung/live/play-url?expires_in_s=600";
    let hls = stage.ask_for_secret("GET", link, "hls_url");
    let (_, signed) = hls.split_once("/v/").expect("a signed address");
    let pass = signed.split('/').next().unwrap_or_default().to_owned();
    let signature = pass.split('.').next_back().unwrap_or_default();
    stage.canaries.add("signature of a link", signature);
    for path in ["hls/room_sung/index.m3u8", "api/v1/live/sung"] {
        let path = format!("/v/{pass}/{path}");
        stage.node.wait_for_status(&path, 200, 20);
    }
    let playlist = stage
        .node
        .get(&format!("/v/{pass}/hls/room_sung/index.m3u8"));
    stage.hear("the playlist", playlist.text());
    let (expires, _) = pass
        .split_once('.')
        .expect("an expiry before the signature");
    let name = format!("room_sung?exp={expires}&sig={signature}");
    assert!(Peer::play(stage.node.rtmp, &name).has_media(10));

    let publish = "/api/v1/rooms/sung/live/publish-url";
    let minted = stage.ask_for_secret("GET", publish, "stream_key");
    let minted_secret = minted.rsplit("_key_").next().unwrap_or_default();
    stage.canaries.add("key of the moment", minted_secret);
    let refused = Peer::publish(stage.node.rtmp, &format!("{minted}x")).expect_refusal(10);
    stage.hear("a refused key of the moment", refused.1);

    stage.canaries.add("restream's key", &restream);
    let body = json!([{"name": "elsewhere", "url": format!("rtmp://{target}/live"), "stream_key": restream, "enabled": true}]);
    stage.ask(
        "PUT",
        "/api/v1/rooms/sung/restreams",
        &json!({"targets": body}),
    );
    wait::until("a try to push the stream on", 15, || {
        let answer = stage
            .node
            .operator("GET", "/api/v1/rooms/sung/restreams", b"");
        let text = answer.text();
        (text.contains("waiting") || text.contains("error")).then_some(text)
    });
    stage.ask("GET", "/api/v1/rooms/sung/restreams", &Value::Null);
    encoder
}

/// A secret where something else belongs, and secrets that are nearly right.
fn mistakes_of_publishers_and_players(stage: &mut Stage, key: &str) {
    let rtmp = stage.node.rtmp;
    let guess = canary("guess");
    stage.canaries.add("guessed key", &guess);
    for name in [
        format!("{key}x"),
        format!("room_nobody_key_{guess}"),
        format!("room_sung?exp=1&sig={guess}"),
        format!("room_sung_key_{guess}?a=b"),
        guess.clone(),
    ] {
        let (code, text) = Peer::publish(rtmp, &name).expect_refusal(10);
        stage.hear("a refused publisher", format!("{code} {text}"));
        let (code, text) = Peer::play(rtmp, &name).expect_refusal(10);
        stage.hear("a refused player", format!("{code} {text}"));
    }
    // Encoders ask for server and key in two fields, and people put one into the other.
    for url in [
        format!("rtmp://{rtmp}/{key}/live"),
        format!("rtmp://{rtmp}/live/{guess}/{guess}"),
        format!("rtmp://{guess}:{guess}@{rtmp}/live/room_sung"),
    ] {
        let log = stage.node.file("mistaken.log");
        let clip = Clip::AudioVideo.path();
        Ffmpeg::debian().publish(&clip, &url, &log).wait(20);
    }
}

fn mistakes_in_requests(stage: &mut Stage) {
    let node = &stage.node;
    let guess = canary("guess");
    let bearer = |text: &str| format!("Bearer {text}");
    let basic = format!("Basic {guess}");
    let wrong = [bearer(&guess), bearer(&format!("{}x", node.token)), basic];
    let mut said = Vec::new();
    for (address, path) in [
        (node.http, "/api/v1/rooms".to_owned()),
        (node.http, format!("/api/v1/rooms/{guess}?token={guess}")),
        (node.http, format!("/hls/{guess}/index.m3u8?key={guess}")),
        (node.http, format!("/flv/room_sung_key_{guess}.flv")),
        (
            node.http,
            format!("/v/99999999999.{guess}/hls/room_sung/index.m3u8"),
        ),
        (node.http, format!("/v/{guess}/watch/sung")),
        (node.http, format!("/nothing/{guess}")),
        (node.internal, "/admin/v1/node".to_owned()),
        (node.internal, format!("/admin/v1/rooms/{guess}")),
    ] {
        for authorization in &wrong {
            for method in ["GET", "PUT", "DELETE"] {
                let headers = [
                    ("Authorization", authorization.as_str()),
                    ("X-Forwarded-For", &guess),
                    ("Cookie", &guess),
                ];
                let answer = http::request(address, method, &path, &headers, b"");
                said.push((format!("{method} {path}"), answer.text()));
            }
        }
    }
    stage.said.extend(said);
    for (method, path, body) in [
        ("POST", "/api/v1/rooms", json!({"id": guess.repeat(2)})),
        (
            "POST",
            "/api/v1/rooms",
            json!({"id": "a", "stream_key": guess}),
        ),
        (
            "POST",
            "/api/v1/rooms",
            json!({"id": "b", "playback": guess}),
        ),
        (
            "PUT",
            "/api/v1/rooms/sung/restreams",
            json!({"targets": [
                {"name": "x", "url": format!("rtmp://user:{guess}@127.0.0.1/live"), "stream_key": guess},
            ]}),
        ),
        (
            "PUT",
            "/api/v1/rooms/sung/restreams",
            json!({"targets": [{"stream_key": [guess]}]}),
        ),
    ] {
        stage.ask(method, path, &body);
    }
    over_http2(stage, &guess);
    let admin = bearer(&canary("admintoken"));
    let headers = [
        ("Authorization", &*admin),
        ("Content-Type", "application/json"),
    ];
    for body in [
        json!({"playback": "public", "on_conflict": "refuse", "stream_key": guess}),
        json!({"playback": guess, "on_conflict": "refuse", "stream_key": format!("room_sung_key_{guess}")}),
        json!({"playback": "public", "on_conflict": "refuse", "stream_key": format!("room_other_key_{guess}")}),
    ] {
        let body = body.to_string();
        let internal = stage.node.internal;
        let path = "/admin/v1/rooms/sung";
        let answer = http::request(internal, "PUT", path, &headers, body.as_bytes());
        stage.hear("a wrong PUT of a room", answer.text());
    }
}

/// Another parser, which logs otherwise.
fn over_http2(stage: &mut Stage, guess: &str) {
    let node = &stage.node;
    let https = format!("https://{}/api/v1/rooms", node.secure().https);
    let mut said = Vec::new();
    for url in [node.http_url("/api/v1/rooms"), https] {
        for token in [node.token.clone(), guess.to_owned()] {
            let mut curl = Command::new(tool("curl"));
            curl.args(["-sk", "--http2-prior-knowledge", "-H"]);
            curl.arg(format!("Authorization: Bearer {token}"));
            let output = run(curl.arg(format!("{url}?token={guess}")));
            assert_eq!(output.code, Some(0), "{}", output.err);
            said.push(("HTTP/2".to_owned(), output.out));
        }
    }
    stage.said.extend(said);
}

/// Everything that tells anything, asked as its operator.
fn everything_is_read(stage: &mut Stage) {
    for path in [
        "/api/v1/live",
        "/api/v1/live/sung",
        "/api/v1/rooms",
        "/api/v1/rooms/sung",
        "/api/v1/rooms/sung/stats",
        "/api/v1/openapi.json",
        "/",
    ] {
        stage.ask("GET", path, &Value::Null);
    }
    for path in ["/metrics", "/readyz", "/livez"] {
        let answer = http::get(stage.node.internal, path);
        stage.hear(path, answer.text());
    }
    for arguments in [
        &["room", "list"][..],
        &["room", "stats", "sung"],
        &["room", "restream", "list", "sung"],
        &["config", "show"],
    ] {
        let output = stage.node.command(arguments);
        stage.hear(&arguments.join(" "), output.out + &output.err);
    }
    let node_file = std::fs::read_to_string(stage.node.data_dir().join("node.json"));
    stage.hear("node.json", node_file.expect("the node runs"));
}

fn ends(mut stage: Stage, mut encoder: Process) {
    encoder.signal(Signal::TERM);
    encoder.wait(15);
    let told = stage.receiver.wait_for(2, 20);
    for request in told {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        stage.hear("a webhook", body);
    }
    let Stage {
        node,
        canaries,
        mut said,
        ..
    } = stage;
    let log = node.stop();
    assert!(log.contains("publishing began"), "{log}");
    said.push(("the log".to_owned(), log));
    canaries.assert_silent_in(&said);
}

/// A secret in the wrong place of the configuration, or in a broken file.
#[test]
fn what_is_wrong_with_the_configuration_is_told_without_its_secrets() {
    let scratch = Scratch::new("canary-config");
    let canary = canary("config");
    let mut canaries = Canaries::default();
    canaries.add("misplaced secret", &canary);
    let folder = scratch.path();
    let short = file(folder, "short", &canary[..12]);
    let two = file(folder, "two", &format!("{canary} {canary}"));
    let certificate = Certificate::issue(folder);
    let broken = file(
        folder,
        "broken.pem",
        &format!("-----BEGIN PRIVATE KEY-----\n{canary}"),
    );
    let mut said = Vec::new();
    for (name, setting) in [
        ("a token for a file", format!("api.token_file={canary}")),
        ("a token as a key", format!("api.token={canary}")),
        ("a short token", format!("api.token_file={short}")),
        ("a strange token", format!("admin.token_file={two}")),
        ("a broken signing secret", format!("play.secret_file={two}")),
        ("a broken TLS key", format!("tls.key_file={broken}")),
        (
            "a URL with a password",
            format!("webhooks.url=https://user:{canary}@127.0.0.1/"),
        ),
    ] {
        let mut command = Command::new(node_binary());
        command.current_dir(folder).args(["--data-dir", "data"]);
        if name == "a broken TLS key" {
            let file = certificate.cert_file.display();
            command.arg("--set").arg(format!("tls.cert_file={file}"));
        }
        for listener in ["rtmp", "http", "internal"] {
            command
                .arg("--set")
                .arg(format!("listen.{listener}=127.0.0.1:0"));
        }
        let output = run(command.arg("--set").arg(setting));
        assert_ne!(output.code, Some(0), "{name} is taken");
        said.push((name.to_owned(), output.out + &output.err));
    }
    // A path and a key's name may be repeated: they say where the mistake is.
    said.retain(|(name, _)| name != "a token for a file");
    canaries.assert_silent_in(&said);
}
