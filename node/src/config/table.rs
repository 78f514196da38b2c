//! The configuration as the table of docs/configuration.md.

use std::fmt::Write;

use super::schema::{self, Kind};

/// A Markdown table of every key: its name, its default, what it means and what it takes.
#[must_use]
pub(crate) fn table() -> String {
    let mut table = String::from("| key | default | what it is |\n| --- | --- | --- |\n");
    for key in schema::keys() {
        let meaning = key.meaning.replace('|', "\\|");
        let allowed = allowed(&key.kind);
        writeln!(
            table,
            "| `{}` | `{}` | {meaning}{allowed} |",
            key.path, key.default
        )
        .expect("a String takes every write");
    }
    table
}

/// What a key takes, where its default does not show it.
fn allowed(kind: &Kind) -> String {
    match kind {
        Kind::Integer { min, max } => format!(" {min} to {max}."),
        Kind::OneOf(words) => format!(" One of {}.", words.join(", ")),
        Kind::Boolean | Kind::Text(_) | Kind::List(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "<!-- configuration -->";
    const END: &str = "<!-- /configuration -->";

    #[test]
    fn every_key_has_a_row_with_a_meaning() {
        let table = table();
        assert_eq!(table.lines().count(), 2 + schema::keys().len());
        for key in schema::keys() {
            assert!(
                key.meaning.ends_with('.'),
                "{}: its doc comment is a sentence",
                key.path
            );
        }
        assert!(
            table.contains(
                "| `hls.window_segments` | `6` | Segments in a live playlist. 3 to 60. |"
            )
        );
        assert!(table.contains("| `listen.rtmp` | `\"0.0.0.0:1935\"` |"));
    }

    #[test]
    fn keys_stand_in_the_order_of_the_types() {
        let paths: Vec<_> = schema::keys().into_iter().map(|key| key.path).collect();
        assert_eq!(
            &paths[..3],
            ["data_dir", "node.id", "node.shutdown_deadline_s"]
        );
        assert_eq!(paths.last().map(String::as_str), Some("limits.room_codecs"));
    }

    #[test]
    fn the_documentation_has_this_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let text = std::fs::read_to_string(page).unwrap_or_default();
        let inside = text
            .split_once(START)
            .and_then(|(_, rest)| rest.split_once(END))
            .map(|(inside, _)| inside.trim());
        assert_eq!(
            inside,
            Some(table().trim()),
            "docs/configuration.md is stale: put the output of `isocast-node config table` between `{START}` and `{END}`"
        );
    }
}
