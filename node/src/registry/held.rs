use std::sync::Arc;

use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Claim, Registry};

/// A claim that is given back when this is dropped, whatever became of its holder.
#[derive(Debug)]
pub(crate) struct Held {
    registry: Arc<dyn Registry>,
    claim: Claim,
    /// The shutdown waits until the claim is given back.
    awaited: TaskTrackerToken,
}

impl Held {
    pub(crate) fn new(
        registry: Arc<dyn Registry>,
        claim: Claim,
        awaited: TaskTrackerToken,
    ) -> Self {
        Self {
            registry,
            claim,
            awaited,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let registry = Arc::clone(&self.registry);
        let (claim, awaited) = (self.claim.clone(), self.awaited.clone());
        tokio::spawn(async move {
            if let Err(error) = registry.release(&claim).await {
                tracing::warn!(%error, room = %claim.room, "the claim could not be given back");
            }
            drop(awaited);
        });
    }
}
