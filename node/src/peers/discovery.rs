//! Who the peers are: addresses from the configuration, from DNS and from the registry, and the node behind each,
//! which is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use isocast_claims::{NodeId, Owner};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Client;
use super::srv::LookUp;
use super::{Credential, Known, Peer};
use crate::data::random;
use crate::outbound::{Dialler, HostPort};
use crate::registry::Node;

/// How often it is looked who is there, and how often while an address has not said yet who it is.
const LOOK_EVERY: Duration = Duration::from_secs(4);
const LOOK_SOON: Duration = Duration::from_secs(1);
/// For all name servers together.
const DNS_WITHIN: Duration = Duration::from_secs(3);
/// Whatever DNS says: a cluster of ours is far smaller.
const ADDRESSES_MAX: usize = 256;
/// Introductions under way at once.
const ASKED_AT_ONCE: usize = 16;

/// Where peers may be.
#[derive(Debug)]
pub(super) struct Sources {
    pub list: Vec<HostPort>,
    /// A Service's name, and who is asked for its pods.
    pub service: Option<(String, Box<dyn LookUp>)>,
    /// What nodes say of themselves in the registry.
    pub registered: watch::Receiver<Arc<[(NodeId, Node)]>>,
}

#[derive(Debug)]
pub(super) struct Discovery {
    pub me: Owner,
    pub sources: Sources,
    pub credential: Credential,
    pub dialler: Arc<Dialler>,
    pub known: watch::Sender<Arc<Known>>,
    pub tasks: TaskTracker,
}

/// Where peers have been looked for.
#[derive(Debug, Default)]
struct Places {
    by_address: BTreeMap<HostPort, Place>,
    /// What DNS has said last.
    of_service: Vec<HostPort>,
}

/// An address, and who has answered there last.
#[derive(Debug)]
struct Place {
    client: Client,
    owner: Option<Owner>,
}

impl Discovery {
    /// Looks again and again, until `stop`; then nobody is known, and the connections end.
    pub(super) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.look_again_and_again()).await;
        self.known.send_replace(Arc::default());
    }

    async fn look_again_and_again(&self) {
        let mut places = Places::default();
        let mut registered = self.sources.registered.clone();
        loop {
            registered.mark_unchanged();
            self.look(&mut places).await;
            let is_new = places.by_address.values().any(|it| it.owner.is_none());
            let rest = sleep(jittered(if is_new { LOOK_SOON } else { LOOK_EVERY }));
            tokio::select! {
                () = rest => {}
                // Entries change with their load as well.
                () = newcomer(&mut registered, &places) => {}
            }
        }
    }

    /// Asks DNS where peers are, and at each address who is there.
    async fn look(&self, places: &mut Places) {
        if let Some((service, dns)) = &self.sources.service {
            match ask_dns(&**dns, service).await {
                Ok(pods) => places.of_service = pods,
                Err(error) => {
                    tracing::debug!(service, error, "DNS names no peers; those of before stay");
                }
            }
        }
        let registered = self.sources.registered.borrow().clone();
        let registered = registered
            .iter()
            .filter_map(|(_, node)| internal_port(node));
        let named = self.sources.list.iter().chain(&places.of_service).cloned();
        let all = named.chain(registered);
        let addresses: BTreeSet<_> = all.take(ADDRESSES_MAX).collect();
        let places = &mut places.by_address;
        places.retain(|at, _| addresses.contains(at));
        for at in addresses {
            places.entry(at).or_insert_with_key(|at| Place {
                client: Client::new(
                    at.clone(),
                    self.credential.clone(),
                    Arc::clone(&self.dialler),
                    self.tasks.clone(),
                ),
                owner: None,
            });
        }
        let clients: Vec<_> = places.values().map(|it| it.client.clone()).collect();
        let mut introduced = stream::iter(clients)
            .map(|client| async move { (client.introduce().await, client) })
            .buffer_unordered(ASKED_AT_ONCE);
        while let Some((introduced, client)) = introduced.next().await {
            match (introduced, places.get_mut(client.at())) {
                (Ok(owner), Some(place)) => place.owner = Some(owner),
                (Err(error), _) => tracing::debug!(at = %client.at(), %error, "no introduction"),
                (Ok(_), None) => {}
            }
        }
        self.tell(known(&self.me, places.values()));
    }

    fn tell(&self, known: Known) {
        self.known.send_if_modified(|before| {
            let is_same = before.len() == known.len()
                && before.iter().zip(&known).all(|((one, was), (other, is))| {
                    one == other && was.owner == is.owner && was.client.at() == is.client.at()
                });
            if is_same {
                return false;
            }
            let names: Vec<_> = known.keys().map(NodeId::as_str).collect();
            tracing::info!(peers = names.join(" "), "the peers of this node");
            *before = Arc::new(known);
            true
        });
    }
}

