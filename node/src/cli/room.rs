//! `isocast-node room …`

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::desk::Desk;
use super::limits::LimitFlags;
use super::stats as table;
use super::{Console, Failure, restream};
use crate::api::rooms::OVERLAP_S_MAX;
use crate::api::wire::{
    BAN_S_MAX, ChangeRoom, CreateRoom, Kick, PlayUrls, Room, RoomList, RotatedKey,
};
use crate::config::Config;
use crate::data::Folder;
use crate::rooms::{OnConflict, Playback, PublishKey, RoomId, RoomLimits};

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
    Delete { id: RoomId },
    /// Tell what a live room's publisher sends and its viewers get
    Stats {
        id: RoomId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a room's publisher away
    Kick {
        id: RoomId,
        /// Refuse its key for so many seconds
        #[arg(long, default_value_t, value_parser = clap::value_parser!(u64).range(..=BAN_S_MAX))]
        ban_s: u64,
    },
    /// Replace a room's publish key
    RotateKey {
        id: RoomId,
        /// Seconds for which the old key opens the room too, up to a week
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=OVERLAP_S_MAX))]
        overlap_s: u64,
        #[command(flatten)]
        show: Show,
    },
    /// Replace a room's publish key, end every key there was, and send its publisher away
    RevokeKeys {
        id: RoomId,
        #[command(flatten)]
        show: Show,
    },
    /// Where a room's stream is also sent
    #[command(subcommand)]
    Restream(restream::Command),
    /// Tell where a room is watched; signed where the room asks for that
    PlayUrl {
        id: RoomId,
        /// Seconds until signed addresses expire [default: 3600]
        #[arg(long)]
        expires_in_s: Option<u64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    Ok(runtime.block_on(obey(command, config, console))?)
}

async fn obey(command: Command, config: &Config, console: &mut Console<'_>) -> anyhow::Result<()> {
    let folder = Folder::open(&config.data_dir)?;
    let token = folder.api_token(&config.api.token_file);
    for path in folder.exposed(&[token.path()]) {
        writeln!(
            console.err,
            "warning: every user of this machine can read {}",
            path.display()
        )?;
    }
    let desk = Desk::open(&folder, &token).await?;
    let done = at(&desk, command, &folder, console).await;
    desk.close().await;
    done
}

