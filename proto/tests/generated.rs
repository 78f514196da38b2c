//! The code in `src/` is what `isocast/v1/peer.proto` makes of it. `UPDATE_GOLDEN=1 cargo test -p isocast-proto` writes it again.

use std::fs;
use std::path::Path;

const FILE: &str = "isocast.v1.rs";

#[test]
fn the_generated_code_is_that_of_the_proto_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::compile(["isocast/v1/peer.proto"], [root]).expect("a valid file");
    let made = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tonic_prost_build::configure()
        // Whoever connects has a transport of its own.
        .build_transport(false)
        .out_dir(made)
        .compile_fds(files)
        .expect("code can be made of it");
    let made = fs::read_to_string(made.join(FILE)).expect("it was written just now");
    let checked_in = root.join("src").join(FILE);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&checked_in, &made).expect("the tree can be written");
    }
    let checked_in = fs::read_to_string(checked_in).unwrap_or_default();
    assert!(
        checked_in == made,
        "{FILE} is stale: UPDATE_GOLDEN=1 cargo test -p isocast-proto"
    );
}
