use std::net::SocketAddr;
use std::process::Command;

use super::{Redis, free_address, listen};
use crate::process::run;
use crate::scratch::Scratch;
use crate::tools::tool;
use crate::wait;

/// Three masters that share the keys, without replicas.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: [Redis; 3],
}

impl RedisCluster {
    /// # Panics
    /// If they do not start, or do not come together.
    #[must_use]
    pub fn start() -> Self {
        let nodes = [(); 3].map(|()| node());
        let mut create = Command::new(tool("redis-cli"));
        create.args(["--cluster", "create"]);
        create.args(nodes.each_ref().map(|node| node.address.to_string()));
        let created = run(create.arg("--cluster-yes"));
        assert_eq!(created.code, Some(0), "{}{}", created.out, created.err);
        for node in &nodes {
            wait::until("a cluster", 20, || {
                let info = node.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok").then_some(())
            });
        }
        Self { nodes }
    }

    /// Where it can be asked for all of them.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.nodes[0].address
    }

    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }
}

fn node() -> Redis {
    let (scratch, address) = (Scratch::new("redis"), free_address());
    let lines = format!(
        "{}cluster-enabled yes\ncluster-port {}\ncluster-node-timeout 2000\n",
        listen(address),
        free_address().port()
    );
    Redis::launch(scratch, address, &lines, &[])
}
