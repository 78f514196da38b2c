//! The layers above the built-in defaults, from weakest to strongest.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::check;
use super::schema::{Key, PREFIX};
use super::written::Written;
use super::{Error, Mistakes, Place, Sources, file, spelling};

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

/// The files that were read and all settings, weakest layer first; or every mistake in them.
pub(super) fn read<'k>(
    sources: &Sources,
    keys: &'k [Key],
) -> Result<(Vec<PathBuf>, Vec<Setting<'k>>), Mistakes> {
    let mut paths = Vec::new();
    let mut settings = files(sources, keys, &mut paths);
    settings.extend(variables(sources, keys));
    settings.extend(flags(sources, keys));
    Ok((paths, Mistakes::or_all(settings)?))
}

/// Of the files that there are; their paths go to `read`.
fn files<'k>(
    sources: &Sources,
    keys: &'k [Key],
    read: &mut Vec<PathBuf>,
) -> Vec<Result<Setting<'k>, Error>> {
    let folder = match Folder::choose(sources) {
        Ok(folder) => folder,
        Err(mistake) => return vec![Err(mistake)],
    };
    let mut settings = Vec::new();
    let environment = environment_name(sources).unwrap_or_else(|mistake| {
        settings.push(Err(mistake));
        None
    });
    for (name, required) in [
        (Some("default"), false),
        (environment.as_deref(), true),
        (Some("local"), false),
    ] {
        let Some(name) = name else { continue };
        let path = folder.path.join(format!("{name}.toml"));
        match file::read(&path, keys) {
            Some(found) => {
                settings.extend(found);
                read.push(path);
            }
            None if required => {
                let message =
                    format!("{ENVIRONMENT_VARIABLE}={name} asks for this file, but there is none");
                let place = Place::File { path, line: None };
                settings.push(Err(Error::new(place, None, message)));
            }
            None => {}
        }
    }
    settings
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
            spelling::short(&name)
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
fn variables<'k>(
    sources: &Sources,
    keys: &'k [Key],
) -> impl Iterator<Item = Result<Setting<'k>, Error>> {
    sources.environment.iter().filter_map(move |(name, value)| {
        let name = name.to_string_lossy();
        let rest = name.strip_prefix(PREFIX)?;
        Some(by_variable(&name, rest, value, keys))
    })
}

/// Variables that name a key but for the underscores between its parts, each with the one that
/// would set it: they set nothing, for other programs have variables that start with `ISOCAST_` too.
pub(super) fn without_effect(sources: &Sources, keys: &[Key]) -> Vec<(String, String)> {
    let words = |name: &str| -> Vec<String> {
        let words = name.split('_').filter(|word| !word.is_empty());
        words.map(str::to_uppercase).collect()
    };
    let meant = |name: &str| {
        let mut variables = keys.iter().map(Key::variable);
        variables.find(|variable| words(variable) == words(name))
    };
    let names = sources
        .environment
        .iter()
        .filter_map(|(name, _)| name.to_str());
    let others = names.filter(|name| !name.starts_with(PREFIX));
    let mistaken = others.filter_map(|name| Some((name.to_owned(), meant(name)?)));
    mistaken.collect()
}

fn by_variable<'k>(
    name: &str,
    rest: &str,
    value: &OsStr,
    keys: &'k [Key],
) -> Result<Setting<'k>, Error> {
    let place = Place::Environment(spelling::short(name));
    let Some(key) = keys.iter().find(|key| key.variable() == name) else {
        let path = rest.replace("__", ".").to_lowercase();
        let message = match spelling::nearest(&path, keys) {
            Some(key) => format!("unknown key; did you mean {}?", key.variable()),
            None => spelling::unknown(&path, &[]),
        };
        return Err(Error::new(place, None, message));
    };
    match value.to_str() {
        Some(text) => plain(key, text, place),
        None => Err(Error::new(
            place,
            Some(&key.path),
            "the value is not UTF-8 text",
        )),
    }
}

/// `--set` in any order, and `--data-dir`. Two that set the same key are a mistake.
fn flags<'k>(sources: &Sources, keys: &'k [Key]) -> Vec<Result<Setting<'k>, Error>> {
    let mut settings: Vec<Result<Setting<'k>, Error>> = Vec::new();
    let data_dir = sources.data_dir.iter().map(|folder| data_dir(folder, keys));
    for flag in sources
        .set
        .iter()
        .map(|text| by_set(text, keys))
        .chain(data_dir)
    {
        let twice = flag.as_ref().ok().filter(|setting| {
            let mut earlier = settings.iter().flatten();
            earlier.any(|earlier| earlier.key == setting.key)
        });
        let mistake = twice.map(|setting| {
            let message = format!("{} is set by two flags; keep one", setting.key);
            Error::new(setting.place.clone(), None, message)
        });
        settings.push(mistake.map_or(flag, Err));
    }
    settings
}

fn by_set<'k>(text: &str, keys: &'k [Key]) -> Result<Setting<'k>, Error> {
    let Some((path, value)) = text.split_once('=') else {
        let place = Place::Flag(format!("--set {}", spelling::short(text)));
        return Err(Error::new(place, None, "write it as section.key=value"));
    };
    let place = Place::Flag(format!("--set {}", spelling::short(path)));
    match keys.iter().find(|key| key.path == path) {
        Some(key) => plain(key, value, place),
        None => Err(Error::new(place, None, spelling::unknown(path, keys))),
    }
}

fn data_dir<'k>(folder: &Path, keys: &'k [Key]) -> Result<Setting<'k>, Error> {
    let place = Place::Flag("--data-dir".to_owned());
    let key = keys
        .iter()
        .find(|key| key.path == "data_dir")
        .expect("data_dir is a key");
    match folder.to_str() {
        Some(text) => plain(key, text, place),
        None => Err(Error::new(place, None, "the path is not UTF-8 text")),
    }
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
