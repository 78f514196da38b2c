//! Bad and good inputs through all layers, on real folders.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::written::Written;
use super::*;
use crate::data::scratch::Scratch;

/// `default.toml` with this content: the line of the mistake it must give, or `None` for a good file.
const FILES: &[(&str, &[u8], Option<&str>)] = &[
    ("empty", b"", None),
    ("only a comment", b"# nothing\n", None),
    ("a byte order mark", b"\xef\xbb\xbf[hls]\nidle_s = 20\n", None),
    ("tabs", b"[hls]\n\tidle_s\t=\t20\t# why\n", None),
    ("CRLF", b"[hls]\r\nidle_s = 20\r\n", None),
    ("digits in groups, hexadecimal", b"hls.idle_s = 1_000\nhub.gop_bytes_max = 0x100_000\n", None),
    ("an inline section", b"hls = { idle_s = 20, enabled = false }\n", None),
    ("all forms", b"data_dir = 'x'\n[node]\nid = 'a.b-c_1'\n[listen]\nhttp = '[::1]:0'\n[log]\nformat = 'json'\n", None),
    ("an unknown key", b"[hls]\nwindow_segmets = 6\n", Some("2: hls.window_segmets: unknown key; did you mean hls.window_segments?")),
    ("a key in the wrong section", b"[hls]\n\n\nhold_s = 6\n", Some("4: hls.hold_s: unknown key; did you mean hub.hold_s?")),
    ("a key without section", b"window_segments = 6\n", Some("1: window_segments: unknown key; did you mean hls.window_segments?")),
    ("a key near two", b"[htp]\nconnections_max = 6\n", Some("1: htp: unknown key; `isocast-node config table` lists all keys")),
    ("an unknown section", b"[storage]\n", Some("1: storage: unknown key; `isocast-node config table` lists all keys")),
    ("a name with a newline", b"\"a\\nb\" = 1\n", Some("1: a\\nb: unknown key; `isocast-node config table` lists all keys")),
    ("a section that is a value", b"hls = 3\n", Some("1: hls: is a section; write [hls] and its keys below")),
    ("a list of sections", b"[[hls]]\nidle_s = 20\n", Some("1: hls: is a section; write [hls] and its keys below")),
    ("a section below a key", b"[hls.idle_s]\nx = 1\n", Some("1: hls.idle_s: a section does not fit, it takes a whole number from 10 to 86400")),
    ("text for a number", b"\n[hls]\nwindow_segments = \"6\"\n", Some("3: hls.window_segments: \"6\" does not fit, it takes a whole number from 3 to 60")),
    ("a number for text", b"data_dir = 5\n", Some("1: data_dir: 5 does not fit, it takes a path")),
    ("a number for a switch", b"[hls]\nenabled = 1\n", Some("2: hls.enabled: 1 does not fit, it takes true or false")),
    ("a fraction", b"[hls]\nidle_s = 20.0\n", Some("2: hls.idle_s: a number with a fraction does not fit, it takes a whole number from 10 to 86400")),
    ("a list", b"[hls]\nidle_s = [20]\n", Some("2: hls.idle_s: a list does not fit, it takes a whole number from 10 to 86400")),
    ("a date", b"[hls]\nidle_s = 2020-01-01\n", Some("2: hls.idle_s: a date or time does not fit, it takes a whole number from 10 to 86400")),
    ("out of range", b"[hls]\nwindow_segments = 61\n", Some("2: hls.window_segments: 61 is out of range, it takes a whole number from 3 to 60")),
    ("below the range", b"[hls]\nwindow_segments = 2\n", Some("2: hls.window_segments: 2 is out of range, it takes a whole number from 3 to 60")),
    ("negative", b"[node]\nshutdown_deadline_s = -1\n", Some("2: node.shutdown_deadline_s: -1 is out of range, it takes a whole number from 1 to 3600")),
    ("10^9", b"[hub]\nhold_s = 1000000000\n", Some("2: hub.hold_s: 1000000000 is out of range, it takes a whole number from 0 to 300")),
    ("10^30", b"[hub]\nhold_s = 1000000000000000000000000000000\n", Some("2: hub.hold_s: 1000000000000000000000000000000 is out of range, it takes a whole number from 0 to 300")),
    ("10^40", b"[hub]\nhold_s = 10000000000000000000000000000000000000000\n", Some("2: hub.hold_s: this number is out of range, it takes a whole number from 0 to 300")),
    ("an unknown word", b"[log]\nformat = \"xml\"\n", Some("2: log.format: \"xml\" does not fit, it takes human or json")),
    ("a word in capitals", b"[log]\nlevel = \"INFO\"\n", Some("2: log.level: \"INFO\" does not fit, it takes error, warn, info, debug, trace")),
    ("a host name for an address", b"[listen]\nhttp = \"localhost:80\"\n", Some("2: listen.http: \"localhost:80\" does not fit, it takes an IP address and a port such as 127.0.0.1:8080 or [::]:8080")),
    ("a port above 65535", b"[listen]\nhttp = \"0.0.0.0:65536\"\n", Some("2: listen.http: \"0.0.0.0:65536\" does not fit, it takes an IP address and a port such as 127.0.0.1:8080 or [::]:8080")),
    ("an empty folder name", b"data_dir = ''\n", Some("1: data_dir: \"\" does not fit, it takes a path")),
    ("a node id with a line break", b"[node]\nid = \"a\\r\\nb\"\n", Some("2: node.id: \"a\\r\\nb\" does not fit, it takes up to 253 of A-Z, a-z, 0-9, `.`, `_`, `-`")),
    ("a duplicate key", b"[hls]\nidle_s = 20\nidle_s = 30\n", Some("3: hls.idle_s: is set twice in this file; keep one")),
    ("a duplicate section", b"[hls]\nidle_s = 20\n[hls]\ntarget_ms = 3000\n", Some("3: hls: is set twice in this file; keep one")),
    ("no value", b"[hls]\nidle_s =\n", Some("2: hls.idle_s: string values must be quoted, expected literal string")),
    ("no TOML", b"hls:\n  idle_s: 20\n", Some("1: hls:: key with no value, expected `=`")),
    ("the wrong one of two listeners", b"[listen]\nrtmp = \"127.0.0.1:8080\"\n", Some("2: listen.rtmp: listen.http (0.0.0.0:8080) and listen.rtmp (127.0.0.1:8080) need the same port; change one")),
    ("a drain longer than the end", b"[node]\nshutdown_deadline_s = 5\n", Some("2: node.shutdown_deadline_s: node.drain_delay_s (5) must be less than node.shutdown_deadline_s (5)")),
    ("a list of texts", b"[proxies]\ntrusted = ['10.0.0.0/8', \"::1\"]\n", None),
    ("an empty list", b"proxies.trusted = []\n", None),
    ("an item of another form", b"[proxies]\ntrusted = [\n  '10.0.0.0/8', # pods\n  10,\n]\n", Some("4: proxies.trusted: item 2, 10, does not fit, each takes an IP address or a network such as 10.0.0.0/8, without bits beyond its prefix")),
    ("an item that does not fit", b"[proxies]\ntrusted = ['10.0.0.1/8']\n", Some("2: proxies.trusted: item 1, \"10.0.0.1/8\", does not fit, each takes an IP address or a network such as 10.0.0.0/8, without bits beyond its prefix")),
    ("a list in a list", b"[proxies]\ntrusted = [['10.0.0.1']]\n", Some("2: proxies.trusted: item 1, a list, does not fit, each takes an IP address or a network such as 10.0.0.0/8, without bits beyond its prefix")),
    ("text for a list", b"[proxies]\n\ntrusted = '10.0.0.1'\n", Some("3: proxies.trusted: \"10.0.0.1\" does not fit, it takes a list; each item is an IP address or a network such as 10.0.0.0/8, without bits beyond its prefix")),
    ("a header that nobody may send", b"[proxies]\nprotocol_v2 = true\n", Some("2: proxies.protocol_v2: proxies.protocol_v2 refuses everyone without proxies.trusted; name the proxies")),
    ("a proxy that sends headers", b"[proxies]\nprotocol_v2 = true\ntrusted = ['10.0.0.0/8']\n", None),
    ("a certificate without a key", b"[tls]\ncert_file = 'a'\n", Some("2: tls.cert_file: tls.cert_file and tls.key_file need each other; set both or neither")),
    ("keys of tokens without an issuer", b"[auth]\njwks_url = 'https://id.example/keys'\naudience = 'a'\n", Some("2: auth.jwks_url: auth.jwks_url needs auth.issuer: what tokens must have to count")),
    ("keys of tokens twice", b"[auth]\njwks_file = 'a'\njwks_url = 'https://id.example/keys'\nissuer = 'a'\naudience = 'a'\n", Some("3: auth.jwks_url: auth.jwks_url and auth.jwks_file name two sources of the same keys; set one")),
    ("keys of tokens from nowhere", b"[auth]\njwks_url = 'ftp://id.example/keys'\n", Some("2: auth.jwks_url: \"ftp://…\" does not fit, it takes an https:// or http:// URL without user name and password, or nothing")),
    ("a key without a certificate", b"[tls]\nkey_file = 'a'\n", Some("2: tls.key_file: tls.cert_file and tls.key_file need each other; set both or neither")),
    ("a peer's certificate without a key", b"[peers]\ntls_cert_file = 'a'\ntls_ca_file = 'b'\n", Some("2: peers.tls_cert_file: peers.tls_cert_file needs peers.tls_key_file: set all three peers.tls_\u{2026} or none")),
    ("a token beside certificates", b"[peers]\ntls_cert_file = 'a'\ntls_key_file = 'b'\ntls_ca_file = 'c'\ntoken_file = 'd'\n", Some("5: peers.token_file: peers.token_file and peers.tls_cert_file are two ways for nodes to know each other; set one")),
    ("peers that nobody is known to be", b"[peers]\nlist = ['isocast-0:8081']\n", Some("2: peers.list: peers.list needs peers.token_file, or peers.tls_cert_file and its like: by what nodes know each other")),
    ("a peer without a port", b"[peers]\ntoken_file = 'a'\nlist = ['isocast-0']\n", Some("3: peers.list: item 1, \"isocast-0\", does not fit, each takes a host and a port such as isocast-0:8081, 10.0.0.1:8081 or [fd00::1]:8081")),
    ("the port of what is off", b"listen.http = '0.0.0.0:8443'\n", None),
    ("the port of what is on", b"listen.http = '0.0.0.0:8443'\ntls.cert_file = 'a'\ntls.key_file = 'b'\n", Some("1: listen.http: listen.http (0.0.0.0:8443) and listen.https (0.0.0.0:8443) need the same port; change one")),
    ("not UTF-8", b"[hls]\nidle_s = 20 # \xff\n", Some("2: is not UTF-8 text; save the file as UTF-8")),
    ("UTF-16", b"\xff\xfeh\0l\0s\0", Some("1: is not UTF-8 text; save the file as UTF-8")),
];

