//! How much of what it may use this node uses, and what it stops doing as that runs out.
//!
//! Pressure is the highest share of a limit: of memory, or of bytes sent a second. Never of
//! processor time: that is short for a moment and late for a while, and refusing a viewer for it
//! would be wrong by the time it is said. What is carried already is carried at every level.

mod cpu;
mod egress;
mod give_back;
mod ladder;
mod memory;
mod open_files;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use cpu::Cpu;
pub(crate) use ladder::Level;
pub(crate) use open_files::{places, raise_open_files};

use crate::app::App;
use crate::config;
use crate::error::Refusal;
use crate::metrics::KindLabel;
use crate::sync::Mutex;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// While it sheds, this part of all viewers goes each second, so that what their going frees is
/// seen before more go: a tenth is gone after ten seconds.
const SHED_PART: usize = 100;
/// Who is not this far behind holds no memory of its own. In milliseconds of media.
const HOLDS_MEMORY_MS: i64 = 1000;

/// What the whole node asks before it takes more on.
#[derive(Debug, Default)]
pub(crate) struct Load(Mutex<Now>);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Now {
    pub level: Level,
    /// Shares of their limits; 0 where there is no limit.
    pub memory: f64,
    pub egress: f64,
}

impl Load {
    pub(crate) fn now(&self) -> Now {
        *self.0.lock()
    }

    pub(crate) fn check_new_viewer(&self) -> Result<(), Refusal> {
        refuse_from(Level::NoNewViewers, self.now().level)
    }

    pub(crate) fn check_new_publisher(&self) -> Result<(), Refusal> {
        refuse_from(Level::NoNewPublishers, self.now().level)
    }

    /// What follows from these shares; the level before.
    fn update(&self, memory: f64, egress: f64) -> (Now, Level) {
        let mut now = self.0.lock();
        let before = now.level;
        *now = Now {
            level: ladder::ladder(memory.max(egress), before),
            memory,
            egress,
        };
        (*now, before)
    }
}

fn refuse_from(level: Level, now: Level) -> Result<(), Refusal> {
    if now < level {
        Ok(())
    } else {
        Err(Refusal::Overloaded)
    }
}

/// Looks at what is used and acts on it, until the listeners close.
pub(crate) async fn watch(app: Arc<App>) {
    let config::Limits {
        memory_bytes_max,
        egress_bytes_per_s_max,
        ..
    } = app.config.limits;
    let memory = memory::Memory::new(memory_bytes_max);
    let mut egress = egress::Egress::new(egress_bytes_per_s_max);
    let mut give_back = give_back::GiveBack::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = app.stop.listeners_closing();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let mut used = memory.ratio();
        if give_back.is_due(used, app.hub.streams().len(), Instant::now()) {
            // It does not fail; what it came to is read anew.
            let _ = spawn_blocking(isocast_allocator::give_back_free_pages).await;
            used = memory.ratio();
        }
        let sent = app.metrics.egress_bytes.get();
        act(&app, used, egress.ratio(sent, Instant::now()));
    }
}

fn act(app: &App, memory: f64, egress: f64) {
    let (now, before) = app.load.update(memory, egress);
    for (kind, ratio) in [("memory", memory), ("egress", egress)] {
        let label = KindLabel { kind };
        app.metrics.pressure_ratio.get_or_create(&label).set(ratio);
    }
    app.metrics.overload_level.set(now.level as i64);
    if now.level != before {
        let level = now.level.label();
        let (memory, egress) = (percent(memory), percent(egress));
        if now.level > before {
            tracing::warn!(level, memory, egress, "this node nears a limit");
        } else {
            tracing::info!(level, memory, egress, "this node has room again");
        }
    }
    if now.level >= Level::Shedding {
        shed(app, now);
    }
}

/// Where memory is short only those go who hold some; where the network is, anyone's going helps.
fn shed(app: &App, now: Now) {
    let behind_ms = if now.egress >= now.memory {
        0
    } else {
        HOLDS_MEMORY_MS
    };
    let count = app.viewers_total().div_ceil(SHED_PART);
    let gone = app.hub.shed(count, behind_ms);
    for _ in 0..gone {
        app.metrics.refused("viewer", "shed");
    }
    if gone > 0 {
        tracing::debug!(gone, "viewers who were furthest behind were sent away");
    }
}

fn percent(ratio: f64) -> String {
    format!("{:.0} %", ratio * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::Node;
    use crate::delivery::{Credential, joinable};
    use crate::hub::{Protocol, Source};
    use crate::registry::Claim;
    use crate::rooms::RoomId;

    #[tokio::test]
    async fn new_viewers_are_refused_first_and_publishers_last() {
        let node = Node::start().await;
        let app = &node.app;
        let room = RoomId::parse("open").unwrap();
        let claim = Claim::of(room.clone(), 1);
        let (publisher, stream) = app
            .hub
            .publish(claim, Source::anyone(), Instant::now())
            .unwrap();
        let viewer = stream.subscribe(Protocol::Rtmp);
        for (memory, egress, viewers, publishers) in [
            (0.0, 0.0, true, true),
            (0.79, 0.0, true, true),
            (0.8, 0.0, false, true),
            (0.0, 0.9, false, true),
            (0.95, 0.1, false, false),
            (0.92, 0.0, false, false),
            (0.89, 0.0, false, true),
            (0.1, 0.76, false, true),
            (0.1, 0.1, true, true),
        ] {
            act(app, memory, egress);
            let watch = joinable(app, &room, &Credential::default()).await.err();
            let refused = |taken: bool| (!taken).then_some(Refusal::Overloaded);
            assert_eq!(watch, refused(viewers), "{memory} {egress}");
            let publish = app.load.check_new_publisher().err();
            assert_eq!(publish, refused(publishers), "{memory} {egress}");
        }
        assert!(!publisher.revocation().has_come());
        assert!(!viewer.hangup().is_cancelled(), "it was never behind");
        assert_eq!(app.metrics.overload_level.get(), 0);
    }

    #[tokio::test]
    async fn a_part_of_all_viewers_goes_whatever_they_watch_by() {
        let node = Node::start().await;
        let app = &node.app;
        let (_publisher, stream) = crate::api::tests::publish(&node);
        let channel = app.packager.follow(&stream).unwrap();
        for viewer in 0..2 * SHED_PART as u32 {
            let client = std::net::IpAddr::from(viewer.to_be_bytes());
            channel.note_viewer(client, b"", true, Instant::now());
        }
        let mut viewers = [(); 5].map(|()| stream.subscribe(Protocol::Rtmp));
        for viewer in &mut viewers {
            let joined = tokio::time::timeout(Duration::from_secs(10), viewer.next()).await;
            assert!(joined.is_ok());
        }
        act(app, 0.0, 0.92);
        let is_gone = |viewer: &&crate::hub::Subscriber| viewer.hangup().is_cancelled();
        assert_eq!(viewers.iter().filter(is_gone).count(), 3);
    }
}
