//! The layers above the built-in defaults, from weakest to strongest.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::check;
use super::schema::{Key, PREFIX};
use super::written::Written;
use super::{Error, Place, Sources, file};

/// One key set by one layer, already checked by itself.
#[derive(Clone, Debug)]
pub(super) struct Setting<'k> {
    pub(super) key: &'k str,
    pub(super) value: toml::Value,
    pub(super) place: Place,
}

const FOLDER_VARIABLE: &str = "ISOCAST_CONFIG_DIR";
const ENVIRONMENT_VARIABLE: &str = "ISOCAST_ENVIRONMENT";
const FOLDER_DEFAULT: &str = "config";

/// The files that were read and all settings, weakest layer first.
pub(super) fn read<'k>(
    sources: &Sources,
    keys: &'k [Key],
) -> Result<(Vec<PathBuf>, Vec<Setting<'k>>), Error> {
    let folder = Folder::choose(sources)?;
    let environment = environment_name(sources)?;

    let (mut files, mut settings) = (Vec::new(), Vec::new());
    for (name, required) in [
        (Some("default"), false),
        (environment.as_deref(), true),
        (Some("local"), false),
    ] {
        let Some(name) = name else { continue };
        let path = folder.path.join(format!("{name}.toml"));
        match file::read(&path, keys)? {
            Some(found) => {
                settings.extend(found);
                files.push(path);
            }
            None if required => {
                let message =
                    format!("{ENVIRONMENT_VARIABLE}={name} asks for this file, but there is none");
                return Err(Error::new(Place::File { path, line: None }, None, message));
            }
            None => {}
        }
    }
    settings.extend(variables(sources, keys)?);
    settings.extend(flags(sources, keys)?);
    Ok((files, settings))
}

/// The configuration folder. Only the default one may be missing.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn choose(sources: &Sources) -> Result<Self, Error> {
        let from_variable = variable(sources, FOLDER_VARIABLE);
        let (path, place) = match (&sources.config_dir, from_variable) {
            (Some(path), _) => (path.clone(), Place::Flag("--config-dir".to_owned())),
            (None, Some(path)) => (
                PathBuf::from(path),
                Place::Environment(FOLDER_VARIABLE.to_owned()),
            ),
            (None, None) => {
                return Ok(Self {
                    path: PathBuf::from(FOLDER_DEFAULT),
                });
            }
        };
        if Path::is_dir(&path) {
            return Ok(Self { path });
        }
        let message = format!("{:?} is not a folder", path.display().to_string());
        Err(Error::new(place, None, message))
    }
}

/// The name in `ISOCAST_ENVIRONMENT`; it becomes part of a path, so it is checked first.
fn environment_name(sources: &Sources) -> Result<Option<String>, Error> {
    let Some(name) = variable(sources, ENVIRONMENT_VARIABLE) else {
        return Ok(None);
    };
    let wrong = |message: String| {
        Err(Error::new(
            Place::Environment(ENVIRONMENT_VARIABLE.to_owned()),
            None,
            message,
        ))
    };
    let name = name.to_string_lossy();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_word) {
        return wrong(format!(
            "{:?} does not fit, it takes A-Z, a-z, 0-9, `_` and `-`",
            check::short(&name)
        ));
    }
    if ["default", "local"].contains(&&*name) {
        return wrong(format!(
            "{name:?} is a layer of its own; choose another name"
        ));
    }
    Ok(Some(name.into_owned()))
}

fn variable<'s>(sources: &'s Sources, wanted: &str) -> Option<&'s OsStr> {
    let found = sources.environment.iter().find(|(name, _)| name == wanted);
    found.map(|(_, value)| value.as_os_str())
}

/// Every variable that starts with `ISOCAST__` must name a key.
fn variables<'k>(sources: &Sources, keys: &'k [Key]) -> Result<Vec<Setting<'k>>, Error> {
    let mut settings = Vec::new();
    for (name, value) in &sources.environment {
        let name = name.to_string_lossy();
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let place = Place::Environment(check::short(&name));
        let Some(key) = keys.iter().find(|key| key.variable() == name) else {
            let path = rest.replace("__", ".").to_lowercase();
            let message = match check::nearest(&path, keys) {
                Some(key) => format!("unknown key; did you mean {}?", key.variable()),
                None => check::unknown(&path, &[]),
            };
            return Err(Error::new(place, None, message));
        };
        let Some(text) = value.to_str() else {
            return Err(Error::new(
                place,
                Some(&key.path),
                "the value is not UTF-8 text",
            ));
        };
        settings.push(plain(key, text, place)?);
    }
    Ok(settings)
}

/// `--set` in any order, and `--data-dir`. Two that set the same key are a mistake.
fn flags<'k>(sources: &Sources, keys: &'k [Key]) -> Result<Vec<Setting<'k>>, Error> {
    let mut settings: Vec<Setting<'k>> = Vec::new();
    for text in &sources.set {
        let Some((path, value)) = text.split_once('=') else {
            let place = Place::Flag(format!("--set {}", check::short(text)));
            return Err(Error::new(place, None, "write it as section.key=value"));
        };
        let place = Place::Flag(format!("--set {}", check::short(path)));
        let Some(key) = keys.iter().find(|key| key.path == path) else {
            return Err(Error::new(place, None, check::unknown(path, keys)));
        };
        settings.push(plain(key, value, place)?);
    }
    if let Some(folder) = &sources.data_dir {
        let place = Place::Flag("--data-dir".to_owned());
        let key = keys
            .iter()
            .find(|key| key.path == "data_dir")
            .expect("data_dir is a key");
        let Some(text) = folder.to_str() else {
            return Err(Error::new(place, None, "the path is not UTF-8 text"));
        };
        settings.push(plain(key, text, place)?);
    }
    for (at, setting) in settings.iter().enumerate() {
        if settings
            .iter()
            .take(at)
            .any(|earlier| earlier.key == setting.key)
        {
            let message = format!("{} is set by two flags; keep one", setting.key);
            return Err(Error::new(setting.place.clone(), None, message));
        }
    }
    Ok(settings)
}

fn plain<'k>(key: &'k Key, text: &str, place: Place) -> Result<Setting<'k>, Error> {
    match check::value(&key.kind, &Written::plain(text, &key.kind)) {
        Ok(value) => Ok(Setting {
            key: &key.path,
            value,
            place,
        }),
        Err(mistake) => Err(Error::new(place, Some(&key.path), mistake.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_folder_may_be_missing() {
        let folder = Folder::choose(&Sources::default()).expect("nothing was named");
        assert_eq!(folder.path, Path::new("config"));
    }
}
