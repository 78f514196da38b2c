//! What the documentation says of commands and keys is what this program takes.

use std::path::{Path, PathBuf};

use clap::Parser;

use super::CommandLine;
use crate::config;

#[test]
fn commands_in_the_documentation_are_taken() {
    let mut seen = 0;
    for (page, text) in pages() {
        for line in text.lines().filter_map(command) {
            let words = line.split_whitespace().filter(|word| *word != "…");
            let taken = CommandLine::try_parse_from(words);
            let refused = taken.err().filter(clap::Error::use_stderr);
            assert!(refused.is_none(), "{}: {line}", page.display());
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} commands");
}

#[test]
fn keys_in_the_documentation_exist() {
    let table = config::table();
    let keys: Vec<_> = table
        .lines()
        .filter_map(|row| row.split('`').nth(1))
        .collect();
    let sections: Vec<_> = keys
        .iter()
        .filter_map(|key| key.split_once('.'))
        .map(|(section, _)| section)
        .collect();
    let mut seen = 0;
    for (page, text) in pages() {
        // Code spans are every second part; a name with a path or an ellipsis is no key.
        for span in text.split('`').skip(1).step_by(2) {
            let Some((section, leaf)) = span.split_once('.') else {
                continue;
            };
            let is_name = leaf
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
            if is_name && sections.contains(&section) {
                assert!(keys.contains(&span), "{}: {span}", page.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen} keys");
}

fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = std::fs::read_dir(root.join("docs")).expect("there is documentation");
    let docs = docs.map(|entry| entry.expect("a readable folder").path());
    docs.filter(|path| path.extension().is_some_and(|is| is == "md"))
        .chain([root.join("README.md")])
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a page is text");
            (path, text)
        })
        .collect()
}

/// An indented line with a whole command, without its comment and what the shell makes of the rest. Lines
/// that show choices, `[…]`, are a synopsis and no command.
fn command(line: &str) -> Option<&str> {
    let line = line.strip_prefix("    ")?;
    let line = line.split(" #").next()?.trim_end_matches([' ', '&']);
    let is_whole = line.starts_with("isocast-node") && !line.contains(['[', '|', '>', '"', '\'']);
    is_whole.then_some(line)
}
