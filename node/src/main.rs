mod api;
mod cli;
mod config;
mod data;
mod rooms;

fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os(), std::env::vars_os(), |_| {
        anyhow::bail!("not yet")
    })
}
