//! Every file of every corpus goes through its target and gets the answer its name starts with.

use std::{collections::BTreeSet, fs, path::Path};

use isocast_fuzz::TARGETS;

#[test]
fn every_file_gets_the_answer_it_is_named_for() {
    let mut wrong = Vec::new();
    for (name, target) in TARGETS {
        let files = names_in(&corpus().join(name));
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            let data = fs::read(corpus().join(name).join(&file)).unwrap();
            let answer = target(&data);
            if file.split('-').next() != Some(answer) {
                wrong.push(format!("corpus/{name}/{file}: {answer}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_has_a_target() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in(corpus()), targets);
}

/// Inputs too large to commit, still small for a stranger to send.
#[test]
fn large_inputs_are_answered() {
    let target = |name| TARGETS.iter().find(|row| row.0 == name).unwrap().1;
    let nested = |depth: usize| b"\x0A\0\0\0\x01".repeat(depth);
    let metadata = [b"\x12\x02\x00\x0AonMetaData", &vec![5; 1 << 20][..]].concat();
    for (name, data, answer) in [
        ("amf0", nested(5_000), "limit"),
        ("amf0", nested(2_600_000), "limit"),
        ("amf0", b"\x03\0\x01a".repeat(16_000), "limit"),
        ("flv", metadata, "refused"),
        ("flv", vec![9; (8 << 20) + 2], "limit"),
    ] {
        assert_eq!(target(name)(&data), answer, "{name}, {} bytes", data.len());
    }
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("the folder can be listed");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let name = entry.expect("the folder can be listed").file_name();
        name.into_string().expect("names are ASCII")
    };
    entries.map(name).collect()
}

fn corpus() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}
