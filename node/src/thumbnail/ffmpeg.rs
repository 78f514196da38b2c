use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use isocast_media::codec;
use isocast_media::{Frame, Kind};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, kill_process_group, prlimit, setpriority_process,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::elementary::File;

/// A picture 640 wide is some 50 KB.
const JPEG_BYTES_MAX: u64 = 512 << 10;
/// Above all that a node's own work has.
const NICE: i32 = 19;
/// Where a program is looked for that is given by its name alone.
const FOLDERS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// What is larger is not decoded. In the most costly format, 4:4:4 with 10 bits, ffmpeg takes some 125 MB for a
/// picture of this size.
const PIXELS_MAX: u64 = 4096 * 2304;
/// Of one piece of memory that the decoder may ask for, and of all its memory together.
const ALLOC_BYTES_MAX: u64 = 128 << 20;
const DATA_BYTES_MAX: u64 = 192 << 20;
/// The first to be killed where memory runs out (proc(5)).
const OOM_SCORE_ADJ: &str = "1000";

/// The program's path, where there is such a file.
pub(super) fn find(program: &Path) -> Option<PathBuf> {
    let is_name = program.components().count() == 1 && program.is_relative();
    let paths = match is_name {
        true => FOLDERS
            .map(|folder| Path::new(folder).join(program))
            .to_vec(),
        false => vec![program.to_owned()],
    };
    paths.into_iter().find(|path| path.is_file())
}

/// Whether the last of these frames says that it is larger than what is decoded. What it does not say, the
/// decoder finds out.
pub(super) fn is_too_large(frames: &[Frame]) -> bool {
    let Some(key) = frames.last() else {
        return false;
    };
    let config = frames.iter().find(|frame| frame.kind == Kind::Config);
    let config = config.map(|frame| frame.data.as_ref());
    let picture = codec::picture(key.codec, config, Some(&key.data));
    picture.is_some_and(|it| u64::from(it.size.0) * u64::from(it.size.1) > PIXELS_MAX)
}

/// The last of these frames as a JPEG; `None` where it cannot be had.
pub(super) async fn jpeg(program: &Path, frames: &[Frame]) -> Option<Bytes> {
    match run(program, frames).await {
        Ok(jpeg) => jpeg,
        Err(error) => {
            tracing::debug!(%error, program = %program.display(), "no thumbnail");
            None
        }
    }
}

async fn run(program: &Path, frames: &[Frame]) -> io::Result<Option<Bytes>> {
    let Some(file) = File::of(frames) else {
        return Ok(None);
    };
    let mut running = Running::start(program, file.format)?;
    let (stdin, stdout) = (running.child.stdin.take(), running.child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // Who has seen enough closes its end early.
            let _ = stdin.write_all(&file.bytes).await;
        }
    };
    let read = async {
        let mut jpeg = Vec::new();
        if let Some(stdout) = stdout {
            let mut bounded = stdout.take(JPEG_BYTES_MAX + 1);
            bounded.read_to_end(&mut jpeg).await?;
        }
        io::Result::Ok(jpeg)
    };
    let ((), jpeg) = tokio::join!(write, read);
    let jpeg = jpeg?;
    // What has said more than it may is killed with `running`, and not waited for.
    if jpeg.len() as u64 > JPEG_BYTES_MAX {
        return Ok(None);
    }
    let done = running.child.wait().await?;
    Ok((done.success() && is_jpeg(&jpeg)).then(|| jpeg.into()))
}

/// SOI and EOI (ISO/IEC 10918-1 §B.1.1.3).
fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8]) && bytes.ends_with(&[0xFF, 0xD9])
}

/// The program and all that it may start, killed when this goes.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn start(program: &Path, format: &str) -> io::Result<Self> {
        let child = Command::new(program)
            .args(["-hide_banner", "-nostdin", "-loglevel", "quiet"])
            .args(["-max_alloc", &ALLOC_BYTES_MAX.to_string()])
            .args(["-protocol_whitelist", "pipe"])
            .args(["-threads", "1", "-max_pixels", &PIXELS_MAX.to_string()])
            .args(["-f", format, "-i", "pipe:0", "-an", "-sn", "-dn"])
            .args(["-vf", "scale=w='min(640,iw)':h=-2", "-frames:v", "1"])
            .args(["-threads", "1", "-c:v", "mjpeg", "-q:v", "5"])
            .args(["-f", "image2pipe", "pipe:1"])
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let group = id.and_then(Pid::from_raw);
        if let Some(pid) = group {
            restrain(pid);
        }
        Ok(Self { child, group })
    }
}

/// Bounds what it takes of the machine, before it has got a byte to decode. Where a system does not allow that, the
/// bounds of ffmpeg's own are left.
fn restrain(pid: Pid) {
    let _ = setpriority_process(Some(pid), NICE);
    let data = Rlimit {
        current: Some(DATA_BYTES_MAX),
        maximum: Some(DATA_BYTES_MAX),
    };
    let _ = prlimit(Some(pid), Resource::Data, data);
    let path = format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero());
    let _ = std::fs::write(path, OOM_SCORE_ADJ);
}

impl Drop for Running {
    fn drop(&mut self) {
        // A group whose leader was waited for may be another's by now.
        if let (Some(group), Ok(None)) = (self.group, self.child.try_wait()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
