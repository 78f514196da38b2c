//! A real node with real publishers and players around it.
//!
//! - [`Node`] runs the release binary on free ports with a data folder of its own;
//! - [`Ffmpeg`] publishes and records, in two versions; [`Peer`] speaks RTMP by itself;
//! - [`Redis`] is a registry, alone, watched by Sentinel or in a cluster;
//! - [`Receiver`] is called by nodes and has good and bad manners;
//! - [`Replicas`] are nodes that know each other;
//! - [`Postgres`] is a server with databases of the test's own;
//! - [`Crowd`] comes in great number and does nothing;
//! - [`http`] asks and reads answers as they are;
//! - [`hashes`] says whether what came back is what was sent.
//!
//! Everything blocks, every wait is for a condition and has a deadline, and what a test started
//! ends with it. A failed wait is a panic that says what was waited for.

pub mod clip;
pub mod flv;
pub mod hashes;
pub mod http;
pub mod playlist;
pub mod wait;

mod certificate;
mod crowd;
mod ffmpeg;
mod nginx;
mod node;
mod postgres;
mod process;
mod receiver;
mod redis;
mod replicas;
mod rtmp;
mod scratch;
mod tools;

pub use certificate::Certificate;
pub use clip::Clip;
pub use crowd::Crowd;
pub use ffmpeg::Ffmpeg;
pub use nginx::Nginx;
pub use node::{Node, NodeOptions, Room, Secure};
pub use postgres::Postgres;
pub use process::{Output, Process, Signal, run};
pub use receiver::{Manner, Receiver, Request};
pub use redis::{Redis, RedisCluster, RedisSentinel, RedisUser};
pub use replicas::Replicas;
pub use rtmp::{Peer, Reply};
pub use scratch::Scratch;
pub use tools::{node_binary, repository, target_folder, tool};
