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

/// All that is wrong with a configuration, at least one thing: a line each.
#[derive(Debug)]
pub(crate) struct Mistakes(Vec<Error>);

impl Mistakes {
    /// What was read, where nothing is wrong with any of it.
    pub(super) fn or_all<T>(
        read: impl IntoIterator<Item = Result<T, Error>>,
    ) -> Result<Vec<T>, Self> {
        let (mut good, mut mistakes) = (Vec::new(), Vec::new());
        for result in read {
            match result {
                Ok(value) => good.push(value),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() {
            Ok(good)
        } else {
            Err(Self(mistakes))
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Error> {
        self.0.iter()
    }
}

impl From<Error> for Mistakes {
    fn from(only: Error) -> Self {
        Self(vec![only])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

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