#[test]
fn files_are_taken_or_refused_with_line_and_key() {
    for (name, content, mistake) in FILES {
        let folder = Scratch::new();
        folder.write("default.toml", content);
        let result = load(&sources(folder.path(), &[], &[]));
        match mistake {
            None => drop(result.unwrap_or_else(|error| panic!("{name}: {error}"))),
            Some(mistake) => {
                let line = result.expect_err(name).to_string();
                let start = format!("{}:", folder.path().join("default.toml").display());
                assert_eq!(line.strip_prefix(&start), Some(*mistake), "{name}");
            }
        }
    }
}

#[test]
fn good_files_have_their_effect() {
    let folder = Scratch::new();
    folder.write("default.toml", b"\xef\xbb\xbf[hls]\n\tidle_s\t= 1_000\nenabled = false\n[log]\nformat='json'\nlevel='trace'\n[listen]\nhttp='[::1]:0'\n");
    let config = load(&sources(folder.path(), &[], &[]))
        .expect("a good file")
        .config;
    assert_eq!(
        config.hls,
        Hls {
            idle_s: 1000,
            enabled: false,
            ..Hls::default()
        }
    );
    assert_eq!(
        config.log,
        Log {
            format: LogFormat::Json,
            level: Level::Trace
        }
    );
    assert_eq!(config.listen.http, "[::1]:0".parse().expect("an address"));
}

