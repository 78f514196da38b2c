//! nginx with the RTMP module, as Debian packs it: a master and one worker, everything else as it
//! comes. It has no GOP cache.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use isocast_media::rtmp::Call;
use isocast_media::rtmp::session::Role;

use super::process::{Folder, Process, Ready};
use super::{Place, Running, Server, free_ports};
use crate::cores;
use crate::proc::Subject;
use crate::viewer::Play;

const APP: &str = "live";
const NAME: &str = "bench";

pub(super) async fn start(place: &Place) -> anyhow::Result<Server> {
    let folder = Folder::new()?;
    let [rtmp] = free_ports()?;
    let file = folder.path().join("nginx.conf");
    std::fs::write(
        &file,
        configuration(&place.nginx_module, folder.path(), rtmp),
    )
    .context("nginx's configuration cannot be written")?;
    let mut command = cores::command_on(cores::SERVER, &place.nginx);
    command.arg("-e").arg("stderr").arg("-c").arg(&file);
    let process = Process::start(command, folder, Ready::Accepts(rtmp)).await?;
    let call = |role| Call {
        tc_url: format!("rtmp://{rtmp}/{APP}"),
        app: APP.into(),
        name: NAME.into(),
        role,
    };
    Ok(Server {
        subject: Subject::Tree(process.id()),
        publish: Some((rtmp, call(Role::Publish))),
        play_at: rtmp,
        play: Play::Rtmp(call(Role::Play)),
        _running: Running::Process { _process: process },
    })
}

fn configuration(module: &Path, folder: &Path, rtmp: SocketAddr) -> String {
    let (module, folder) = (module.display(), folder.display());
    format!(
        "load_module {module};
daemon off;
master_process on;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
rtmp {{
    access_log off;
    server {{
        listen {rtmp};
        application {APP} {{ live on; }}
    }}
}}
"
    )
}
