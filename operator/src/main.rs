//! The operator: makes LiveClusters and LiveRooms true.

mod apply;
mod backoff;
mod cli;
mod cluster;
mod conditions;
mod events;
#[cfg(test)]
mod fake_api;
mod leader;
mod metrics;
mod names;
mod node;
mod room;
mod run;
mod secrets;
mod serve;
mod settings;
mod watch;

fn main() -> std::process::ExitCode {
    cli::main()
}
