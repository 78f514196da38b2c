//! One run: start the server, publish, let the viewers join, measure, stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::percentiles::Percentiles;
use crate::proc::{self, Subject};
use crate::publisher::Publisher;
use crate::report::Run;
use crate::scenario::Case;
use crate::server::{Place, Server};
use crate::stream::{GOP, Stream};
use crate::viewer::Viewer;
use crate::window::Window;

/// From the publisher's start to the first viewer.
const WARM_UP: Duration = Duration::from_secs(1);
/// A server without a GOP cache lets a viewer wait for up to a GOP.
const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(10);
/// Between the last viewer's first frame and the measurement.
const SETTLE: Duration = Duration::from_millis(500);
/// For the last measured frames to arrive.
const DRAIN: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);

/// A run is marked where other processes took this much of a core, …
const OTHERS_CORES_MAX: f64 = 0.5;
/// … or where the tool was itself so busy that it measured its own delay.
const TOOL_CORES_MAX: f64 = 0.9;

pub(crate) async fn run(
    case: &Case,
    place: &Place,
    seconds: u64,
    repeat: u32,
) -> anyhow::Result<Run> {
    let clock = Clock::start();
    let window = Arc::new(Window::new());
    let server = case.server.start(case, place, clock, &window).await?;
    let mut publishing = publish(case, &server, clock, &window).await?;
    let mut audience = Audience::join(case, &server, clock, &window).await?;
    sleep(SETTLE).await;

    window.open(clock.now_ns());
    let before = Usage::now(server.subject, clock, &window)?;
    sleep(Duration::from_secs(seconds)).await;
    window.close(clock.now_ns());
    let after = Usage::now(server.subject, clock, &window)?;
    let rss_bytes = server.subject.rss_bytes()?;
    sleep(DRAIN).await;

    if let Some(ended) = publishing.try_join_next() {
        ended.context("the publisher broke down")??;
    }
    audience.tasks.abort_all();
    drop(server);
    let usage = after.since(&before);
    let (latency, received) = audience.latency();
    let viewers = case.scenario.viewers;
    let expected = window.sent() * viewers as u64;
    Ok(Run {
        scenario: case.scenario.name,
        server: case.server,
        protocol: case.protocol,
        repeat,
        viewers,
        seconds: usage.elapsed_s,
        delivered_bytes: usage.read_bytes,
        cpu_s: usage.server_s,
        cpu_s_per_gb: usage.server_s * 1e9 / usage.read_bytes.max(1) as f64,
        latency,
        first_frame: match case.server.has_publisher() {
            true => audience.first_frame(),
            false => None,
        },
        frames_expected: expected,
        frames_lost: expected.saturating_sub(received),
        viewers_lost: audience.lost(),
        rss_bytes,
        tool_cores: usage.tool_s / usage.elapsed_s,
        others_cores: usage.others_s / usage.elapsed_s,
        disturbed: disturbance(&usage),
    })
}

async fn publish(
    case: &Case,
    server: &Server,
    clock: Clock,
    window: &Arc<Window>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut publishing = JoinSet::new();
    if let Some((at, call)) = &server.publish {
        let publisher = Publisher::connect(*at, call.clone())
            .await
            .context("the publisher")?;
        let stream = Stream::new(case.scenario.bits_per_second);
        publishing.spawn(publisher.send(stream, clock, Arc::clone(window)));
        sleep(WARM_UP).await;
    }
    Ok(publishing)
}

/// All viewers of a run.
struct Audience {
    viewers: Vec<Viewer>,
    tasks: JoinSet<()>,
}

