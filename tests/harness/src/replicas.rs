use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::http;
use crate::nginx::free_address;
use crate::node::{Node, NodeOptions, Room};
use crate::scratch::Scratch;
use crate::wait;

/// What nodes say to each other to be let in.
const TOKEN: &str = "token-of-the-nodes-of-a-test";

/// Equal nodes `node-0`, `node-1` and so on, that know each other. Each has rooms of its own, so a room is made on
/// all of them.
#[derive(Debug)]
pub struct Replicas {
    pub nodes: Vec<Node>,
    _scratch: Scratch,
}

impl Replicas {
    /// # Panics
    /// If they do not find each other.
    #[must_use]
    pub fn start(count: usize, options: &NodeOptions) -> Self {
        let scratch = Scratch::new("replicas");
        let token_file = scratch.file("token");
        std::fs::write(&token_file, TOKEN).expect("the scratch folder is writable");
        std::fs::set_permissions(&token_file, Permissions::from_mode(0o600)).expect("it is ours");
        let ports: Vec<SocketAddr> = (0..count).map(|_| free_address()).collect();
        let list: Vec<String> = ports.iter().map(SocketAddr::to_string).collect();
        let start = |(number, port): (usize, &SocketAddr)| {
            let options = options.clone().set("node.id", name(number));
            let options = options.set("listen.internal", port);
            let options = options.set("peers.token_file", token_file.display());
            options.set("peers.list", list.join(",")).start()
        };
        let nodes: Vec<Node> = ports.iter().enumerate().map(start).collect();
        for node in &nodes {
            wait::until("all nodes known to each other", 20, || {
                let log = node.log();
                let told = log
                    .lines()
                    .filter(|line| line.contains("the peers of this node"));
                let count_of = |line: &str| line.matches("node-").count();
                (told.map(count_of).max() == Some(count - 1)).then_some(())
            });
        }
        Self {
            nodes,
            _scratch: scratch,
        }
    }

    /// A room that everyone may watch, where a newcomer takes over.
    ///
    /// # Panics
    /// If a node refuses it.
    #[must_use]
    pub fn public_room(&self, id: &str) -> Room {
        let room = self.nodes[0].public_room(id);
        let body = json!({"playback": "public", "on_conflict": "takeover", "stream_key": room.key});
        for node in &self.nodes[1..] {
            let token = std::fs::read_to_string(node.data_dir().join("admin-token"));
            let bearer = format!("Bearer {}", token.expect("a node has made one").trim());
            let headers = [
                ("Authorization", bearer.as_str()),
                ("Content-Type", "application/json"),
            ];
            let path = format!("/admin/v1/rooms/{id}");
            let body = body.to_string();
            let put = http::request(node.internal, "PUT", &path, &headers, body.as_bytes());
            assert_eq!(put.status, 200, "{}", put.text());
        }
        room
    }
}

/// The id of a node by its place.
fn name(number: usize) -> String {
    format!("node-{number}")
}
