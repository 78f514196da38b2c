//! What people do to a server that runs, and what goes wrong: with real pods, seen from outside.

use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

use isocast_cluster::{Condition, Lab, Namespace, PATIENCE_S, reached, url, wait_for_objects};
use isocast_harness::{
    Clip, Ffmpeg, Peer, Reply, Scratch, Signal, http, repository, run, tool, wait,
};
use isocast_media::rtmp::CallerEvent;
use serde_json::{Value, json};

const CLUSTER: &str = "livecluster/live";

/// A cluster with the operator, for all tests of this file.
fn lab() -> &'static Lab {
    static OPERATOR: Once = Once::new();
    let lab = Lab::nodes(2);
    lab.become_client();
    OPERATOR.call_once(|| lab.install_operator());
    lab
}

/// A namespace with the LiveCluster `live`.
fn server(name: &str, spec: &str) -> Namespace {
    let namespace = lab().namespace(name).restricted();
    serve(&namespace, spec);
    namespace
}

/// Makes the LiveCluster `live`, reached by node ports, and what else its spec says.
fn serve(namespace: &Namespace, spec: &str) {
    namespace.apply(&format!(
        "{{apiVersion: isocast.dev/v1alpha1, kind: LiveCluster, metadata: {{name: live}}, \
         spec: {{image: isocast.local/node:dev, expose: {{service: {{type: NodePort}}}}, {spec}}}}}"
    ));
}

