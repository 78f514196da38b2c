//! Where there are no machines: runs the Pods of one namespace as processes, as a kubelet would.
//!
//! Every Pod of a LiveCluster becomes a real node, with the configuration, the environment and the
//! secrets that its Pod names, on a loopback address of its own: what the operator wrote is what the
//! node has to start with. Its ports are the Pod's. Only paths and addresses are told to it again on
//! the command line, for here they are other ones.

mod machine;
mod node;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use isocast_harness::wait;

use crate::Namespace;
use machine::Machine;

/// Runs the Pods of a namespace until it is dropped, and their nodes with it.
#[derive(Debug)]
pub struct Kubelet {
    stop: Arc<AtomicBool>,
    pods: Arc<Mutex<HashMap<String, Running>>>,
    thread: Option<JoinHandle<()>>,
}

/// A node that runs for a Pod.
#[derive(Clone, Debug)]
pub struct Running {
    pub ip: IpAddr,
    /// Of the process.
    pub id: u32,
    /// Its standard output and error, of this start.
    pub log: PathBuf,
}

impl Running {
    /// Where to publish.
    #[must_use]
    pub fn rtmp(&self) -> SocketAddr {
        (self.ip, 1935).into()
    }

    #[must_use]
    pub fn http(&self) -> SocketAddr {
        (self.ip, 8080).into()
    }
}

impl Kubelet {
    /// # Panics
    /// If this is a cluster that was given: it has machines of its own.
    #[must_use]
    pub fn start(namespace: &Namespace) -> Self {
        assert!(namespace.lab.is_ours, "only the lab has no machines");
        let stop = Arc::new(AtomicBool::new(false));
        let pods = Arc::new(Mutex::default());
        let mut machine = Machine::new(namespace, Arc::clone(&pods));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || machine.run(&until));
        Self {
            stop,
            pods,
            thread: Some(thread),
        }
    }

    /// The node that runs for a Pod at present.
    #[must_use]
    pub fn node(&self, pod: &str) -> Option<Running> {
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.get(pod).cloned()
    }

    /// Waits until one runs for the Pod.
    ///
    /// # Panics
    /// If none does in time.
    #[must_use]
    pub fn wait_for_node(&self, pod: &str, seconds: u64) -> Running {
        wait::until(&format!("a node for {pod}"), seconds, || self.node(pod))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        if let Some(Err(_)) = ended
            && !std::thread::panicking()
        {
            panic!("the kubelet has failed: see above");
        }
    }
}
