mod config;
mod data;
mod rooms;
fn main() {}