/// Each node once, though it has several addresses, and never this one. Of two lives of a node the later one.
fn known<'p>(me: &Owner, places: impl Iterator<Item = &'p Place>) -> Known {
    let mut known = Known::new();
    for place in places {
        let Some(owner) = place.owner.as_ref().filter(|owner| owner.node != me.node) else {
            continue;
        };
        let older = known.get(&owner.node).map(|peer: &Peer| &peer.owner);
        if older.is_none_or(|older| older.incarnation < owner.incarnation) {
            let peer = Peer {
                owner: owner.clone(),
                client: place.client.clone(),
            };
            known.insert(owner.node.clone(), peer);
        }
    }
    known
}

/// Where the registry says that a node is; `None` where that is no host.
fn internal_port(node: &Node) -> Option<HostPort> {
    HostPort::new(&node.address, node.ports.internal)
}

/// Returns when the registry names an address that was not looked at yet.
async fn newcomer(registered: &mut watch::Receiver<Arc<[(NodeId, Node)]>>, places: &Places) {
    let is_new = |nodes: &Arc<[(NodeId, Node)]>| {
        let known = &places.by_address;
        let mut addresses = nodes.iter().filter_map(|(_, node)| internal_port(node));
        known.len() < ADDRESSES_MAX && addresses.any(|at| !known.contains_key(&at))
    };
    if registered.wait_for(is_new).await.is_err() {
        // The node is ending.
        std::future::pending::<()>().await;
    }
}

async fn ask_dns(dns: &dyn LookUp, service: &str) -> Result<Vec<HostPort>, String> {
    let pods = timeout(DNS_WITHIN, dns.look_up(service)).await;
    let pods = pods.unwrap_or_else(|_| Err("no answer in time".to_owned()))?;
    match pods.is_empty() {
        true => Err("no pods".to_owned()),
        false => Ok(pods),
    }
}