#[test]
fn variables_that_miss_their_key_by_underscores_are_told() {
    for (name, meant) in [
        ("ISOCAST_HUB_HOLD_S", Some("ISOCAST__HUB__HOLD_S")),
        ("ISOCAST_HUB__HOLD_S", Some("ISOCAST__HUB__HOLD_S")),
        ("isocast__hub__hold_s", Some("ISOCAST__HUB__HOLD_S")),
        ("ISOCAST_DATA_DIR", Some("ISOCAST__DATA_DIR")),
        // A mistake, which loading tells.
        ("ISOCAST__HUB_HOLD_S", None),
        ("ISOCAST__HUB__HOLD_S", None),
        ("ISOCAST_CONFIG_DIR", None),
        ("ISOCAST_SERVICE_HOST", None),
        ("HUB_HOLD_S", None),
    ] {
        let sources = Sources {
            environment: vec![(name.into(), "20".into())],
            ..Sources::default()
        };
        let told = meant.map(|meant| (name.to_owned(), meant.to_owned()));
        let expected: Vec<_> = told.into_iter().collect();
        assert_eq!(variables_without_effect(&sources), expected, "{name}");
    }
}

/// Variables and flags: one (name, value) or one `--set`, and the line it must give.
const VARIABLES: &[(&str, &str, Option<&str>)] = &[
    ("ISOCAST__HLS__WINDOW_SEGMENTS", "7", None),
    ("ISOCAST__DATA_DIR", "/x", None),
    ("ISOCAST__HLS__ENABLED", "false", None),
    ("ISOCAST__API__TOKEN_FILE", "/run/token", None),
    ("ISOCAST__ADMIN__TOKEN_FILE", "", None),
    ("ISOCAST_SERVICE_HOST", "10.0.0.1", None),
    (
        "ISOCAST__HLS__WINDOW_SEGMENTS",
        "",
        Some(
            "environment ISOCAST__HLS__WINDOW_SEGMENTS: \"\" does not fit, it takes a whole number from 3 to 60",
        ),
    ),
    (
        "ISOCAST__HLS__WINDOW_SEGMENTS",
        " 7",
        Some(
            "environment ISOCAST__HLS__WINDOW_SEGMENTS: \" 7\" does not fit, it takes a whole number from 3 to 60",
        ),
    ),
    (
        "ISOCAST__HLS__WINDOW_SEGMENTS",
        "-7",
        Some(
            "environment ISOCAST__HLS__WINDOW_SEGMENTS: -7 is out of range, it takes a whole number from 3 to 60",
        ),
    ),
    (
        "ISOCAST__HLS__WINDOW_SEGMENTS",
        "1e9",
        Some(
            "environment ISOCAST__HLS__WINDOW_SEGMENTS: \"1e9\" does not fit, it takes a whole number from 3 to 60",
        ),
    ),
    (
        "ISOCAST__HLS__ENABLED",
        "yes",
        Some("environment ISOCAST__HLS__ENABLED: \"yes\" does not fit, it takes true or false"),
    ),
    (
        "ISOCAST__HLS__WINDOW",
        "7",
        Some(
            "environment ISOCAST__HLS__WINDOW: unknown key; `isocast-node config table` lists all keys",
        ),
    ),
    (
        "ISOCAST__HLS__WINDOW_SEGMENT",
        "7",
        Some(
            "environment ISOCAST__HLS__WINDOW_SEGMENT: unknown key; did you mean ISOCAST__HLS__WINDOW_SEGMENTS?",
        ),
    ),
    (
        "ISOCAST__hls__window_segments",
        "7",
        Some(
            "environment ISOCAST__hls__window_segments: unknown key; did you mean ISOCAST__HLS__WINDOW_SEGMENTS?",
        ),
    ),
    (
        "ISOCAST__",
        "7",
        Some("environment ISOCAST__: unknown key; `isocast-node config table` lists all keys"),
    ),
    (
        "ISOCAST__A\nB",
        "7",
        Some("environment ISOCAST__A\\nB: unknown key; `isocast-node config table` lists all keys"),
    ),
    (
        "ISOCAST_ENVIRONMENT",
        "",
        Some(
            "environment ISOCAST_ENVIRONMENT: \"\" does not fit, it takes A-Z, a-z, 0-9, `_` and `-`",
        ),
    ),
    (
        "ISOCAST_ENVIRONMENT",
        "../etc",
        Some(
            "environment ISOCAST_ENVIRONMENT: \"../etc\" does not fit, it takes A-Z, a-z, 0-9, `_` and `-`",
        ),
    ),
    (
        "ISOCAST_ENVIRONMENT",
        "local",
        Some(
            "environment ISOCAST_ENVIRONMENT: \"local\" is a layer of its own; choose another name",
        ),
    ),
    ("--set", "hls.window_segments=7", None),
    ("--set", "data_dir=a=b", None),
    ("--set", "proxies.trusted=10.0.0.0/8, ::1", None),
    ("--set", "proxies.trusted=", None),
    ("ISOCAST__PROXIES__TRUSTED", "['10.0.0.0/8', '::1']", None),
    (
        "ISOCAST__PROXIES__TRUSTED",
        "10.0.0.1,,::1",
        Some(
            "environment ISOCAST__PROXIES__TRUSTED: item 2, \"\", does not fit, each takes an IP address or a network such as 10.0.0.0/8, without bits beyond its prefix",
        ),
    ),
    (
        "--set",
        "proxies.trusted=['10.0.0.1'",
        Some(
            "--set proxies.trusted: \"['10.0.0.1'\" does not fit, it takes a list; each item is an IP address or a network such as 10.0.0.0/8, without bits beyond its prefix",
        ),
    ),
    (
        "--set",
        "hls.window_segments=2",
        Some("--set hls.window_segments: 2 is out of range, it takes a whole number from 3 to 60"),
    ),
    (
        "--set",
        "hls.window_segments",
        Some("--set hls.window_segments: write it as section.key=value"),
    ),
    (
        "--set",
        "hls.windows_segments=3",
        Some("--set hls.windows_segments: unknown key; did you mean hls.window_segments?"),
    ),
    (
        "--set",
        "=",
        Some("--set : unknown key; `isocast-node config table` lists all keys"),
    ),
];

