//! Tokens that somebody else signs, with keys made by openssl, against a real node.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use isocast_harness::{Certificate, Node, NodeOptions, Process, Scratch, http, run, tool, wait};
use serde_json::{Value, json};

/// An RSA key in a file, and its public half as others read it.
struct Issuer {
    key: PathBuf,
    jwk: Value,
}

impl Issuer {
    fn new(folder: &Path, kid: &str) -> Self {
        let key = folder.join(kid);
        let openssl = |arguments: &[&str]| {
            let output = run(Command::new(tool("openssl")).args(arguments).arg(&key));
            assert_eq!(output.code, Some(0), "{}", output.err);
            output.out
        };
        openssl(&[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-out",
        ]);
        let modulus = openssl(&["rsa", "-noout", "-modulus", "-in"]);
        let digits = modulus.trim().trim_start_matches("Modulus=");
        let bytes: Vec<_> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal"))
            .collect();
        // openssl takes 65537, which is AQAB.
        let n = URL_SAFE_NO_PAD.encode(bytes);
        let jwk =
            json!({"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": n, "e": "AQAB"});
        Self { key, jwk }
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": self.jwk["kid"], "typ": "JWT"});
        let said = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let (text, signature) = (
            self.key.with_extension("txt"),
            self.key.with_extension("sig"),
        );
        std::fs::write(&text, &said).expect("writable");
        let output = run(Command::new(tool("openssl"))
            .args(["dgst", "-sha256", "-sign"])
            .arg(&self.key)
            .arg("-out")
            .arg(&signature)
            .arg(&text));
        assert_eq!(output.code, Some(0), "{}", output.err);
        let signature = std::fs::read(&signature).expect("readable");
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn now_s() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

fn claims(scope: &str) -> Value {
    json!({
        "iss": "https://id.example", "aud": "isocast", "nbf": now_s() - 10,
        "exp": now_s() + 600, "scope": scope,
    })
}

fn ask(node: &Node, token: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
    ];
    let answer = http::request(node.http, method, path, &headers, body.as_bytes());
    let code = match answer.status {
        200..300 => String::new(),
        _ => answer.error_code(),
    };
    (answer.status, code)
}

#[test]
fn a_token_allows_what_its_scope_says() {
    let scratch = Scratch::new("issuer");
    let (issuer, next) = (
        Issuer::new(scratch.path(), "first"),
        Issuer::new(scratch.path(), "next"),
    );
    let jwks = scratch.file("jwks.json");
    let publish_set = |keys: &[&Issuer]| {
        let keys: Vec<_> = keys.iter().map(|issuer| &issuer.jwk).collect();
        std::fs::write(&jwks, json!({ "keys": keys }).to_string()).expect("writable");
    };
    publish_set(&[&issuer]);
    let node = NodeOptions::default()
        .set("auth.jwks_file", jwks.display())
        .set("auth.issuer", "https://id.example")
        .set("auth.audience", "isocast")
        .set("log.level", "debug")
        .start();
    for id in ["a", "b"] {
        let _ = node.room(id, "signed", "refuse");
    }

    let all = issuer.token(&claims("rooms:read rooms:write rooms:publish stats:read"));
    let reader = issuer.token(&claims("rooms:read"));
    let mut limited = claims("rooms:read rooms:write");
    limited["rooms"] = json!(["a", "mine"]);
    let limited = issuer.token(&limited);
    let mut expired = claims("rooms:read");
    expired["exp"] = json!(now_s() - 60);
    let expired = issuer.token(&expired);
    let mut elsewhere = claims("rooms:read");
    elsewhere["aud"] = json!("elsewhere");
    let elsewhere = issuer.token(&elsewhere);
    let unknown = next.token(&claims("rooms:read"));

    let ok = |status: u16| (status, String::new());
    let refused = |status: u16, code: &str| (status, code.to_owned());
    let publish_url = "/api/v1/rooms/a/live/publish-url";
    for (token, method, path, body, expected) in [
        (&all, "GET", "/api/v1/rooms/a", "", ok(200)),
        (&all, "GET", publish_url, "", ok(200)),
        (&all, "POST", "/api/v1/rooms/a/rotate-key", "", ok(200)),
        (&all, "POST", "/api/v1/rooms", r#"{"id":"c"}"#, ok(201)),
        (&reader, "GET", "/api/v1/rooms", "", ok(200)),
        (&reader, "GET", publish_url, "", refused(403, "forbidden")),
        (
            &reader,
            "DELETE",
            "/api/v1/rooms/a",
            "",
            refused(403, "forbidden"),
        ),
        (
            &reader,
            "GET",
            "/api/v1/rooms/nobody",
            "",
            refused(404, "no_room"),
        ),
        (&limited, "GET", "/api/v1/rooms/a", "", ok(200)),
        (
            &limited,
            "GET",
            "/api/v1/rooms/b",
            "",
            refused(404, "no_room"),
        ),
        (
            &limited,
            "DELETE",
            "/api/v1/rooms/b",
            "",
            refused(404, "no_room"),
        ),
        (
            &limited,
            "POST",
            "/api/v1/rooms",
            r#"{"id":"mine"}"#,
            ok(201),
        ),
        (
            &limited,
            "POST",
            "/api/v1/rooms",
            r#"{"id":"b"}"#,
            refused(403, "forbidden"),
        ),
        (
            &limited,
            "POST",
            "/api/v1/rooms",
            "{}",
            refused(403, "forbidden"),
        ),
        (
            &expired,
            "GET",
            "/api/v1/rooms",
            "",
            refused(401, "token_expired"),
        ),
        (
            &elsewhere,
            "GET",
            "/api/v1/rooms",
            "",
            refused(401, "unauthorized"),
        ),
        (
            &unknown,
            "GET",
            "/api/v1/rooms",
            "",
            refused(401, "unauthorized"),
        ),
    ] {
        let got = ask(&node, token, method, path, body);
        assert_eq!(got, expected, "{method} {path} {body}");
    }

    // Why each was refused is for the operator, and says nothing of what it held.
    let log = node.log();
    for reason in [
        "its `scope` lacks this",
        "its `rooms` lacks this one",
        "its `rooms` lacks the one to be made",
        "its `exp` has passed",
        "its `aud` does not hold auth.audience",
        "no key that it may be signed with has its `kid`",
    ] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    for token in [&reader, &limited, &expired, &elsewhere, &unknown] {
        let (said, signature) = token.rsplit_once('.').expect("a signature");
        assert!(!log.contains(said) && !log.contains(signature), "{log}");
    }
    assert!(!log.contains("elsewhere"), "{log}");
    let bearer = format!("Bearer {limited}");
    let list = http::request(
        node.http,
        "GET",
        "/api/v1/rooms",
        &[("Authorization", bearer.as_str())],
        b"",
    );
    let rooms = list.json()["rooms"].as_array().cloned().unwrap_or_default();
    let ids: Vec<_> = rooms.iter().map(|room| room["id"].clone()).collect();
    assert_eq!(ids, ["a", "mine"]);

    publish_set(&[&next]);
    wait::until("the new key set", 10, || {
        let (status, _) = ask(&node, &unknown, "GET", "/api/v1/rooms", "");
        (status == 200).then_some(())
    });
    let taken_back = ask(&node, &all, "GET", "/api/v1/rooms", "");
    assert_eq!(taken_back, refused(401, "unauthorized"));
    assert_eq!(node.operator("GET", "/api/v1/rooms", b"").status, 200);
    assert!(!node.log().contains(&all), "no token reaches the log");
}

/// nginx, with the files of a folder at its HTTPS address.
fn serve(folder: &Scratch, certificate: &Certificate, at: SocketAddr) -> Process {
    let root = folder.path().display();
    let (cert, key) = (
        certificate.cert_file.display(),
        certificate.key_file.display(),
    );
    let configuration = format!(
        "daemon off;
master_process off;
pid {root}/nginx.pid;
error_log stderr error;
events {{ worker_connections 64; }}
http {{
    access_log {root}/access.log;
    client_body_temp_path {root}/body;
    server {{
        listen {at} ssl;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        root {root}/public;
    }}
}}
"
    );
    let file = folder.file("nginx.conf");
    std::fs::write(&file, configuration).expect("a folder of ours");
    let mut command = Command::new(tool("nginx"));
    command.args(["-e", "stderr", "-c"]).arg(&file);
    let process = Process::start("nginx", &mut command, &folder.file("nginx.log"));
    wait::until("nginx", 10, || TcpStream::connect(at).ok());
    process
}

fn fetches(node: &Node, result: &str) -> f64 {
    node.metric(&format!(
        "isocast_key_set_fetches_total{{result=\"{result}\""
    ))
}

#[test]
fn keys_are_fetched_anew_when_their_issuer_replaces_them() {
    let folder = Scratch::new("jwks");
    let certificate = Certificate::issue(folder.path());
    let [first, next, last] = ["first", "next", "last"].map(|kid| Issuer::new(folder.path(), kid));
    let public = folder.file("public");
    std::fs::create_dir(&public).expect("a folder of ours");
    let publish_set = |keys: &[&Issuer]| {
        let keys: Vec<_> = keys.iter().map(|issuer| &issuer.jwk).collect();
        let new = folder.file("new.json");
        std::fs::write(&new, json!({ "keys": keys }).to_string()).expect("writable");
        std::fs::rename(&new, public.join("keys")).expect("one file system");
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    drop(listener);
    let mut server = serve(&folder, &certificate, address);
    let node = NodeOptions::default()
        .set("auth.jwks_url", format!("https://{address}/keys"))
        .set("auth.issuer", "https://id.example")
        .set("auth.audience", "isocast")
        .set("network.allow_addresses", "127.0.0.1")
        .set("network.ca_file", certificate.cert_file.display())
        .start();
    let [first_token, next_token, last_token] =
        [&first, &next, &last].map(|issuer| issuer.token(&claims("rooms:read")));
    let status = |token: &str| ask(&node, token, "GET", "/api/v1/rooms", "").0;

    // The node has started without them.
    assert_eq!(status(&first_token), 503);
    assert_eq!((status("no-token"), status(&node.token)), (401, 200));
    publish_set(&[&first]);
    wait::until("the first keys", 30, || {
        (status(&first_token) == 200).then_some(())
    });
    let failed = node.log().matches("auth.jwks_url gives no keys").count();
    assert_eq!(failed, 1, "a line, however often it was tried");
    assert!(fetches(&node, "status") >= 1.0, "404");

    publish_set(&[&next]);
    assert_eq!(status(&next_token), 200, "its key is asked for");
    assert_eq!(status(&first_token), 401, "its key was taken back");
    publish_set(&[&last]);
    assert_eq!(status(&last_token), 200, "others were asked for before");
    for _ in 0..20 {
        assert_eq!(status(&next_token), 401, "three times a minute");
    }
    assert_eq!(fetches(&node, "ok"), 4.0);
    let asked = std::fs::read_to_string(folder.file("access.log")).expect("nginx keeps it");
    let answered = asked.lines().filter(|line| line.contains("\" 200 "));
    assert_eq!(answered.count(), 4, "{asked}");

    server.signal(isocast_harness::Signal::KILL);
    server.wait(10);
    assert_eq!(status(&last_token), 200, "what was fetched stays");
    let log = node.stop();
    assert!(
        !log.contains(&last_token) && !log.contains("panicked"),
        "{log}"
    );
}

#[test]
fn keys_come_by_http_from_listed_addresses_only() {
    let folder = Scratch::new("jwks");
    let issuer = Issuer::new(folder.path(), "a");
    let node = NodeOptions::default()
        .set("auth.jwks_url", "http://127.0.0.1:9/keys")
        .set("auth.issuer", "https://id.example")
        .set("auth.audience", "isocast")
        .start();
    let token = issuer.token(&claims("rooms:read"));
    let refused = ask(&node, &token, "GET", "/api/v1/rooms", "");
    assert_eq!(refused, (503, "unavailable".to_owned()));
    assert!(fetches(&node, "denied") >= 1.0);
    assert_eq!(fetches(&node, "unreachable"), 0.0);
    node.stop();
}
