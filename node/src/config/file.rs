//! One TOML file, with the line of every mistake.

use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check;
use super::layers::Setting;
use super::schema::Key;
use super::written::Written;
use super::{Error, Place, spelling};

/// A configuration file is a few kilobytes; a bigger one is some other file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The settings of one file and its mistakes; `None` if there is no such file.
pub(super) fn read<'k>(path: &Path, keys: &'k [Key]) -> Option<Vec<Result<Setting<'k>, Error>>> {
    match text(path) {
        Ok(text) => {
            let text = text?;
            // Editors on other systems start UTF-8 files with a byte order mark; it carries nothing.
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            Some(Document { path, text, keys }.settings())
        }
        Err(mistake) => Some(vec![Err(mistake)]),
    }
}

fn text(path: &Path) -> Result<Option<String>, Error> {
    let whole_file = |message: String| {
        Error::new(
            Place::File {
                path: path.to_owned(),
                line: None,
            },
            None,
            message,
        )
    };
    // A pipe might never end, or never begin.
    let file = match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(whole_file("is no file".to_owned())),
        _ => std::fs::File::open(path),
    };
    let file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(whole_file(format!("cannot be read: {error}"))),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| whole_file(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(whole_file(
            "is larger than 1 MiB, so it is no configuration".to_owned(),
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to());
        let place = Place::File {
            path: path.to_owned(),
            line: Some(1 + good.filter(|byte| **byte == b'\n').count()),
        };
        Error::new(place, None, "is not UTF-8 text; save the file as UTF-8")
    })?;
    Ok(Some(text))
}

#[derive(Debug)]
struct Document<'d, 'k> {
    path: &'d Path,
    text: &'d str,
    keys: &'k [Key],
}

impl<'k> Document<'_, 'k> {
    /// Of what is no TOML nothing is known but the first place where it is none.
    fn settings(&self) -> Vec<Result<Setting<'k>, Error>> {
        let table = match DeTable::parse(self.text) {
            Ok(table) => table,
            Err(error) => return vec![Err(self.syntax(&error))],
        };
        let mut settings = Vec::new();
        for (name, value) in in_written_order(table.get_ref()) {
            let section = name.get_ref().as_ref();
            let prefix = format!("{section}.");
            let is_section = self.keys.iter().any(|key| key.path.starts_with(&prefix));
            match value.get_ref() {
                DeValue::Table(inner) if is_section => {
                    for (leaf, value) in in_written_order(inner) {
                        let path = format!("{prefix}{}", leaf.get_ref());
                        settings.push(self.setting(&path, leaf, value));
                    }
                }
                _ if is_section => {
                    let message = format!("is a section; write [{section}] and its keys below");
                    settings.push(Err(self.wrong(name.span(), section, message)));
                }
                _ => settings.push(self.setting(section, name, value)),
            }
        }
        settings
    }

    fn setting<T>(
        &self,
        path: &str,
        name: &Spanned<T>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Setting<'k>, Error> {
        let Some(key) = self.keys.iter().find(|key| key.path == path) else {
            return Err(self.wrong(name.span(), path, spelling::unknown(path, self.keys)));
        };
        let value =
            check::value(&key.kind, &Written::from(value.get_ref())).map_err(|mistake| {
                let item = mistake.item.and_then(|at| value.get_ref().get(at));
                let span = item.map_or_else(|| name.span(), Spanned::span);
                self.wrong(span, path, mistake.message)
            })?;
        Ok(Setting {
            key: &key.path,
            value,
            place: self.place(name.span().start),
        })
    }

    /// What is no TOML at all; the key is the one on that line, if there is one.
    fn syntax(&self, error: &toml::de::Error) -> Error {
        let at = error
            .span()
            .map_or(0, |span| span.start)
            .min(self.text.len());
        let message = match error.message() {
            "duplicate key" => "is set twice in this file; keep one".to_owned(),
            message => message.to_owned(),
        };
        let key = key_at(self.text, at);
        Error::new(self.place(at), key.as_deref(), message)
    }

    fn wrong(&self, span: Range<usize>, key: &str, message: String) -> Error {
        Error::new(self.place(span.start), Some(&spelling::short(key)), message)
    }

    fn place(&self, at: usize) -> Place {
        let newlines = self
            .text
            .bytes()
            .take(at)
            .filter(|byte| *byte == b'\n')
            .count();
        Place::File {
            path: self.path.to_owned(),
            line: Some(newlines + 1),
        }
    }
}

/// A table sorts by name; mistakes are told in the order of the file.
fn in_written_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(
    &'t Spanned<toml::de::DeString<'i>>,
    &'t Spanned<DeValue<'i>>,
)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// The key on the line at `at`, under the nearest `[section]` above it. The file is broken there,
/// so this reads lines, not TOML; it only words a message.
fn key_at(text: &str, at: usize) -> Option<String> {
    let end = text
        .get(at..)?
        .find('\n')
        .map_or(text.len(), |newline| at + newline);
    let mut lines = text.get(..end)?.lines().rev();
    let line = lines.next()?.trim();
    let header = |line: &str| {
        let name = line
            .trim()
            .strip_prefix('[')?
            .split(']')
            .next()?
            .trim()
            .to_owned();
        Some(spelling::short(&name)).filter(|name| !name.is_empty())
    };
    if let Some(section) = header(line) {
        return Some(section);
    }
    let key = line.split('=').next()?.trim();
    let key = spelling::short(key);
    if key.is_empty() {
        return None;
    }
    match lines.find_map(header) {
        Some(section) => Some(format!("{section}.{key}")),
        None => Some(key),
    }
}