/// So that nodes that start together do not ask together for ever: three to five quarters of it.
fn jittered(every: Duration) -> Duration {
    let chance = f64::from(random::bytes::<1>()[0]) / 256.0;
    every.mul_f64(0.75 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use isocast_claims::Incarnation;
    use prometheus_client::metrics::family::Family;

    use super::super::tests::{TOKEN, node};
    use super::*;
    use crate::config;
    use crate::data::scratch::Scratch;
    use crate::outbound::{Rules, Trust};
    use crate::registry::{Capabilities, Load, Nodes, Ports, Status};

    /// Answers each of these once, and then no more.
    #[derive(Debug)]
    struct Answers(Vec<Vec<HostPort>>, AtomicUsize);

    impl LookUp for Answers {
        fn look_up<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<HostPort>, String>> {
            let asked = self.1.fetch_add(1, Ordering::Relaxed);
            let answer = self.0.get(asked).cloned();
            std::future::ready(answer.ok_or_else(|| "no answer".to_owned())).boxed()
        }
    }

    fn owner(node: &str, incarnation: u64) -> Owner {
        Owner {
            node: NodeId::parse(node).unwrap(),
            incarnation: Incarnation(incarnation),
        }
    }

    fn discovery(list: Vec<HostPort>, answers: Vec<Vec<HostPort>>) -> Discovery {
        let scratch = Scratch::new();
        scratch.write("token", TOKEN.as_bytes());
        let config = config::Peers {
            token_file: scratch.path().join("token"),
            ..Default::default()
        };
        let trust = Trust::new(Path::new("")).unwrap();
        let dialler = Dialler::new(Rules::default(), trust, Family::default());
        let dns: Box<dyn LookUp> = Box::new(Answers(answers, AtomicUsize::new(0)));
        Discovery {
            me: owner("me", 1),
            sources: Sources {
                list,
                service: Some(("nodes".into(), dns)),
                registered: Nodes::default().watch(),
            },
            credential: Credential::read(&config).unwrap().unwrap(),
            dialler: Arc::new(dialler),
            known: watch::Sender::default(),
            tasks: TaskTracker::new(),
        }
    }

    #[tokio::test]
    async fn peers_are_who_is_listed_and_who_dns_has_named_last() {
        let (one, other) = (node("node-1", vec![]).await, node("node-2", vec![]).await);
        let me = node("me", vec![]).await;
        let at = |node: &crate::api::tests::Node| -> HostPort {
            node.internal.to_string().parse().unwrap()
        };
        // Twice under different names, this node itself, and nobody.
        let nobody: HostPort = "127.0.0.1:1".parse().unwrap();
        let again: HostPort = format!("localhost:{}", one.internal.port())
            .parse()
            .unwrap();
        let first = vec![at(&other), at(&me), again, nobody];
        let discovery = discovery(vec![at(&one)], vec![first, vec![at(&me)]]);
        let names = || -> Vec<String> {
            let known = discovery.known.borrow();
            known.keys().map(ToString::to_string).collect()
        };
        let mut places = Places::default();
        discovery.look(&mut places).await;
        assert_eq!(names(), ["node-1", "node-2"]);
        assert_eq!(places.by_address.len(), 5);
        discovery.look(&mut places).await;
        assert_eq!(names(), ["node-1"], "who is named no more is gone");
        assert_eq!(places.by_address.len(), 2, "and its connection");
        discovery.look(&mut places).await;
        assert_eq!(names(), ["node-1"], "without an answer the last one counts");
        assert_eq!(places.by_address.len(), 2);
    }

    /// What the registry has of a node.
    fn entry(node: &crate::api::tests::Node) -> (NodeId, Node) {
        let entry = Node {
            address: node.internal.ip().to_string(),
            incarnation: 1,
            started_at: 1,
            status: Status::Online,
            load: Load {
                cpu: 0.0,
                memory: 0.0,
                egress: 0.0,
                streams: 0,
                viewers: 0,
            },
            zone: String::new(),
            capabilities: Capabilities {
                can_publish: true,
                can_subscribe: true,
                max_streams: 1,
            },
            ports: Ports {
                rtmp: 1,
                http: 1,
                internal: node.internal.port(),
                relay: None,
            },
        };
        // Under another's name: who it is, it says itself.
        (NodeId::parse("said").unwrap(), entry)
    }

    #[tokio::test]
    async fn whoever_the_registry_names_is_asked_at_once() {
        let (one, nodes) = (node("node-1", vec![]).await, Nodes::default());
        let mut discovery = discovery(vec![], vec![]);
        discovery.sources.registered = nodes.watch();
        let mut known = discovery.known.subscribe();
        let stop = CancellationToken::new();
        let running = tokio::spawn(discovery.run(stop.clone()));
        let mut broken = entry(&one);
        broken.1.address = "no host".into();
        nodes.heard(vec![broken, entry(&one)]);
        let found = known.wait_for(|known| known.keys().map(NodeId::as_str).eq(["node-1"]));
        let found = timeout(LOOK_SOON.mul_f64(0.7), found).await.is_ok();
        assert!(found, "before it would have looked again");
        stop.cancel();
        running.await.unwrap();
        assert!(known.borrow_and_update().is_empty());
    }

    #[tokio::test]
    async fn the_later_life_of_a_node_counts() {
        let discovery = discovery(vec![], vec![]);
        let place = |at: &str, owner: Option<Owner>| Place {
            client: Client::new(
                at.parse().unwrap(),
                discovery.credential.clone(),
                Arc::clone(&discovery.dialler),
                TaskTracker::new(),
            ),
            owner,
        };
        let places = [
            place("a:1", Some(owner("node-1", 5))),
            place("b:1", Some(owner("node-1", 7))),
            place("c:1", Some(owner("node-1", 6))),
            place("d:1", Some(owner("me", 9))),
            place("e:1", None),
        ];
        let known = known(&discovery.me, places.iter());
        let [peer] = &known.values().collect::<Vec<_>>()[..] else {
            panic!("{known:?}");
        };
        assert_eq!(peer.owner, owner("node-1", 7));
        assert_eq!(peer.client.at().to_string(), "b:1");
    }
}
