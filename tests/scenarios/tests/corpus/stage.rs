//! The node that all items meet, and what must stay as it was.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use isocast_harness::{Node, NodeOptions, Room, http};

use super::bytes::Variables;
use super::config::Config;
use super::credentials::Credentials;
use super::http::Http;
use super::item::{Item, On, Step};
use super::link::Link;
use super::rtmp::Rtmp;

/// Refusals by surface and reason.
pub(crate) type Ledger = BTreeMap<(String, String), u64>;

pub(crate) struct Stage {
    pub(crate) node: Node,
    /// The room of each item that needs one, by the item's name.
    rooms: BTreeMap<String, Room>,
    callers: AtomicU32,
    credentials: Credentials,
}

/// Rooms whose viewers need a pass.
const SEALED: [&str; 2] = ["sealed", "other"];

impl Stage {
    /// Starts a node with a room for each item that needs one: rooms are there to stay.
    pub(crate) fn start(items: &[Item]) -> Self {
        // What is left of a stream that ended goes soon, for it is to be seen going.
        let options = NodeOptions::default()
            .set("hub.hold_s", 1)
            .set("hls.idle_s", 10)
            // All items come from one address, and each is to be told what is wrong with its token.
            .set("rate.auth_failures_per_min_max", 0);
        let credentials = Credentials::new();
        let options = credentials.trusted(options);
        let node = options.start();
        for id in SEALED {
            let _ = node.room(id, "signed", "refuse");
        }
        let items = items.iter().filter(|item| item.needs_room()).enumerate();
        let rooms = items.map(|(number, item)| {
            let room = node.public_room(&format!("corpus-{number}"));
            (item.name.clone(), room)
        });
        Self {
            rooms: rooms.collect(),
            node,
            callers: AtomicU32::new(0),
            credentials,
        }
    }

    /// What no log line may show.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let keys = self.rooms.values().map(|room| room.key.clone());
        keys.chain([self.node.token.clone()])
            .chain(self.credentials.secrets())
            .collect()
    }

    pub(crate) fn get(&self, path: &str) -> http::Answer {
        self.node.get(path)
    }

    /// RTMP connections that are open.
    pub(crate) fn connections(&self) -> u64 {
        self.node.metric("isocast_connections{protocol=\"rtmp\"") as u64
    }

    /// Holds an item's conversation; what went wrong with it.
    pub(crate) fn meet(&self, item: &Item) -> Result<(), String> {
        let mut variables = Variables::from([
            ("HOST", self.node.http.to_string()),
            ("TOKEN", self.node.token.clone()),
        ]);
        if let Some(room) = self.rooms.get(&item.name) {
            variables.insert("KEY", room.key.clone());
            variables.insert("ROOM", format!("room_{}", room.id));
        }
        if let Some(pass) = &item.pass {
            self.credentials.add_pass(pass, &mut variables);
        }
        if let Some(jwt) = &item.jwt {
            self.credentials.add_jwt(jwt, &mut variables);
        }
        let link = |to| Link::connect(to, self.caller());
        match item.on {
            On::Rtmp => {
                let mut rtmp = Rtmp::new(link(self.node.rtmp)?, self, &variables);
                follow(&item.steps, &mut |step| rtmp.step(step))
            }
            On::Http => {
                let mut http = Http::new(link(self.node.http)?, &variables);
                follow(&item.steps, &mut |step| http.step(step))?;
                match http.link.all.windows(4).any(|word| word == b"evil") {
                    true => Err("what it was sent is reflected".into()),
                    false => Ok(()),
                }
            }
            On::Config => {
                let mut config = Config::new(&variables);
                follow(&item.steps, &mut |step| config.step(step))
            }
        }
    }

    /// An address that nobody else calls from: all of 127/8 is this machine.
    fn caller(&self) -> Ipv4Addr {
        let number = self.callers.fetch_add(1, Ordering::Relaxed);
        Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number)
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let text = http::get(self.node.internal, "/metrics").text();
        let lines = text.lines().filter_map(|line| {
            let labels = line.strip_prefix("isocast_refusals_total{")?;
            let (labels, count) = labels.split_once("} ")?;
            let label = |name: &str| {
                let (_, value) = labels.split_once(&format!("{name}=\""))?;
                Some(value.split('"').next()?.to_owned())
            };
            Some(((label("surface")?, label("reason")?), count.parse().ok()?))
        });
        lines.collect()
    }
}

fn follow(steps: &[Step], take: &mut dyn FnMut(&Step) -> Result<(), String>) -> Result<(), String> {
    for step in steps {
        match step {
            Step::Repeat(count, steps) => {
                for _ in 0..*count {
                    follow(steps, take)?;
                }
            }
            step => take(step).map_err(|error| format!("{}: {error}", name(step)))?,
        }
    }
    Ok(())
}

/// The step in so few words that a big one does not fill the screen.
fn name(step: &Step) -> String {
    let text = format!("{step:?}");
    text.chars().take(60).collect()
}
