//! A value as a layer wrote it, before it is known to fit.

use std::fmt;

use toml::Spanned;
use toml::de::DeValue;

use super::schema::Kind;
use super::spelling::short;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    /// `None`: more digits than any key takes.
    Integer(Option<i128>),
    Boolean(bool),
    Text(String),
    /// Its items; a list in a list is [`Written::Other`].
    List(Vec<Written>),
    /// A form that no key takes, by its name.
    Other(&'static str),
}

impl Written {
    /// Reads what a variable or flag holds: plain text, whose form depends on the key.
    pub(super) fn plain(text: &str, kind: &Kind) -> Self {
        match kind {
            Kind::Integer { .. } if is_digits(text) => Self::Integer(text.parse().ok()),
            Kind::Boolean if text == "true" => Self::Boolean(true),
            Kind::Boolean if text == "false" => Self::Boolean(false),
            Kind::List(_) => Self::plain_list(text),
            _ => Self::Text(text.to_owned()),
        }
    }

    /// A list as TOML writes it, or items with commas between them.
    fn plain_list(text: &str) -> Self {
        let text = text.trim();
        if text.starts_with('[') {
            return match DeValue::parse(text) {
                Ok(value) => Self::from(value.get_ref()),
                Err(_) => Self::Text(text.to_owned()),
            };
        }
        let items = text
            .split(',')
            .map(|item| Self::Text(item.trim().to_owned()));
        Self::List(items.filter(|_| !text.is_empty()).collect())
    }

    fn scalar(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => {
                Self::Integer(i128::from_str_radix(number.as_str(), number.radix()).ok())
            }
            DeValue::Boolean(value) => Self::Boolean(*value),
            DeValue::Float(_) => Self::Other("a number with a fraction"),
            DeValue::Datetime(_) => Self::Other("a date or time"),
            DeValue::Array(_) => Self::Other("a list"),
            DeValue::Table(_) => Self::Other("a section"),
        }
    }
}

fn is_digits(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl From<&DeValue<'_>> for Written {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::Array(items) => {
                let items = items.iter().map(Spanned::get_ref);
                Self::List(items.map(Self::scalar).collect())
            }
            value => Self::scalar(value),
        }
    }
}

/// As a message shows it.
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(Some(number)) => write!(f, "{number}"),
            Self::Integer(None) => f.write_str("this number"),
            Self::Boolean(value) => write!(f, "{value}"),
            // Behind the scheme there may be a password or a token.
            Self::Text(text) => match text.split_once("://") {
                Some((scheme, _)) => write!(f, "{:?}", short(scheme) + "://…"),
                None => write!(f, "{:?}", short(text)),
            },
            Self::List(_) => f.write_str("a list"),
            Self::Other(form) => f.write_str(form),
        }
    }
}