/// Changes the spec of `live`.
fn change(namespace: &Namespace, spec: &str) {
    let patch = format!(r#"{{"spec": {spec}}}"#);
    namespace.kubectl(&["patch", CLUSTER, "--type=merge", "-p", &patch]);
}

#[test]
fn a_key_is_changed_while_the_pod_runs_on() {
    const ROOM: &str = "liveroom/concert";
    let keys = server("keys", "");
    let example = repository().join("examples/own-key.yaml");
    let example = std::fs::read_to_string(example).expect("there is an example");
    keys.wait_until_ready(CLUSTER);
    keys.apply(&example);
    let message = keys.wait_for_reason(ROOM, "KeyReady", "KeyMalformed");
    assert!(message.contains("concert-key"), "{message}");

    let [first, second] = ["1", "2"].map(|digit| format!("room_concert_key_{}", digit.repeat(64)));
    let put = |key: &str| {
        let patch = format!(r#"{{"stringData": {{"stream-key": "{key}"}}}}"#);
        keys.kubectl(&["patch", "secret", "concert-key", "-p", &patch]);
    };
    put(&first);
    let server = reached(&url(&keys.wait_until_ready(ROOM), "publish"));
    assert!(publishes(server, &first));
    assert!(!publishes(server, &second));

    let pod = keys.pod_identity("live-0");
    let began = Instant::now();
    put(&second);
    wait::until("the new key opens the room", 10, || {
        publishes(server, &second).then_some(())
    });
    println!("a changed key is in force after {:?}", began.elapsed());
    let refusal = Peer::publish(server, &first).expect_refusal(10);
    assert_eq!(refusal.0, "NetStream.Publish.BadName", "{}", refusal.1);
    assert_eq!(keys.pod_identity("live-0"), pod, "the pod was replaced");
    let room = keys.wait_until_ready(ROOM);
    assert_eq!(room["status"]["key"]["generation"], 2, "{}", room["status"]);
    assert!(
        !room.to_string().contains(&second),
        "the key is in the object"
    );
}

/// Whether the key opens its room; who it let in leaves at once.
fn publishes(to: std::net::SocketAddr, key: &str) -> bool {
    let mut encoder = Peer::publish(to, key);
    let reply = encoder.next(10);
    encoder.close();
    reply == Reply::Event(CallerEvent::Started)
}

#[test]
fn what_is_open_to_the_outside_is_closed_and_opened_while_the_pod_runs_on() {
    let open = server("open", "");
    open.wait_until_ready(CLUSTER);
    let pod = open.pod_identity("live-0");
    let expose = |type_: &str, is_inside: bool| {
        let service = format!(r#"{{"expose": {{"service": {{"type": "{type_}"}}}}}}"#);
        change(&open, &service);
        open.wait_for("the other address", PATIENCE_S, &[CLUSTER], |is| {
            let url = is["status"]["urls"]["http"].as_str();
            url.is_some_and(|url| url.contains(".svc:") == is_inside)
        })
    };
    expose("ClusterIP", true);
    let is = expose("NodePort", false);
    let page = http::get(reached(&url(&is, "http")), "/");
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(open.pod_identity("live-0"), pod, "the pod was replaced");
}

#[test]
fn with_a_volume_a_room_of_the_api_outlives_the_pod() {
    let rooms = lab().namespace("volume").restricted();
    let empty = rooms.objects();
    serve(&rooms, "volume: {size: 1Gi}");
    let is = rooms.wait_until_ready(CLUSTER);
    assert_eq!(Condition::of(&is, "RoomsEphemeral").status, "False");
    let http = url(&is, "http");
    let bearer = format!("Bearer {}", rooms.secret("live-api-token", "token"));
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
    ];
    let body = br#"{"id": "kept", "playback": "public"}"#;
    let made = http::request(reached(&http), "POST", "/api/v1/rooms", &headers, body);
    assert_eq!(made.status, 201, "{}", made.text());

    another_pod(&rooms, || {
        rooms.kubectl(&["delete", "pod", "live-0"]);
    });
    let kept = http::request(reached(&http), "GET", "/api/v1/rooms/kept", &headers, b"");
    assert_eq!(kept.status, 200, "{}", kept.text());
    let key = made.json()["stream_key"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let publish = reached(&url(&rooms.wait_until_ready(CLUSTER), "rtmp"));
    assert!(publishes(publish, &key));

    let claim = rooms
        .get_json(&["pvc/data-live-0"])
        .expect("the pod's claim");
    let volume = claim["spec"]["volumeName"].as_str().expect("it is bound");
    rooms.kubectl(&["delete", CLUSTER]);
    wait_for_objects(&empty, 2 * PATIENCE_S, || rooms.objects());
    rooms.wait_for("a released volume", PATIENCE_S, &["pv", volume], |volume| {
        volume["status"]["phase"] == "Released"
    });
}

/// Waits until a pod serves that was not there before; what it then is.
fn another_pod(namespace: &Namespace, go: impl FnOnce()) -> Value {
    let (before, _) = namespace.pod_identity("live-0");
    let began = Instant::now();
    go();
    let pod = namespace.wait_for("another pod", PATIENCE_S, &["pod/live-0"], |pod| {
        pod["metadata"]["uid"] != *before && Condition::of(pod, "Ready").status == "True"
    });
    println!(
        "{}: another pod after {:?}",
        namespace.name,
        began.elapsed()
    );
    pod
}

#[test]
fn what_keeps_a_pod_from_running_is_told_and_can_be_put_right() {
    let wrong = server(
        "wrong",
        "podOverrides: {env: [{name: ISOCAST__HUB__HOLD_S, value: soon}]}",
    );
    let message = wrong.wait_for_reason(CLUSTER, "Ready", "NodeEnds");
    println!("{message}");
    assert!(
        message.contains("hold_s") || message.contains("HOLD_S"),
        "{message}"
    );
    change(&wrong, r#"{"podOverrides": null}"#);
    wrong.wait_until_ready(CLUSTER);

    change(&wrong, r#"{"image": "isocast.local/node:none"}"#);
    let message = wrong.wait_for_reason(CLUSTER, "Ready", "ImagePullFailed");
    println!("{message}");
    assert!(message.contains("isocast.local/node:none"), "{message}");
    let warnings = [
        "get",
        "events",
        "--field-selector=type=Warning,involvedObject.kind=LiveCluster",
    ];
    let told = wait::within(Duration::from_secs(5), || {
        wrong
            .kubectl(&warnings)
            .contains("ImagePullFailed")
            .then_some(())
    });
    assert!(told.is_some(), "no event");
    change(&wrong, r#"{"image": "isocast.local/node:dev"}"#);
    wrong.wait_until_ready(CLUSTER);
}

#[test]
fn a_machine_is_drained_and_the_room_is_served_from_the_other() {
    let drained = server("drained", "podOverrides: {labels: {test: drained}}");
    drained.apply(
        "{apiVersion: isocast.dev/v1alpha1, kind: LiveRoom, metadata: {name: show}, \
         spec: {clusterRef: {name: live}}}",
    );
    drained.wait_until_ready("liveroom/show");
    let key = drained.secret("show-stream-key", "stream-key");
    let pod = drained.get_json(&["pod/live-0"]).expect("it is ready");
    let machine = pod["spec"]["nodeName"]
        .as_str()
        .expect("it runs")
        .to_owned();
    let other = another_pod(&drained, || {
        // Other tests' pods stay where they are.
        let own = "--pod-selector=test=drained";
        drained
            .lab
            .kubectl(&["drain", &machine, "--delete-emptydir-data", own]);
    });
    drained.lab.kubectl(&["uncordon", &machine]);
    assert_ne!(other["spec"]["nodeName"], *machine);
    let publishing = wait::within(Duration::from_secs(PATIENCE_S), || {
        let room = drained.wait_until_ready("liveroom/show");
        publishes(reached(&url(&room, "publish")), &key).then_some(())
    });
    assert!(publishing.is_some());
}

#[test]
fn a_certificate_makes_rtmps_and_is_renewed_while_a_stream_goes_on() {
    let secure = server("secure", "");
    secure.apply(
        "{apiVersion: isocast.dev/v1alpha1, kind: LiveRoom, metadata: {name: show}, \
         spec: {clusterRef: {name: live}}}",
    );
    secure.wait_until_ready("liveroom/show");
    let pod = secure.pod_identity("live-0");
    change(
        &secure,
        r#"{"expose": {"tls": {"secretName": "live-tls"}}}"#,
    );
    let message = secure.wait_for_reason(CLUSTER, "Ready", "InvalidSpec");
    assert!(message.contains("live-tls"), "{message}");
    assert_eq!(secure.pod_identity("live-0"), pod, "the pod was replaced");

    let scratch = Scratch::new("certificates");
    let first = certificate(&scratch, "first");
    another_pod(&secure, || put_certificate(&secure, &first));
    let is = secure.wait_until_ready(CLUSTER);
    let rtmps = url(&is, "rtmps");
    let server = reached(&rtmps);
    assert_eq!(presented(server), first.fingerprint);

    let key = secure.secret("show-stream-key", "stream-key");
    let clip = Clip::AudioVideo.path();
    let log = scratch.file("publish.log");
    let mut encoder = Ffmpeg::debian().publish_forever(&clip, &format!("{rtmps}/{key}"), &log);
    secure.wait_for("a live room", PATIENCE_S, &["liveroom/show"], |room| {
        Condition::of(room, "Live").status == "True"
    });
    is_watched_by_a_signed_link_only(&secure, reached(&url(&is, "http")));

    let pod = secure.pod_identity("live-0");
    let second = certificate(&scratch, "second");
    let began = Instant::now();
    put_certificate(&secure, &second);
    wait::until("the renewed certificate", PATIENCE_S, || {
        (presented(server) == second.fingerprint).then_some(())
    });
    println!(
        "a renewed certificate is in force after {:?}",
        began.elapsed()
    );
    assert!(encoder.is_running(), "{}", encoder.log());
    assert_eq!(secure.pod_identity("live-0"), pod, "the pod was replaced");
    encoder.signal(Signal::TERM);
    encoder.wait(PATIENCE_S);
}

fn is_watched_by_a_signed_link_only(namespace: &Namespace, http: std::net::SocketAddr) {
    let unsigned = http::get(http, "/hls/room_show/index.m3u8");
    assert_eq!(unsigned.status, 403, "{}", unsigned.text());
    let bearer = format!("Bearer {}", namespace.secret("live-api-token", "token"));
    let headers = [("Authorization", &*bearer)];
    let link = http::request(
        http,
        "GET",
        "/api/v1/rooms/show/live/play-url",
        &headers,
        b"",
    );
    assert_eq!(link.status, 200, "{}", link.text());
    let link = link.json();
    let path = link["hls_url"]
        .as_str()
        .and_then(|url| url.find("/v/").map(|at| &url[at..]));
    let path = path.unwrap_or_else(|| panic!("no signed link in {link}"));
    wait::until("the signed playlist", PATIENCE_S, || {
        (http::get(http, path).status == 200).then_some(())
    });
}

struct Certificate {
    files: [String; 2],
    fingerprint: String,
}

/// A certificate of its own authority, and its key.
fn certificate(scratch: &Scratch, name: &str) -> Certificate {
    let files = ["crt", "key"].map(|end| scratch.file(&format!("{name}.{end}")));
    let files = files.map(|file| file.to_string_lossy().into_owned());
    let [certificate, key] = &files;
    let made = run(Command::new(tool("openssl")).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=live.example.com",
        "-keyout",
        key,
        "-out",
        certificate,
    ]));
    assert_eq!(made.code, Some(0), "{}", made.err);
    let shown = run(Command::new(tool("openssl")).args([
        "x509",
        "-in",
        certificate,
        "-noout",
        "-fingerprint",
        "-sha256",
    ]));
    Certificate {
        fingerprint: shown.out.trim().to_owned(),
        files,
    }
}

/// Puts it in the Secret `live-tls`, as `kubectl create secret tls` does.
fn put_certificate(namespace: &Namespace, certificate: &Certificate) {
    let [crt, key] = certificate.files.each_ref().map(|file| {
        let text = std::fs::read_to_string(file).expect("openssl wrote it");
        Value::String(text)
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "live-tls"}, "stringData": {"tls.crt": crt, "tls.key": key},
    });
    namespace.apply(&secret.to_string());
}

/// The fingerprint of the certificate that is shown to newcomers.
fn presented(server: std::net::SocketAddr) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!(
        "openssl s_client -connect {server} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"
    )]);
    run(&mut shell).out.trim().to_owned()
}
