//! Tokens that somebody else signs, with keys made by openssl, against a real node.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use isocast_harness::{Node, NodeOptions, Scratch, http, run, tool};
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
    isocast_harness::wait::until("the new key set", 10, || {
        let (status, _) = ask(&node, &unknown, "GET", "/api/v1/rooms", "");
        (status == 200).then_some(())
    });
    let taken_back = ask(&node, &all, "GET", "/api/v1/rooms", "");
    assert_eq!(taken_back, refused(401, "unauthorized"));
    assert_eq!(node.operator("GET", "/api/v1/rooms", b"").status, 200);
    assert!(!node.log().contains(&all), "no token reaches the log");
}
