//! LiveClusters for tests.

use isocast_crds::{LiveCluster, LiveClusterSpec};

/// A LiveCluster `live` in `tv`, as the API server would hand it out, with this spec in YAML.
pub(crate) fn cluster(spec: &str) -> LiveCluster {
    let spec: LiveClusterSpec = serde_yaml::from_str(spec).expect("a spec");
    let mut cluster = LiveCluster::new("live", spec);
    cluster.metadata.namespace = Some("tv".to_owned());
    cluster.metadata.uid = Some("0b1c6a3e-0000-4000-8000-000000000001".to_owned());
    cluster.metadata.generation = Some(3);
    cluster
}
