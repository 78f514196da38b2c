use anyhow::Context;

use super::{Command, Show};
use crate::api::wire::{ChangeRoom, CreateRoom, Kick, PlayUrls, Room, RoomList, RotatedKey};
use crate::cli::desk::Desk;
use crate::cli::{Console, restream, stats as table};
use crate::data::Folder;
use crate::rooms::{PublishKey, RoomId, RoomLimits};

/// Takes each command to the desk, and tells what came of it.
pub(super) struct Clerk<'a, 'c> {
    pub desk: &'a Desk,
    pub folder: &'a Folder,
    pub console: &'a mut Console<'c>,
}

impl Clerk<'_, '_> {
    pub(super) async fn serve(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Create {
                id,
                playback,
                on_conflict,
                limits,
                show,
            } => {
                let new = CreateRoom {
                    id,
                    playback,
                    on_conflict,
                    limits: limits.limits(),
                };
                self.create(new, show).await
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
                self.set(&id, change, json).await
            }
            Command::List { json } => self.list(json).await,
            Command::Delete { id } => self.delete(&id).await,
            Command::Stats { id, json } => self.stats(&id, json).await,
            Command::Kick { id, ban_s } => self.kick(&id, Kick { ban_s }).await,
            Command::RotateKey {
                id,
                overlap_s,
                show,
            } => self.rotate_key(&id, overlap_s, show).await,
            Command::RevokeKeys { id, show } => self.revoke_keys(&id, show).await,
            Command::Restream(command) => restream::obey(self.desk, command, self.console).await,
            Command::PlayUrl {
                id,
                expires_in_s,
                json,
            } => self.play_url(&id, expires_in_s, json).await,
        }
    }

    async fn create(&mut self, new: CreateRoom, show: Show) -> anyhow::Result<()> {
        let created = self.desk.create(new).await?;
        if show.json {
            return self.console.print_json(&created);
        }
        let Room {
            id,
            playback,
            on_conflict,
            ..
        } = &created.room;
        let (playback, on_conflict) = (word(playback), word(on_conflict));
        self.say(&format!(
            "room {id} created (playback {playback}, on conflict {on_conflict})"
        ))?;
        self.hand_out(&created.stream_key, show)
    }

    async fn set(&mut self, id: &RoomId, change: ChangeRoom, json: bool) -> anyhow::Result<()> {
        let room = self.desk.change(id, change).await?;
        if json {
            return self.console.print_json(&room);
        }
        let (playback, on_conflict) = (word(&room.playback), word(&room.on_conflict));
        let limits = of_limits(&room.limits)?;
        self.say(&format!(
            "room {id} changed (playback {playback}, on conflict {on_conflict}{limits})"
        ))
    }

    async fn list(&mut self, json: bool) -> anyhow::Result<()> {
        let rooms = self.desk.list().await?;
        if json {
            return self.console.print_json(&RoomList { rooms, next: None });
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
            self.say(&format!(
                "{id}\t{playback}\t{on_conflict}\tkey {key_generation}"
            ))?;
        }
        Ok(())
    }

    async fn delete(&mut self, id: &RoomId) -> anyhow::Result<()> {
        self.desk.delete(id).await?;
        self.folder.forget_key(id)?;
        self.say(&format!("room {id} deleted"))
    }

    async fn stats(&mut self, id: &RoomId, json: bool) -> anyhow::Result<()> {
        let stats = self.desk.stats(id).await?;
        if json {
            return self.console.print_json(&stats);
        }
        Ok(write!(self.console.out, "{}", table::of(&stats))?)
    }

    async fn kick(&mut self, id: &RoomId, kick: Kick) -> anyhow::Result<()> {
        self.desk.kick(id, kick).await?;
        self.say(&format!("the publisher of room {id} is sent away"))
    }

    async fn rotate_key(&mut self, id: &RoomId, overlap_s: u64, show: Show) -> anyhow::Result<()> {
        let stream_key = self.desk.rotate_key(id, overlap_s).await?;
        let old = match overlap_s {
            0 => "the old one is refused".to_owned(),
            _ => format!("the old one is refused in {overlap_s} seconds"),
        };
        self.replaced(stream_key, &old, show)
    }

    async fn revoke_keys(&mut self, id: &RoomId, show: Show) -> anyhow::Result<()> {
        let stream_key = self.desk.revoke_keys(id).await?;
        self.replaced(stream_key, "every other is refused", show)
    }

    /// Tells that there is a new key and what becomes of others, and hands it out.
    fn replaced(&mut self, stream_key: PublishKey, others: &str, show: Show) -> anyhow::Result<()> {
        let room = stream_key.room();
        // A failure here must not lose the new key, and the old file opens nothing.
        let _ = self.folder.forget_key(room);
        if show.json {
            return self.console.print_json(&RotatedKey { stream_key });
        }
        self.say(&format!("room {room} has a new key; {others}"))?;
        self.hand_out(&stream_key, show)
    }

    async fn play_url(
        &mut self,
        id: &RoomId,
        expires_in_s: Option<u64>,
        json: bool,
    ) -> anyhow::Result<()> {
        let urls = self.desk.play_urls(id, expires_in_s).await?;
        if json {
            return self.console.print_json(&urls);
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
        let mut told = all.into_iter().flatten();
        told.try_for_each(|url| self.say(&url))
    }

    /// Shows the key to whoever asked, or keeps it in a file where output may end up in a log.
    fn hand_out(&mut self, key: &PublishKey, show: Show) -> anyhow::Result<()> {
        if show.show_key || self.console.out_is_terminal {
            return self.say(&format!("stream key (shown once): {}", key.reveal()));
        }
        let room = key.room();
        let path = self.folder.keep_key(room, key.reveal()).with_context(|| {
            format!("the key is lost; make a new one with `isocast-node room rotate-key {room}`")
        })?;
        self.say(&format!("stream key written to {}", path.display()))
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.console.out, "{line}")?)
    }
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
