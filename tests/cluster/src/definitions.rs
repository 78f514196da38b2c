use std::sync::OnceLock;

use isocast_harness::{repository, wait};

use crate::Lab;
use crate::api::JSON;

const SERVED_S: u64 = 30;

/// Where they are for the chart and for everybody else.
pub const DEFINITIONS: &str = "charts/isocast/files/crds";

impl Lab {
    /// [`Lab::api`] that knows LiveClusters and LiveRooms.
    ///
    /// # Panics
    /// If it does not take their definitions.
    pub fn with_definitions() -> &'static Self {
        static LAB: OnceLock<&Lab> = OnceLock::new();
        LAB.get_or_init(|| {
            let lab = Self::api();
            let folder = repository().join(DEFINITIONS);
            let folder = folder.to_str().expect("the repository has a readable name");
            lab.kubectl(&["apply", "--server-side", "-f", folder]);
            for kind in ["liveclusters", "liverooms"] {
                let path = format!("/apis/isocast.dev/v1alpha1/{kind}");
                wait::until("served definitions", SERVED_S, || {
                    (lab.ask("GET", &path, JSON, "").status == 200).then_some(())
                });
            }
            lab
        })
    }
}
