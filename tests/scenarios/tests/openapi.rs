//! The API as its OpenAPI document says, with requests made of the document itself.

use std::process::Command;

use isocast_harness::{Clip, Ffmpeg, Node, Process, repository, wait};

const DEADLINE_S: u64 = 150;
/// Faults of the server, statuses and shapes that the document does not have.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Sends what schemathesis makes of the document.
fn try_out(node: &Node, name: &str, options: &[&str]) {
    let program = repository().join(".tools/venv/bin/schemathesis");
    assert!(
        program.is_file(),
        "schemathesis is missing: run `make tools`"
    );
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(node.http_url("/api/v1/openapi.json"))
        .args(["-H", &format!("Authorization: Bearer {}", node.token)])
        .args(["-c", CHECKS, "--generation-deterministic", "--no-color"])
        .args(options);
    let log = node.file(&format!("{name}.log"));
    command.current_dir(log.parent().expect("a file is in a folder"));
    let mut tried = Process::start("schemathesis", &mut command, &log);
    tried.wait_for_success(DEADLINE_S);
    println!("{}", tried.log());
}

#[test]
fn answers_are_those_of_the_document() {
    let node = Node::start();
    // The document's examples name it.
    let room = node.public_room("show");
    let (clip, log) = (Clip::AudioVideo.path(), node.file("publisher.log"));
    let _publisher = Ffmpeg::debian().publish_forever(&clip, &node.publish_url(&room), &log);
    wait::until("a measured GOP", 20, || {
        let stats = node.operator("GET", "/api/v1/rooms/show/stats", b"");
        (stats.status == 200 && stats.json()["video"]["gop_ms"].is_number()).then_some(())
    });
    // First what a live room answers, then everything, which deletes it.
    try_out(
        &node,
        "live",
        &["--include-method", "GET", "--phases", "examples"],
    );
    assert_eq!(
        node.get("/api/v1/live/show").status,
        200,
        "it is still live"
    );
    try_out(&node, "all", &["--max-time", "45"]);
    let log = node.stop();
    assert!(!log.contains("panicked"), "{log}");
}
