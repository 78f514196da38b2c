//! A network namespace of the tool's own: the loopback in it carries nobody else's packets, passes
//! no firewall, and TCP does not pace. What a machine is set to (BBR paces every connection by a
//! timer, which costs more than the writes) would be measured otherwise.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::Context;

const CONGESTION_CONTROL: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
/// Run inside the new namespace, in front of what is to run there.
const PREPARE: &str = "ip link set lo up && echo reno > /proc/sys/net/ipv4/tcp_congestion_control";
/// Tells the tool, begun anew, that it is inside.
pub(crate) const INSIDE: &str = "--inside-own-network";

/// Begins this process anew in a namespace of its own, with the same arguments. Returns where that
/// is not allowed or the commands for it are missing.
pub(crate) fn enter() -> anyhow::Result<()> {
    let in_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sh", "-c", script]);
        command
    };
    let mut probe = in_namespace(PREPARE);
    let probed = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !probed.is_ok_and(|status| status.success()) {
        eprintln!("no network namespace of its own (root, unshare and ip are needed for it)");
        return Ok(());
    }
    let this = std::env::current_exe().context("this program has no path")?;
    let mut command = in_namespace(&format!("{PREPARE} && exec \"$0\" \"$@\""));
    command
        .arg(this)
        .args(std::env::args_os().skip(1))
        .arg(INSIDE);
    Err(command.exec()).context("unshare cannot be run")
}

/// The conditions that all connections are made in.
pub(crate) fn description(inside: bool) -> String {
    let tcp = fs::read_to_string(CONGESTION_CONTROL).unwrap_or_default();
    let whose = if inside {
        "a network namespace of its own"
    } else {
        "the machine's network"
    };
    format!("{whose}, TCP {}", tcp.trim())
}
