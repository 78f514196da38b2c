//! LiveCluster and LiveRoom.