impl Audience {
    /// Lets the viewers join one after another, spread evenly over a GOP, so that every moment of it
    /// counts alike in the time to the first frame; and waits until all have a picture.
    async fn join(
        case: &Case,
        server: &Server,
        clock: Clock,
        window: &Arc<Window>,
    ) -> anyhow::Result<Self> {
        let count = case.scenario.viewers;
        let mut audience = Self {
            viewers: Vec::with_capacity(count),
            tasks: JoinSet::new(),
        };
        let start = Instant::now();
        for index in 0..count {
            if server.publish.is_some() {
                tokio::time::sleep_until(start + GOP * index as u32 / count as u32).await;
            }
            let viewer = Viewer::new(clock, Arc::clone(window));
            audience.viewers.push(viewer.clone());
            audience
                .tasks
                .spawn(viewer.watch(index, server.play_at, server.play.clone()));
        }
        audience.all_have_a_picture().await?;
        Ok(audience)
    }

    async fn all_have_a_picture(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + FIRST_FRAME_WITHIN;
        for (index, viewer) in self.viewers.iter().enumerate() {
            while viewer.record().first_frame_us.is_none() {
                if let Some(reason) = &viewer.record().ended {
                    bail!("viewer {index}: {reason}");
                }
                if Instant::now() > deadline {
                    bail!("viewer {index} got no picture");
                }
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Of all measured messages, and how many of them arrived.
    fn latency(&self) -> (Option<Percentiles>, u64) {
        let mut all = Vec::new();
        for viewer in &self.viewers {
            all.append(&mut viewer.record().latencies_us);
        }
        (Percentiles::of_us(&mut all), all.len() as u64)
    }

    fn first_frame(&self) -> Option<Percentiles> {
        let first = self
            .viewers
            .iter()
            .filter_map(|viewer| viewer.record().first_frame_us);
        Percentiles::of_us(&mut first.collect::<Vec<_>>())
    }

    /// Viewers whose connection broke.
    fn lost(&self) -> usize {
        self.viewers
            .iter()
            .filter(|viewer| viewer.record().ended.is_some())
            .count()
    }
}

/// Who used how much, up to a moment or between two.
#[derive(Clone, Copy, Debug)]
struct Usage {
    elapsed_s: f64,
    server_s: f64,
    tool_s: f64,
    others_s: f64,
    read_bytes: u64,
}

impl Usage {
    fn now(server: Subject, clock: Clock, window: &Window) -> anyhow::Result<Self> {
        let (server_s, own_s) = (server.cpu_s()?, proc::own_cpu_s()?);
        let tool_s = match server {
            Subject::Tree(_) => own_s,
            Subject::Thread(_) => own_s - server_s,
        };
        Ok(Self {
            elapsed_s: clock.now_ns() as f64 / 1e9,
            server_s,
            tool_s,
            others_s: proc::machine_cpu_s()? - server_s - tool_s,
            read_bytes: window.read_bytes(),
        })
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            elapsed_s: self.elapsed_s - before.elapsed_s,
            server_s: self.server_s - before.server_s,
            tool_s: self.tool_s - before.tool_s,
            others_s: (self.others_s - before.others_s).max(0.0),
            read_bytes: self.read_bytes - before.read_bytes,
        }
    }
}

fn disturbance(usage: &Usage) -> Option<String> {
    let others = usage.others_s / usage.elapsed_s;
    let tool = usage.tool_s / usage.elapsed_s;
    if others > OTHERS_CORES_MAX {
        return Some(format!("other processes used {others:.2} cores"));
    }
    (tool > TOOL_CORES_MAX).then(|| format!("the tool used {tool:.2} cores"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_marked_where_others_or_the_tool_were_too_busy() {
        for (tool_s, others_s, marked) in [
            (1.0, 1.0, false),
            (9.0, 5.0, false),
            (9.1, 0.0, true),
            (1.0, 5.1, true),
        ] {
            let usage = Usage {
                elapsed_s: 10.0,
                server_s: 1.0,
                tool_s,
                others_s,
                read_bytes: 1,
            };
            assert_eq!(disturbance(&usage).is_some(), marked, "{tool_s} {others_s}");
        }
    }
}