#[test]
fn variables_and_flags_are_taken_or_refused_by_name() {
    for (name, value, mistake) in VARIABLES {
        let folder = Scratch::new();
        let sources = match *name {
            "--set" => sources(folder.path(), &[], &[value]),
            name => sources(folder.path(), &[(name, value)], &[]),
        };
        let line = load(&sources).err().map(|error| error.to_string());
        assert_eq!(line.as_deref(), *mistake, "{name}={value}");
    }
}

#[test]
fn values_that_are_no_text_are_refused() {
    let folder = Scratch::new();
    let mut sources = sources(folder.path(), &[], &[]);
    sources
        .environment
        .push(("ISOCAST__NODE__ID".into(), OsString::from_vec(vec![0xff])));
    let line = load(&sources).expect_err("0xff is no UTF-8").to_string();
    assert_eq!(
        line,
        "environment ISOCAST__NODE__ID: the value is not UTF-8 text"
    );
}

#[test]
fn flags_that_set_one_key_twice_are_refused() {
    let folder = Scratch::new();
    let twice = sources(
        folder.path(),
        &[],
        &["hls.idle_s=20", "log.level=warn", "hls.idle_s=30"],
    );
    let line = load(&twice).expect_err("two values").to_string();
    assert_eq!(
        line,
        "--set hls.idle_s: hls.idle_s is set by two flags; keep one"
    );

    let mut both = sources(folder.path(), &[], &["data_dir=a"]);
    both.data_dir = Some("b".into());
    let line = load(&both).expect_err("two values").to_string();
    assert_eq!(line, "--data-dir: data_dir is set by two flags; keep one");
}

