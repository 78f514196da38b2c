//! `isocast-node room restream …`

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;

use super::Console;
use super::desk::Desk;
use crate::api::restreams::{PutRestreams, PutTarget, Restream, RestreamList};
use crate::data::Secret;
use crate::rooms::RoomId;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send a room's stream to another server as well, or change how that is done
    Set {
        /// Name of the room
        room: RoomId,
        /// Name of the target, unique in its room
        name: String,
        /// `rtmp://HOST[:PORT]/APP` or `rtmps://HOST[:PORT]/APP`
        #[arg(long)]
        url: String,
        /// File with the stream key, `-` for standard input; without one a known target keeps its own
        #[arg(long)]
        key_file: Option<PathBuf>,
        /// Keep the target, but send nothing
        #[arg(long)]
        disabled: bool,
    },
    /// List where a room's stream is also sent, and how that goes
    List {
        /// Name of the room
        room: RoomId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// No longer send a room's stream to a target
    Remove {
        /// Name of the room
        room: RoomId,
        /// Name of the target
        name: String,
    },
}

/// A stream key is at most 512 bytes.
const KEY_BYTES_MAX: u64 = 4096;

pub(super) async fn obey(
    desk: &Desk,
    command: Command,
    console: &mut Console<'_>,
) -> anyhow::Result<()> {
    match command {
        Command::Set {
            room,
            name,
            url,
            key_file,
            disabled,
        } => {
            let target = PutTarget {
                name: name.clone(),
                url,
                stream_key: key_file.as_deref().map(read_key).transpose()?,
                enabled: !disabled,
            };
            let mut targets = unchanged(desk.restreams(&room).await?);
            match targets.iter_mut().find(|known| known.name == name) {
                Some(known) => *known = target,
                None => targets.push(target),
            }
            desk.put_restreams(&room, PutRestreams { targets }).await?;
            Ok(writeln!(console.out, "room {room} is also sent to {name}")?)
        }
        Command::List { room, json } => {
            let targets = desk.restreams(&room).await?;
            if json {
                return console.print_json(&RestreamList { targets });
            }
            for Restream {
                name,
                url,
                enabled,
                state,
                error,
                ..
            } in targets
            {
                let enabled = if enabled { "enabled" } else { "disabled" };
                let error = error.unwrap_or_default();
                writeln!(console.out, "{name}\t{url}\t{enabled}\t{state}\t{error}")?;
            }
            Ok(())
        }
        Command::Remove { room, name } => {
            let mut targets = unchanged(desk.restreams(&room).await?);
            let before = targets.len();
            targets.retain(|target| target.name != name);
            anyhow::ensure!(targets.len() < before, "room {room} has no target {name}");
            desk.put_restreams(&room, PutRestreams { targets }).await?;
            Ok(writeln!(
                console.out,
                "room {room} is no longer sent to {name}"
            )?)
        }
    }
}

/// Targets as they are asked for again, each with the key it has.
fn unchanged(targets: Vec<Restream>) -> Vec<PutTarget> {
    let unchanged = |target: Restream| PutTarget {
        name: target.name,
        url: target.url,
        stream_key: None,
        enabled: target.enabled,
    };
    targets.into_iter().map(unchanged).collect()
}

/// Keys come by a file, for what is on a command line everyone on the machine can see.
fn read_key(path: &Path) -> anyhow::Result<Secret<String>> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin()
            .take(KEY_BYTES_MAX)
            .read_to_string(&mut text),
        false => std::fs::File::open(path)
            .and_then(|file| file.take(KEY_BYTES_MAX).read_to_string(&mut text)),
    };
    read.with_context(|| path.display().to_string())?;
    Ok(Secret::new(text.trim().to_owned()))
}
