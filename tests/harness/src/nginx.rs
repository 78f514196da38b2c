use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use crate::process::{Process, Signal};
use crate::scratch::Scratch;
use crate::tools::tool;
use crate::wait;

const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

/// Debian's nginx with its RTMP module: an RTMP server by other authors. Whatever is published to
/// `/live` can be played there.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    scratch: Scratch,
    pub rtmp: SocketAddr,
}

impl Nginx {
    /// Starts on a free port.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn start() -> Self {
        Self::start_at(free_address())
    }

    /// Starts where another one was.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn start_at(rtmp: SocketAddr) -> Self {
        let scratch = Scratch::new("nginx");
        let folder = scratch.path().display();
        let file = scratch.file("nginx.conf");
        let configuration = format!(
            "load_module {MODULE};
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 64; }}
rtmp {{
    access_log off;
    server {{
        listen {rtmp};
        application live {{ live on; wait_key on; idle_streams off; }}
    }}
}}
"
        );
        std::fs::write(&file, configuration).expect("a folder of ours");
        let mut command = Command::new(tool("nginx"));
        command.args(["-e", "stderr", "-c"]).arg(&file);
        let process = Process::start("nginx", &mut command, &scratch.file("nginx.log"));
        wait::until("nginx", 10, || TcpStream::connect(rtmp).ok());
        Self {
            process,
            scratch,
            rtmp,
        }
    }

    /// Ends it at once, in the middle of whatever it does; where it was.
    pub fn kill(mut self) -> SocketAddr {
        self.process.signal(Signal::KILL);
        self.process.wait(10);
        drop(self.scratch);
        self.rtmp
    }

    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.rtmp)
    }
}

pub(crate) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound port")
}
