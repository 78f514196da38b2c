//! `isocast-node room …`

mod clerk;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::desk::Desk;
use super::limits::LimitFlags;
use super::{Console, Failure, restream};
use crate::api::rooms::OVERLAP_S_MAX;
use crate::api::wire::BAN_S_MAX;
use crate::config::{Config, one_line};
use crate::data::Folder;
use crate::rooms::{OnConflict, Playback, RoomId, RoomLimitsChange};
use clerk::Clerk;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a room and its publish key
    Create {
        /// Name of the room; without one it is random
        id: Option<RoomId>,
        /// Who may watch
        #[arg(long, value_enum, default_value_t)]
        playback: Playback,
        /// What happens to a publisher whose room is already live
        #[arg(long, value_enum, default_value_t)]
        on_conflict: OnConflict,
        #[command(flatten)]
        limits: LimitFlags,
        #[command(flatten)]
        show: Show,
    },
    /// Change a room; what no flag names stays as it is
    Set {
        /// Name of the room
        id: RoomId,
        /// Who may watch
        #[arg(long, value_enum)]
        playback: Option<Playback>,
        /// What happens to a publisher whose room is already live
        #[arg(long, value_enum)]
        on_conflict: Option<OnConflict>,
        #[command(flatten)]
        limits: LimitFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all rooms
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a room
    Delete {
        /// Name of the room
        id: RoomId,
    },
    /// Tell what a live room's publisher sends and its viewers get
    Stats {
        /// Name of the room
        id: RoomId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a room's publisher away
    Kick {
        /// Name of the room
        id: RoomId,
        /// Refuse its key for so many seconds, or any minted one where it came with such a key
        #[arg(long, default_value_t, value_parser = clap::value_parser!(u64).range(..=BAN_S_MAX))]
        ban_s: u64,
    },
    /// Replace a room's publish key
    RotateKey {
        /// Name of the room
        id: RoomId,
        /// Seconds for which the old key opens the room too, up to a week
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=OVERLAP_S_MAX))]
        overlap_s: u64,
        #[command(flatten)]
        show: Show,
    },
    /// Replace a room's publish key, end every key there was, and send its publisher away
    RevokeKeys {
        /// Name of the room
        id: RoomId,
        #[command(flatten)]
        show: Show,
    },
    /// Where a room's stream is also sent
    #[command(subcommand)]
    Restream(restream::Command),
    /// Tell where a room is watched; signed where the room asks for that
    PlayUrl {
        /// Name of the room
        id: RoomId,
        /// Seconds until signed addresses expire [default: 3600]
        #[arg(long)]
        expires_in_s: Option<u64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    fn changes_nothing(&self) -> bool {
        let Self::Set {
            playback: None,
            on_conflict: None,
            limits,
            ..
        } = self
        else {
            return false;
        };
        limits.clone().change() == RoomLimitsChange::default()
    }
}

/// How a new publish key is handed out. It is told once.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Show {
    /// Print JSON, with the publish key
    #[arg(long)]
    json: bool,
    /// Print the publish key even where standard output is no terminal
    #[arg(long)]
    show_key: bool,
}

pub(super) fn run(
    command: Command,
    config: &Config,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if command.changes_nothing() {
        let text = "nothing is to change; `isocast-node room set --help` lists what can";
        return Err(Failure::Usage(text.to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    Ok(runtime.block_on(obey(command, config, console))?)
}

async fn obey(command: Command, config: &Config, console: &mut Console<'_>) -> anyhow::Result<()> {
    let is_new = !config.data_dir.exists();
    let folder = Folder::open(&config.data_dir)?;
    if is_new {
        // Most likely a node runs elsewhere, and was meant.
        let path = std::path::absolute(&config.data_dir)?;
        let text = "is new: no node has run on it; another one is named by --data-dir";
        let line = format!("warning: the data folder {} {text}", path.display());
        writeln!(console.err, "{}", one_line(&line))?;
    }
    let token = folder.api_token(&config.api.token_file);
    for path in folder.exposed(&[token.path()]) {
        writeln!(
            console.err,
            "warning: every user of this machine can read {}",
            path.display()
        )?;
    }
    let desk = Desk::open(config, &folder, &token).await?;
    let mut clerk = Clerk {
        desk: &desk,
        folder: &folder,
        console,
    };
    let done = clerk.serve(command).await;
    desk.close().await;
    done
}
