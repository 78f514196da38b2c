//! One replica of Isocast: takes RTMP publishers, serves viewers.

mod api;
mod app;
mod cli;
mod clock;
mod config;
mod data;
mod delivery;
mod edge;
mod error;
mod fetch;
mod hub;
mod ingest;
mod issuer;
mod load;
mod log;
mod metrics;
mod outbound;
mod ownership;
mod packager;
mod peers;
mod registry;
mod relay;
mod restream;
mod rooms;
mod run;
mod stop;
mod sync;
mod thumbnail;
mod tls;
mod webhooks;

fn main() -> std::process::ExitCode {
    isocast_allocator::keep_large_blocks_apart();
    // For every client as well: one provider in the whole process.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .expect("nothing ran before that could have installed one");
    cli::main(std::env::args_os(), std::env::vars_os(), run::run)
}
