//! What this node says of itself to the others, again and again, and what it hears of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;
use crate::load;
use crate::metrics::StateLabel;
use crate::registry::{Capabilities, Directory, Load, Node, Ports, Status, Unavailable, nodes};

/// Beats until the listeners close, and then takes this node's entry away.
pub(super) async fn beat(app: Arc<App>, ports: Ports) {
    let mut heart = Heart {
        cpu: load::Cpu::new(),
        ports,
        last: None,
    };
    let mut ticks = interval(Duration::from_millis(app.config.registry.renew_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = app.stop.listeners_closing();
    let mut is_told = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // The others need not wait for the next one to send nobody here.
            () = app.stop.draining(), if !is_told => is_told = true,
            () = stop.cancelled() => break,
        }
        // That the registry does not answer is told by what keeps the connection.
        let _ = heart.beat(&app).await;
    }
    heart.stop(&app).await;
}

struct Heart {
    cpu: load::Cpu,
    ports: Ports,
    /// This node's entry as it lies there.
    last: Option<String>,
}

impl Heart {
    async fn beat(&mut self, app: &App) -> Result<(), Unavailable> {
        let entry = self.entry(app);
        let entry = serde_json::to_string(&entry).map_err(|error| Unavailable(error.into()))?;
        let me = &app.ownership.me().node;
        self.last = Some(app.registry.stamp(&Directory::Nodes, me, entry).await?);
        let heard = nodes(&*app.registry, app.config.registry.dead_ms).await?;
        app.metrics.registry_corrupt.inc_by(heard.corrupt);
        for status in Status::ALL {
            let is_so = |(_, node): &&(_, Node)| node.status == status;
            let count = heard.entries.iter().filter(is_so).count();
            let state = status.label();
            let gauge = app.metrics.nodes.get_or_create_owned(&StateLabel { state });
            gauge.set(count as i64);
        }
        app.nodes.heard(heard.entries);
        Ok(())
    }

    fn entry(&mut self, app: &App) -> Node {
        let load = app.load.now();
        let is_draining = app.stop.is_draining();
        let incarnation = app.ownership.me().incarnation.0;
        Node {
            address: app.config.node.address.clone(),
            incarnation,
            started_at: incarnation,
            status: match is_draining {
                true => Status::Draining,
                false => Status::Online,
            },
            load: Load {
                cpu: self.cpu.share(),
                memory: load.memory,
                egress: load.egress,
                streams: app.hub.streams().len() as u64,
                viewers: app.viewers_total() as u64,
            },
            zone: app.config.node.zone.clone(),
            capabilities: Capabilities {
                can_publish: !is_draining && app.load.check_new_publisher().is_ok(),
                can_subscribe: !is_draining && app.load.check_new_viewer().is_ok(),
                max_streams: app.config.limits.streams_max as u64,
            },
            ports: self.ports,
        }
    }

    /// Unless it is another's by now: of the pod that has this one's name.
    async fn stop(self, app: &App) {
        let me = app.ownership.me().node.as_str();
        if let Some(last) = &self.last {
            let struck = app.registry.strike(&Directory::Nodes, me, last).await;
            if let Err(error) = struck {
                tracing::debug!(%error, "this node's entry stays until it is too old");
            }
        }
    }
}