#[test]
fn folders_and_files_that_were_asked_for_must_exist() {
    let folder = Scratch::new();
    let missing = folder.path().join("no-such");
    let shown = missing.display().to_string();

    let line = load(&sources(&missing, &[], &[]))
        .expect_err("no folder")
        .to_string();
    assert_eq!(line, format!("--config-dir: {shown:?} is not a folder"));

    let by_variable = Sources {
        environment: vec![("ISOCAST_CONFIG_DIR".into(), missing.clone().into())],
        ..Sources::default()
    };
    let line = load(&by_variable).expect_err("no folder").to_string();
    assert_eq!(
        line,
        format!("environment ISOCAST_CONFIG_DIR: {shown:?} is not a folder")
    );

    let line = load(&sources(
        folder.path(),
        &[("ISOCAST_ENVIRONMENT", "prod")],
        &[],
    ))
    .expect_err("no prod.toml")
    .to_string();
    let file = folder.path().join("prod.toml");
    assert_eq!(
        line,
        format!(
            "{}: ISOCAST_ENVIRONMENT=prod asks for this file, but there is none",
            file.display()
        )
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = Scratch::new();
    let local = folder.path().join("local.toml");
    std::fs::create_dir(&local).expect("a folder in the file's place");
    let line = load(&sources(folder.path(), &[], &[]))
        .expect_err("a folder")
        .to_string();
    assert_eq!(line, format!("{}: is no file", local.display()));

    std::fs::remove_dir(&local).expect("it is empty");
    std::os::unix::fs::symlink(&local, &local).expect("a link to itself");
    let line = load(&sources(folder.path(), &[], &[]))
        .expect_err("a link to itself")
        .to_string();
    let start = format!("{}: cannot be read: ", local.display());
    assert!(line.starts_with(&start) && !line.contains('\n'), "{line}");

    let big = Scratch::new();
    big.write("default.toml", &vec![b'#'; (1 << 20) + 1]);
    let line = load(&sources(big.path(), &[], &[]))
        .expect_err("too large")
        .to_string();
    assert!(
        line.ends_with("default.toml: is larger than 1 MiB, so it is no configuration"),
        "{line}"
    );
}

#[test]
fn a_list_is_the_same_however_it_is_written() {
    let folder = Scratch::new();
    let expected = ["10.0.0.0/8", "::1"].map(|text| text.parse().expect("a network"));
    for text in [
        "10.0.0.0/8,::1",
        " 10.0.0.0/8 , ::1 ",
        "['10.0.0.0/8', '::1']",
        "[\"10.0.0.0/8\",\"::1\",]",
    ] {
        let set = format!("proxies.trusted={text}");
        let loaded = load(&sources(folder.path(), &[], &[&set])).expect(text);
        assert_eq!(loaded.config.proxies.trusted, expected, "{text}");
    }
}

/// Every subset of the layers sets the same key to its own number: the strongest one wins.
#[test]
fn no_layer_wins_out_of_order() {
    const LAYERS: u32 = 5;
    for present in 0..1_u32 << LAYERS {
        let has = |layer: u32| present & (1 << layer) != 0;
        let folder = Scratch::new();
        for (layer, name) in [(0, "default.toml"), (1, "test.toml"), (2, "local.toml")] {
            if has(layer) {
                folder.write(name, format!("hls.idle_s = {}\n", 100 + layer).as_bytes());
            } else if layer == 1 {
                folder.write(name, b"");
            }
        }
        let mut environment = vec![("ISOCAST_ENVIRONMENT", "test")];
        if has(3) {
            environment.push(("ISOCAST__HLS__IDLE_S", "103"));
        }
        let set: &[&str] = if has(4) { &["hls.idle_s=104"] } else { &[] };

        let loaded = load(&sources(folder.path(), &environment, set)).expect("all are good");
        let strongest = (0..LAYERS).rev().find(|layer| has(*layer));
        let expected = strongest.map_or(300, |layer| 100 + u64::from(layer));
        assert_eq!(loaded.config.hls.idle_s, expected, "layers {present:05b}");

        let place = loaded.origins.get("hls.idle_s");
        let is_right = match strongest {
            None => place.is_none(),
            Some(3) => place == Some(&Place::Environment("ISOCAST__HLS__IDLE_S".to_owned())),
            Some(4) => place == Some(&Place::Flag("--set hls.idle_s".to_owned())),
            Some(layer) => {
                let name = ["default.toml", "test.toml", "local.toml"][layer as usize];
                let path = folder.path().join(name);
                place
                    == Some(&Place::File {
                        path,
                        line: Some(1),
                    })
            }
        };
        assert!(is_right, "layers {present:05b}: {place:?}");
    }
}

/// Keys that different layers set all stay, whatever section they share.
#[test]
fn layers_add_up_key_by_key() {
    let folder = Scratch::new();
    folder.write("default.toml", b"[hls]\nidle_s = 20\n");
    folder.write("test.toml", b"[hls]\ntarget_ms = 3000\n");
    folder.write("local.toml", b"hls.enabled = false\n");
    let environment = [
        ("ISOCAST_ENVIRONMENT", "test"),
        ("ISOCAST__HLS__WINDOW_SEGMENTS", "9"),
    ];
    let mut sources = sources(folder.path(), &environment, &["node.id=n1"]);
    sources.data_dir = Some("/data".into());
    let loaded = load(&sources).expect("all are good");
    let expected = Config {
        data_dir: "/data".into(),
        node: Node {
            id: "n1".to_owned(),
            ..Node::default()
        },
        hls: Hls {
            enabled: false,
            target_ms: 3000,
            window_segments: 9,
            idle_s: 20,
        },
        ..Config::default()
    };
    assert_eq!(loaded.config, expected);
    let names: Vec<_> = loaded
        .files
        .iter()
        .filter_map(|path| path.file_name())
        .collect();
    assert_eq!(names, ["default.toml", "test.toml", "local.toml"]);
}

/// Whoever mends one mistake should not have to come back for the next.
#[test]
fn every_mistake_is_told_layer_by_layer() {
    let folder = Scratch::new();
    folder.write(
        "default.toml",
        b"[hls]\nidle_s = 0\nwindow_segmets = 6\n\n[storage]\nx = 1\n",
    );
    folder.write("local.toml", b"hls:\n");
    let environment = [
        ("ISOCAST_ENVIRONMENT", "gone"),
        ("ISOCAST__HLS__ENABLED", "yes"),
    ];
    let mistakes = load(&sources(
        folder.path(),
        &environment,
        &["rtmp.play", "log.level=loud"],
    ));
    let told = mistakes.expect_err("all of it is wrong").to_string();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let starts = [
        format!("{}:2: hls.idle_s: 0 is out of range", at("default.toml")),
        format!("{}:3: hls.window_segmets: unknown key", at("default.toml")),
        format!("{}:5: storage: unknown key", at("default.toml")),
        format!("{}: ISOCAST_ENVIRONMENT=gone asks for", at("gone.toml")),
        format!("{}:1: ", at("local.toml")),
        "environment ISOCAST__HLS__ENABLED: ".to_owned(),
        "--set rtmp.play: write it as".to_owned(),
        "--set log.level: \"loud\" does not fit".to_owned(),
    ];
    assert_eq!(told.lines().count(), starts.len(), "{told}");
    for (line, start) in told.lines().zip(starts) {
        assert!(line.starts_with(&start), "{line}\nnot {start}");
    }
}

#[test]
fn keys_that_do_not_go_together_are_all_told() {
    let folder = Scratch::new();
    let set = [
        "listen.rtmp=0.0.0.0:8080",
        "node.drain_delay_s=60",
        "tls.key_file=a",
    ];
    let told = load(&sources(folder.path(), &[], &set))
        .expect_err("three conflicts")
        .to_string();
    let keys: Vec<_> = told
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(
        keys,
        [
            "--set node.drain_delay_s",
            "--set tls.key_file",
            "--set listen.rtmp"
        ],
        "{told}"
    );
}

#[test]
fn a_shared_registry_is_described_whole() {
    const REDIS: &str = "redis.endpoints=redis:6379";
    const ADDRESS: &str = "node.address=node-1";
    let folder = Scratch::new();
    for (set, blamed) in [
        (&[REDIS, ADDRESS][..], None),
        (&[REDIS, ADDRESS, "redis.tls=true", "redis.ca_file=a"], None),
        (&[REDIS, ADDRESS, "redis.key_prefix=live/main:"], None),
        (
            &["redis.endpoints=a:1,b:1", ADDRESS, "redis.mode=cluster"],
            None,
        ),
        (
            &[REDIS, ADDRESS, "redis.mode=sentinel", "redis.master_name=m"],
            None,
        ),
        (&[REDIS], Some("redis.endpoints")),
        (&[REDIS, "node.address=a b"], Some("node.address")),
        (&["redis.endpoints=redis", ADDRESS], Some("redis.endpoints")),
        (
            &["redis.endpoints=a:1,b:1", ADDRESS],
            Some("redis.endpoints"),
        ),
        (&["redis.mode=cluster"], Some("redis.mode")),
        (&[REDIS, ADDRESS, "redis.mode=sentinel"], Some("redis.mode")),
        (&[REDIS, ADDRESS, "redis.mode=other"], Some("redis.mode")),
        (
            &[REDIS, ADDRESS, "redis.master_name=m"],
            Some("redis.master_name"),
        ),
        (&[REDIS, ADDRESS, "redis.user=me"], Some("redis.user")),
        (&[REDIS, ADDRESS, "redis.ca_file=a"], Some("redis.ca_file")),
        (&["redis.key_prefix={a}"], Some("redis.key_prefix")),
        (&["registry.dead_ms=3000"], Some("registry.dead_ms")),
        (&["registry.renew_ms=4000"], Some("registry.renew_ms")),
    ] {
        let told = load(&sources(folder.path(), &[], set)).err();
        let told = told.map(|mistakes| mistakes.to_string());
        let key = told.as_deref().and_then(|line| line.strip_prefix("--set "));
        let key = key.and_then(|line| line.split(':').next());
        assert_eq!(key, blamed, "{set:?}: {told:?}");
    }
}

/// A stronger layer does not hide a mistake below it.
#[test]
fn a_mistake_counts_even_where_a_stronger_layer_sets_the_key() {
    let folder = Scratch::new();
    folder.write("default.toml", b"hls.idle_s = 0\n");
    let line = load(&sources(folder.path(), &[], &["hls.idle_s=20"]))
        .expect_err("0")
        .to_string();
    assert!(line.ends_with("default.toml:1: hls.idle_s: 0 is out of range, it takes a whole number from 10 to 86400"), "{line}");
}

#[test]
fn a_node_without_an_id_takes_the_hosts_name() {
    let folder = Scratch::new();
    for (hostname, set, expected) in [
        (Some("pod-0"), None, "pod-0"),
        (Some("pod-0"), Some("node.id=n1"), "n1"),
        (Some("not a name"), None, "node"),
        (None, None, "node"),
    ] {
        let mut sources = sources(folder.path(), &[], set.as_slice());
        sources.hostname = hostname.map(str::to_owned);
        assert_eq!(load(&sources).expect("good").config.node.id, expected);
    }
}

#[test]
fn the_defaults_pass_their_own_checks() {
    let config = Config::default();
    check::together(&config, &BTreeMap::new()).expect("defaults fit together");
    let keys = schema::keys();
    let table = toml::Table::try_from(&config).expect("plain values");
    for key in &keys {
        let value = match key.path.split_once('.') {
            Some((section, leaf)) => &table[section][leaf],
            None => &table[&key.path],
        };
        let written = match value {
            toml::Value::Integer(number) => Written::Integer(Some((*number).into())),
            toml::Value::Boolean(value) => Written::Boolean(*value),
            toml::Value::String(text) => Written::Text(text.clone()),
            toml::Value::Array(items) => {
                let text = |item: &toml::Value| item.as_str().expect("texts").to_owned();
                Written::List(items.iter().map(text).map(Written::Text).collect())
            }
            other => panic!("{}: {other:?}", key.path),
        };
        assert_eq!(
            check::value(&key.kind, &written).as_ref(),
            Ok(value),
            "{}",
            key.path
        );
    }
}

/// Depth costs no stack.
#[test]
fn deep_files_are_refused() {
    for content in [
        "x = ".to_owned() + &"[".repeat(100_000),
        "x = ".to_owned() + &"{a=".repeat(50_000),
    ] {
        let folder = Scratch::new();
        folder.write("default.toml", content.as_bytes());
        let line = load(&sources(folder.path(), &[], &[]))
            .expect_err("no key")
            .to_string();
        assert!(
            line.contains("default.toml:1: x: ") && !line.contains('\n'),
            "{line}"
        );
    }
}

proptest::proptest! {
    /// Whatever a file holds: an answer, a line for each mistake, without a control character.
    #[test]
    fn any_file_gives_an_answer_of_lines(content in proptest::collection::vec(
        proptest::sample::select(b"[]hlsidle_=\"'\\\n\r\t #.{}1-\xef\xbb\xbf\xff\0".to_vec()), 0..60,
    )) {
        let folder = Scratch::new();
        folder.write("default.toml", &content);
        if let Err(mistakes) = load(&sources(folder.path(), &[], &[])) {
            for line in mistakes.iter().map(ToString::to_string) {
                proptest::prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}

fn sources(folder: &Path, environment: &[(&str, &str)], set: &[&str]) -> Sources {
    Sources {
        config_dir: Some(folder.to_owned()),
        environment: environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        set: set.iter().map(|text| (*text).to_owned()).collect(),
        ..Sources::default()
    }
}
