//! Which cluster it is, and what only the lab can do with it.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use isocast_harness::{repository, run, target_folder};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const CLIENT_NETWORK: &str = "/run/netns/isocast-client";

use crate::api::Proxy;

#[derive(Debug)]
pub struct Lab {
    pub(crate) kubeconfig: PathBuf,
    /// False for a cluster that was given to the tests.
    pub(crate) is_ours: bool,
    /// Those it was begun with.
    nodes: usize,
    pub(crate) proxy: OnceLock<Proxy>,
}

impl Lab {
    /// An API server with etcd and the controllers; Pods are never more than objects.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn api() -> &'static Self {
        static LAB: OnceLock<Lab> = OnceLock::new();
        LAB.get_or_init(|| Self::given().unwrap_or_else(|| Self::up("api", 0)))
    }

    /// A cluster with so many nodes. Needs root. All tests of one process share it, so they all
    /// ask for as many as the one that needs most.
    ///
    /// # Panics
    /// If it does not come up, or if it was begun with fewer nodes.
    pub fn nodes(nodes: usize) -> &'static Self {
        static LAB: OnceLock<Lab> = OnceLock::new();
        let lab = LAB.get_or_init(|| Self::given().unwrap_or_else(|| Self::up("nodes", nodes)));
        assert!(
            lab.nodes >= nodes || !lab.is_ours,
            "an earlier test of this process began the lab with {} nodes, this one needs {nodes}",
            lab.nodes
        );
        lab
    }

    /// For clients that are no programs of the lab.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Gives every node an image, of which Pods must say `imagePullPolicy: Never` or `IfNotPresent`.
    ///
    /// # Panics
    /// If it cannot be imported.
    pub fn image(&self, archive: &Path) {
        if self.is_ours {
            let output = run(script("nodes").arg("image").arg(archive));
            assert_eq!(output.code, Some(0), "{}", output.err);
        }
    }

    /// A program run from where Pods, Services and node ports are reachable, without DNS.
    #[must_use]
    pub fn client(&self, program: &str) -> Command {
        if !self.is_ours {
            return Command::new(program);
        }
        let mut command = script("nodes");
        command.args(["client", program]);
        command
    }

    /// Moves this thread, and all that it begins from now on, to where [`Lab::client`] is.
    ///
    /// # Panics
    /// If it cannot.
    pub fn become_client(&self) {
        if self.is_ours {
            let network = File::open(CLIENT_NETWORK).expect("a lab that is up has it");
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(network.as_fd(), kind).expect("the lab has needed root too");
        }
    }

    fn given() -> Option<Self> {
        let kubeconfig = std::env::var_os("ISOCAST_KUBECONFIG")?;
        Some(Self {
            kubeconfig: kubeconfig.into(),
            is_ours: false,
            nodes: 0,
            proxy: OnceLock::new(),
        })
    }

    /// A static is never dropped: the lab watches this process instead, and ends after it.
    fn up(form: &str, nodes: usize) -> Self {
        let mut command = script(form);
        command.arg("up");
        if nodes > 0 {
            command.arg(nodes.to_string());
        }
        let owner = std::process::id().to_string();
        let output = run(command.args(["--end-with", &owner]));
        assert_eq!(output.code, Some(0), "no lab: {}", output.err);
        Self {
            kubeconfig: output.out.trim().into(),
            is_ours: true,
            nodes,
            proxy: OnceLock::new(),
        }
    }
}

/// The archive of an image of this project: `node` or `operator`.
///
/// # Panics
/// If it was not made.
#[must_use]
pub fn image_archive(name: &str) -> PathBuf {
    let path = target_folder().join(format!("images/isocast-{name}.tar"));
    assert!(
        path.is_file(),
        "{} is not there: run `make images` first",
        path.display()
    );
    path
}

fn script(form: &str) -> Command {
    let mut command = Command::new(repository().join("tests/cluster/lab").join(form));
    command.env("CARGO_TARGET_DIR", target_folder());
    command.env_remove("LAB_RUN");
    command
}
