use std::net::SocketAddr;

use super::{Redis, free_address, listen};
use crate::scratch::Scratch;
use crate::wait;

/// A master and its replica, watched by one Sentinel that puts the replica in the master's place.
#[derive(Debug)]
pub struct RedisSentinel {
    master: Redis,
    replica: Redis,
    sentinel: Redis,
}

impl RedisSentinel {
    /// What the Sentinel calls the master.
    pub const NAME: &str = "isocast";

    /// # Panics
    /// If they do not start, or the replica does not follow.
    #[must_use]
    pub fn start() -> Self {
        let master = Redis::start();
        let replica = replica_of(master.address);
        let sentinel = sentinel_of(master.address);
        let set = Self {
            master,
            replica,
            sentinel,
        };
        wait::until("Sentinel's word that the replica follows", 30, || {
            let replicas = set.sentinel.ask(&["SENTINEL", "REPLICAS", Self::NAME]);
            let follows = replicas.contains("master-link-status\nok");
            follows.then_some(())
        });
        set
    }

    /// Where it is asked for the master.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.sentinel.address
    }

    #[must_use]
    pub fn master(&self) -> &Redis {
        &self.master
    }

    /// The master ends at once; returns when the replica has its place.
    ///
    /// # Panics
    /// If that takes long.
    pub fn fail_over(&mut self) {
        self.master.end();
        wait::until("another master", 30, || {
            let role = self.replica.ask(&["ROLE"]);
            role.starts_with("master").then_some(())
        });
    }
}

fn replica_of(master: SocketAddr) -> Redis {
    let (scratch, address) = (Scratch::new("redis"), free_address());
    let of = format!("replicaof {} {}\n", master.ip(), master.port());
    Redis::launch(scratch, address, &(listen(address) + &of), &[])
}

/// It takes a master for dead after half a second.
fn sentinel_of(master: SocketAddr) -> Redis {
    let (scratch, address) = (Scratch::new("redis"), free_address());
    let name = RedisSentinel::NAME;
    let lines = format!(
        "{}sentinel monitor {name} {} {} 1
sentinel down-after-milliseconds {name} 500
sentinel failover-timeout {name} 3000
",
        listen(address),
        master.ip(),
        master.port()
    );
    Redis::launch_sentinel(scratch, address, &lines)
}
