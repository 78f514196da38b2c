//! A mistake in the configuration, as one line.

use std::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Built in.
    Defaults,
    /// A file, and the line where it is known (from 1).
    File { path: PathBuf, line: Option<usize> },
    /// A variable by its name.
    Environment(String),
    /// A flag, with the key it sets: `--set hls.target_ms`.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => write!(f, "built-in defaults"),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// What is wrong, where, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{}", one_line(&format!("{place}: {}{message}", named(place, key.as_deref()))))]
pub(crate) struct Error {
    pub place: Place,
    pub key: Option<String>,
    pub message: String,
}

impl Error {
    pub(super) fn new(place: Place, key: Option<&str>, message: impl fmt::Display) -> Self {
        Self {
            place,
            key: key.map(str::to_owned),
            message: message.to_string(),
        }
    }
}

/// In a file the key is named beside the line; a variable or flag already says it.
fn named(place: &Place, key: Option<&str>) -> String {
    match (place, key) {
        (Place::File { .. } | Place::Defaults, Some(key)) => format!("{key}: "),
        _ => String::new(),
    }
}

/// Words of others (files, the environment, answers) in a line of ours: no control character may reach a terminal or start
/// a second line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
