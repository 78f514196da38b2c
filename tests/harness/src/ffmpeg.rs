use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Output, Process, run};
use crate::tools::{newest_ffmpeg, tool};

/// One of the two versions that the tests use, as publisher and as player.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    name: &'static str,
    path: PathBuf,
    trusts: Option<PathBuf>,
}

impl Ffmpeg {
    /// The system's.
    #[must_use]
    pub fn debian() -> Self {
        Self {
            name: "debian-ffmpeg",
            path: tool("ffmpeg"),
            trusts: None,
        }
    }

    /// The newest release.
    #[must_use]
    pub fn newest() -> Self {
        Self {
            name: "newest-ffmpeg",
            path: newest_ffmpeg().to_owned(),
            trusts: None,
        }
    }

    /// Trusts this certificate, and no other, for all that it opens: an option reaches a playlist, but not its segments.
    /// Debian's is linked with a library that knows no such variable, and verifies only what it is told to.
    #[must_use]
    pub fn trusting(self, cert_file: &Path) -> Self {
        Self {
            trusts: Some(cert_file.to_owned()),
            ..self
        }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Publishes a clip once, in real time.
    #[must_use]
    pub fn publish(&self, clip: &Path, url: &str, log: &Path) -> Process {
        self.publish_times(clip, 1, url, log)
    }

    /// Publishes a clip again and again, in real time, until it is stopped.
    #[must_use]
    pub fn publish_forever(&self, clip: &Path, url: &str, log: &Path) -> Process {
        self.publish_times(clip, 0, url, log)
    }

    /// Publishes a clip once, in real time. `options` stand before the address.
    #[must_use]
    pub fn publish_with(&self, options: &[&str], clip: &Path, url: &str, log: &Path) -> Process {
        let mut command = self.command();
        command.args(["-re", "-i"]).arg(clip);
        command.args(["-c", "copy", "-f", "flv"]).args(options);
        command.args(["-flvflags", "no_duration_filesize", url]);
        Process::start(&format!("{} publishing", self.name), &mut command, log)
    }

    fn publish_times(&self, clip: &Path, times: i32, url: &str, log: &Path) -> Process {
        let mut command = self.command();
        // `-stream_loop` counts the repetitions; -1 is without end.
        command.args(["-re", "-stream_loop", &(times - 1).to_string(), "-i"]);
        command.arg(clip).args(["-c", "copy", "-f", "flv"]);
        command.args(["-flvflags", "no_duration_filesize", url]);
        Process::start(&format!("{} publishing", self.name), &mut command, log)
    }

    /// Plays to the end into an FLV file, packets as they come. `options` stand before the input.
    #[must_use]
    pub fn record(&self, options: &[&str], url: &str, file: &Path) -> Process {
        self.record_tracks(&[], options, url, file)
    }

    /// The same with all tracks, where [`record`](Self::record) takes one of a kind.
    #[must_use]
    pub fn record_all(&self, options: &[&str], url: &str, file: &Path) -> Process {
        self.record_tracks(&["-map", "0"], options, url, file)
    }

    fn record_tracks(&self, tracks: &[&str], options: &[&str], url: &str, file: &Path) -> Process {
        let mut command = self.command();
        command
            .args(options)
            .args(["-i", url])
            .args(tracks)
            .args(["-c", "copy", "-f", "flv", "-y"])
            .arg(file);
        let name = format!("{} playing {url}", self.name);
        Process::start(&name, &mut command, &file.with_extension("log"))
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        run(self.command().args(arguments))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["-hide_banner", "-nostdin", "-loglevel", "warning"]);
        if let Some(cert_file) = &self.trusts {
            command.env("SSL_CERT_FILE", cert_file);
        }
        command
    }
}
