//! Why a request's body was not taken.

use std::error::Error;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::error::Refusal;

/// A body that may come without its content type.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let Json(read) = Json::from_bytes(body).map_err(unreadable)?;
    Ok(read)
}

pub(super) fn unreadable(error: JsonRejection) -> Refusal {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Refusal::BodyTooLarge;
    }
    Refusal::BadRequest(match error {
        JsonRejection::JsonDataError(error) => format!("in the body, {}", place(&error)),
        JsonRejection::JsonSyntaxError(error) => format!("the body is no JSON: {}", place(&error)),
        JsonRejection::MissingJsonContentType(_) => {
            "send the body as JSON, with `Content-Type: application/json`".into()
        }
        _ => "the body did not come whole: send it again".into(),
    })
}

pub(super) fn unreadable_query(error: QueryRejection) -> Refusal {
    Refusal::BadRequest(format!("in the query, {}", place(&error)))
}

/// What the parser says, below what axum puts before it.
fn place(rejection: &(dyn Error + 'static)) -> String {
    without_values(&rejection.source().unwrap_or(rejection).to_string())
}

/// The parser repeats the value that it does not take, and people put secrets into wrong fields: what
/// stays is where it stands and what belongs there.
fn without_values(text: &str) -> String {
    const KINDS: [&str; 3] = ["invalid type: ", "invalid value: ", "unknown variant "];
    const EXPECTED: &str = ", expected ";
    let place = KINDS.iter().find_map(|kind| {
        let at = text.find(kind)?;
        // The value may hold the same words: the last ones are the parser's.
        let expected = at + text[at..].rfind(EXPECTED)?;
        Some((at, expected))
    });
    match place {
        Some((at, expected)) => {
            let belongs = in_words(&text[expected + EXPECTED.len()..]);
            format!("{}not what belongs here{EXPECTED}{belongs}", &text[..at])
        }
        None => text.to_owned(),
    }
}

/// What belongs there begins with the name of one of our types.
fn in_words(expected: &str) -> String {
    const TYPES: [(&str, &str); 6] = [
        ("u8", "a whole number from 0 to 255"),
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number from 0 on"),
        ("a nonzero u32", "a whole number from 1 to 4294967295"),
        ("i64", "a whole number"),
    ];
    // The place follows, if it is known.
    let (belongs, place) = match expected.rfind(" at line ") {
        Some(at) => expected.split_at(at),
        None => (expected, ""),
    };
    let known = TYPES.iter().find(|(name, _)| *name == belongs);
    let words = match known {
        Some((_, words)) => words,
        None if belongs.starts_with("struct ") => "an object",
        None => belongs,
    };
    format!("{words}{place}")
}

#[cfg(test)]
mod tests {
    use axum::extract::rejection::MissingJsonContentType;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[serde(rename = "limits")]
        _limits: Limits,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Limits {
        #[serde(rename = "width_max")]
        _width_max: std::num::NonZeroU32,
    }

    #[test]
    fn a_body_is_answered_in_our_words_with_the_place() {
        for (body, told) in [
            (
                "{\n \"limits\": {\"width_max\": \"s3cret\"}}",
                "in the body, limits.width_max: not what belongs here, expected a whole number from 1 to 4294967295 at line 2 column 33",
            ),
            (
                r#"{"limits": "s3cret"}"#,
                "in the body, limits: not what belongs here, expected an object at line 1 column 19",
            ),
            (
                r#"{"limit": {}}"#,
                "in the body, limit: unknown field `limit`, expected `limits` at line 1 column 8",
            ),
            (
                r#"{"limits": {}}"#,
                "in the body, limits: missing field `width_max` at line 1 column 13",
            ),
            (
                "7",
                "in the body, not what belongs here, expected an object at line 1 column 1",
            ),
            (
                r#"{"limits": s3cret}"#,
                "the body is no JSON: limits: expected value at line 1 column 12",
            ),
            (
                "",
                "the body is no JSON: EOF while parsing a value at line 1 column 0",
            ),
        ] {
            let refused = read::<Asked>(body.as_bytes()).unwrap_err();
            assert_eq!(refused.to_string(), told, "{body}");
        }
    }

    #[test]
    fn a_body_without_its_content_type_is_told_how_to_come() {
        let refused = unreadable(MissingJsonContentType::default().into());
        let told = "send the body as JSON, with `Content-Type: application/json`";
        assert_eq!(refused.to_string(), told);
    }

    #[test]
    fn values_are_left_out_and_places_stay() {
        for (said, told) in [
            (
                "playback: unknown variant `s3`cret`, expected `signed` or `public` at line 1",
                "playback: not what belongs here, expected `signed` or `public` at line 1",
            ),
            (
                "id: invalid type: string \"s3, expected cret\", expected u32 at line 1 column 9",
                "id: not what belongs here, expected a whole number from 0 to 4294967295 at line 1 column 9",
            ),
            (
                "targets[0].stream_key: invalid type: integer `123456789`, expected a string",
                "targets[0].stream_key: not what belongs here, expected a string",
            ),
            (
                "unknown field `key`, expected one of `id`, `playback` at line 1",
                "unknown field `key`, expected one of `id`, `playback` at line 1",
            ),
            (
                "missing field `id` at line 1",
                "missing field `id` at line 1",
            ),
            ("EOF while parsing", "EOF while parsing"),
        ] {
            assert_eq!(without_values(said), told);
        }
    }
}