async fn at(
    desk: &Desk,
    command: Command,
    folder: &Folder,
    console: &mut Console<'_>,
) -> anyhow::Result<()> {
    match command {
        Command::Create {
            id,
            playback,
            on_conflict,
            limits,
            show,
        } => {
            let created = desk
                .create(CreateRoom {
                    id,
                    playback,
                    on_conflict,
                    limits: limits.limits(),
                })
                .await?;
            if show.json {
                return print_json(console, &created);
            }
            let Room {
                id,
                playback,
                on_conflict,
                ..
            } = &created.room;
            writeln!(
                console.out,
                "room {id} created (playback {}, on conflict {})",
                word(playback),
                word(on_conflict)
            )?;
            hand_out(&created.stream_key, show, folder, console)
        }
        Command::Set {
            id,
            playback,
            on_conflict,
            limits,
            json,
        } => {
            let change = ChangeRoom {
                playback,
                on_conflict,
                limits: limits.change(),
            };
            let room = desk.change(&id, change).await?;
            if json {
                return print_json(console, &room);
            }
            writeln!(
                console.out,
                "room {id} changed (playback {}, on conflict {}{})",
                word(&room.playback),
                word(&room.on_conflict),
                of_limits(&room.limits)?
            )?;
            Ok(())
        }
        Command::List { json } => {
            let rooms = desk.list().await?;
            if json {
                return print_json(console, &RoomList { rooms, next: None });
            }
            for Room {
                id,
                playback,
                on_conflict,
                key_generation,
                ..
            } in rooms
            {
                let (playback, on_conflict) = (word(&playback), word(&on_conflict));
                writeln!(
                    console.out,
                    "{id}\t{playback}\t{on_conflict}\tkey {key_generation}"
                )?;
            }
            Ok(())
        }
        Command::Restream(command) => restream::obey(desk, command, console).await,
        Command::Delete { id } => {
            desk.delete(&id).await?;
            folder.forget_key(&id)?;
            Ok(writeln!(console.out, "room {id} deleted")?)
        }
        Command::Stats { id, json } => {
            let stats = desk.stats(&id).await?;
            if json {
                return print_json(console, &stats);
            }
            Ok(write!(console.out, "{}", table::of(&stats))?)
        }
        Command::Kick { id, ban_s } => {
            desk.kick(&id, Kick { ban_s }).await?;
            Ok(writeln!(
                console.out,
                "the publisher of room {id} is sent away"
            )?)
        }
        Command::RotateKey {
            id,
            overlap_s,
            show,
        } => {
            let stream_key = desk.rotate_key(&id, overlap_s).await?;
            let line = match overlap_s {
                0 => format!("room {id} has a new key; the old one is refused"),
                _ => format!(
                    "room {id} has a new key; the old one is refused in {overlap_s} seconds"
                ),
            };
            replaced(stream_key, &line, show, folder, console)
        }
        Command::RevokeKeys { id, show } => {
            let stream_key = desk.revoke_keys(&id).await?;
            let line = format!("room {id} has a new key; every other is refused");
            replaced(stream_key, &line, show, folder, console)
        }
        Command::PlayUrl {
            id,
            expires_in_s,
            json,
        } => {
            let urls = desk.play_urls(&id, expires_in_s).await?;
            if json {
                return print_json(console, &urls);
            }
            let PlayUrls {
                hls_url,
                flv_url,
                ws_flv_url,
                rtmp_url,
                watch_url,
                expires_at_ms: _,
            } = urls;
            let all = [Some(watch_url), hls_url, flv_url, ws_flv_url, rtmp_url];
            for url in all.into_iter().flatten() {
                writeln!(console.out, "{url}")?;
            }
            Ok(())
        }
    }
}

/// Tells that there is a new key, and hands it out.
fn replaced(
    stream_key: PublishKey,
    line: &str,
    show: Show,
    folder: &Folder,
    console: &mut Console<'_>,
) -> anyhow::Result<()> {
    // A failure here must not lose the new key, and the old file opens nothing.
    let _ = folder.forget_key(stream_key.room());
    if show.json {
        return print_json(console, &RotatedKey { stream_key });
    }
    writeln!(console.out, "{line}")?;
    hand_out(&stream_key, show, folder, console)
}

/// Shows the key to whoever asked, or keeps it in a file where output may end up in a log.
fn hand_out(
    key: &PublishKey,
    show: Show,
    folder: &Folder,
    console: &mut Console<'_>,
) -> anyhow::Result<()> {
    if show.show_key || console.out_is_terminal {
        writeln!(console.out, "stream key (shown once): {}", key.reveal())?;
        return Ok(());
    }
    let room = key.room();
    let path = folder.keep_key(room, key.reveal()).with_context(|| {
        format!("the key is lost; make a new one with `isocast-node room rotate-key {room}`")
    })?;
    writeln!(console.out, "stream key written to {}", path.display())?;
    Ok(())
}

pub(super) fn print_json(console: &mut Console<'_>, value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value).context("no JSON form")?;
    Ok(writeln!(console.out, "{text}")?)
}

/// Empty where there are none.
fn of_limits(limits: &RoomLimits) -> anyhow::Result<String> {
    if limits.is_empty() {
        return Ok(String::new());
    }
    let limits = serde_json::to_string(limits).context("no JSON form")?;
    Ok(format!(", limits {limits}"))
}

/// The word that the command line itself takes for a value.
fn word(value: &impl clap::ValueEnum) -> String {
    value
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}
