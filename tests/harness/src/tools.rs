//! Where the programs are that the tests run.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The root of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this crate is two folders below the root")
}

/// Cargo's target folder: a test runs from `<target>/<profile>/deps`.
#[must_use]
pub fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows its own path");
    let mut folders = program.ancestors();
    let deps = folders.find(|folder| folder.ends_with("deps"));
    match deps.and_then(|deps| deps.ancestors().nth(2)) {
        Some(target) => target.to_owned(),
        None => repository().join("target"),
    }
}

/// The node's release binary, or the one that `ISOCAST_NODE` names.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn node_binary() -> PathBuf {
    let path = match std::env::var_os("ISOCAST_NODE") {
        Some(path) => PathBuf::from(path),
        None => target_folder().join("release/isocast-node"),
    };
    assert!(
        path.is_file(),
        "{} is not there: run `make build` first, or name a binary in ISOCAST_NODE",
        path.display()
    );
    path
}

/// A program of the system.
///
/// # Panics
/// If it is not installed.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: run `make tools`"))
}

/// The newest ffmpeg, one static program out of a Python package.
pub(crate) fn newest_ffmpeg() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let libraries = repository().join(".tools/venv/lib");
        let found = entries(&libraries)
            .flat_map(|python| entries(&python.join("site-packages/imageio_ffmpeg/binaries")))
            .find(|path| name_of(path).starts_with("ffmpeg"));
        found.unwrap_or_else(|| {
            panic!("no ffmpeg in {}: run `make tools`", libraries.display());
        })
    })
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
