mod config;
mod data;
fn main() {}
