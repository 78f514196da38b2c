//! What somebody wrote where it means nothing, and what it may have been meant for.

use super::schema::Key;

/// What is wrong with a key that does not exist: the nearest one that does, if one is near.
pub(super) fn unknown(path: &str, keys: &[Key]) -> String {
    match nearest(path, keys) {
        Some(key) => format!("unknown key; did you mean {}?", key.path),
        None => "unknown key; `isocast-node config table` lists all keys".to_owned(),
    }
}

/// The key with the fewest edits: among those with the same last part (the wrong section was
/// named), else up to a third of its length.
pub(super) fn nearest<'k>(path: &str, keys: &'k [Key]) -> Option<&'k Key> {
    let path = short(path);
    let same_leaf = |key: &&Key| leaf(&key.path) == leaf(&path);
    let near = |key: &&Key| edits(&path, &key.path) <= key.path.len() / 3;
    let fewest = |key: &&Key| edits(&path, &key.path);
    let wrong_section = keys.iter().filter(same_leaf).min_by_key(fewest);
    wrong_section.or_else(|| keys.iter().filter(near).min_by_key(fewest))
}

fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

/// Levenshtein's distance, one row at a time.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, c) in from.chars().enumerate() {
        let mut above_left = done;
        let mut left = done + 1;
        for (cell, d) in row.iter_mut().skip(1).zip(&to) {
            let replaced = above_left + usize::from(c != *d);
            above_left = *cell;
            left = replaced.min(above_left + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = done + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Long mistakes are cut, so that the line stays readable.
pub(super) fn short(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("abc", "abc", 0),
            ("ab", "ba", 2),
        ] {
            assert_eq!(edits(from, to), expected, "{from} {to}");
        }
    }
}
