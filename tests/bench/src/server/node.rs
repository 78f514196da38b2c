//! This project's node, alone and with its defaults; only ports and data folder are its own.

use std::process::Command;

use anyhow::{Context, bail};
use isocast_media::rtmp::Call;
use isocast_media::rtmp::session::Role;
use serde::Deserialize;

use super::process::{Folder, Process, Ready};
use super::{Place, Running, Server, free_ports};
use crate::cores;
use crate::proc::Subject;
use crate::scenario::{Case, Protocol};
use crate::viewer::Play;

const APP: &str = "live";
const ROOM: &str = "bench";

/// What `room create --json` prints, as far as it matters here.
#[derive(Deserialize)]
struct Created {
    stream_key: String,
}

pub(super) async fn start(case: &Case, place: &Place) -> anyhow::Result<Server> {
    let folder = Folder::new()?;
    let data = folder.path().join("data");
    let mut room = Command::new(&place.node);
    room.args([
        "room",
        "create",
        ROOM,
        "--playback",
        "public",
        "--json",
        "--data-dir",
    ])
    .arg(&data);
    let created = create(room).context("the room could not be made")?;

    let [rtmp, http, internal] = free_ports()?;
    let mut command = cores::command_on(cores::SERVER, &place.node);
    command.arg("--data-dir").arg(&data);
    for (key, address) in [("rtmp", rtmp), ("http", http), ("internal", internal)] {
        command.arg("--set").arg(format!("listen.{key}={address}"));
    }
    let process = Process::start(command, folder, Ready::Says(internal)).await?;
    let call = |name, role| Call {
        tc_url: format!("rtmp://{rtmp}/{APP}"),
        app: APP.into(),
        name,
        role,
    };
    let (play_at, play) = match case.protocol {
        Protocol::Rtmp => (rtmp, Play::Rtmp(call(format!("room_{ROOM}"), Role::Play))),
        Protocol::HttpFlv => {
            let path = format!("/flv/room_{ROOM}.flv");
            (http, Play::HttpFlv { path })
        }
    };
    Ok(Server {
        subject: Subject::Tree(process.id()),
        publish: Some((rtmp, call(created.stream_key, Role::Publish))),
        play_at,
        play,
        _running: Running::Process { _process: process },
    })
}

fn create(mut room: Command) -> anyhow::Result<Created> {
    let output = room.output().context("the node cannot be run")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("the node's answer is not what is read here")
}
