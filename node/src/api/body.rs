//! What a request's body asks for, or why it was not taken.

use std::error::Error;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use isocast_admin::Object;
use serde::de::DeserializeOwned;

use crate::error::Refusal;

/// A body with its content type, to be read by [`asked`].
pub(super) type Body<T> = Result<Json<Object<T>>, JsonRejection>;

pub(super) fn asked<T>(body: Body<T>) -> Result<T, Refusal> {
    let Json(Object(asked)) = body.map_err(unreadable)?;
    Ok(asked)
}

/// A body that may come without its content type.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    asked(Json::from_bytes(body))
}

fn unreadable(error: JsonRejection) -> Refusal {
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
    let mut told = place(&error);
    if let Some(at) = NO_NUMBER.iter().find_map(|no_number| told.find(no_number)) {
        told.truncate(at);
        told.push_str("not what belongs here, expected a whole number from 0 on");
    }
    Refusal::BadRequest(format!("in the query, {told}"))
}

/// What the standard library says of a text that is no number of the field's type.
const NO_NUMBER: [&str; 3] = [
    "invalid digit found in string",
    "cannot parse integer from empty string",
    "number too large to fit in target type",
];

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
    const TYPES: [(&str, &str); 8] = [
        ("u8", "a whole number from 0 to 255"),
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number from 0 on"),
        ("a nonzero u32", "a whole number from 1 to 4294967295"),
        ("i64", "a whole number"),
        ("a sequence", "an array"),
        ("unit", "null"),
    ];
    // The place follows, if it is known.
    let (belongs, place) = match expected.rfind(" at line ") {
        Some(at) => expected.split_at(at),
        None => (expected, ""),
    };
    let known = TYPES.iter().find(|(name, _)| *name == belongs);
    let words = match known {
        Some((_, words)) => words,
        None => belongs,
    };
    format!("{words}{place}")
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;
    use axum::extract::rejection::MissingJsonContentType;

    use crate::api::tests::{ADMIN, AUTHORIZED, JSON, Node};
    use crate::api::wire::ExpiresIn;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[serde(rename = "limits", deserialize_with = "isocast_admin::object")]
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
                r#"{"limits": [5]}"#,
                "in the body, limits: not what belongs here, expected an object at line 1 column 11",
            ),
            (
                r#"[{"width_max": 5}]"#,
                "in the body, not what belongs here, expected an object at line 1 column 0",
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

    #[tokio::test]
    async fn an_array_is_no_body_anywhere_and_changes_nothing() {
        let node = Node::start().await;
        let rooms = "GET /api/v1/rooms";
        let before = node.ask(rooms, &[AUTHORIZED], "").await.body;
        for (line, body) in [
            ("POST /api/v1/rooms", "[]"),
            ("POST /api/v1/rooms", r#"["new", "public"]"#),
            ("POST /api/v1/rooms", r#"{"id": "new", "limits": [5]}"#),
            ("PATCH /api/v1/rooms/open", r#"["private"]"#),
            ("PATCH /api/v1/rooms/open", r#"{"limits": [5]}"#),
            ("POST /api/v1/rooms/open/rotate-key", "[60]"),
            ("POST /api/v1/rooms/open/kick", "[60]"),
            ("POST /api/v1/qoe", r#"["hls", null, 0, 0, 0, null]"#),
            ("PUT /api/v1/rooms/open/restreams", "[[]]"),
            (
                "PUT /api/v1/rooms/open/restreams",
                r#"{"targets": [["a", "rtmp://a.example/live", "key", true]]}"#,
            ),
            (
                "PUT /admin/v1/rooms/new",
                r#"["public", "refuse", {}, "room_new_key_first0123456789abcde"]"#,
            ),
            (
                "PUT /admin/v1/rooms/new",
                r#"{"playback": "public", "on_conflict": "refuse", "limits": [5], "stream_key": "room_new_key_first0123456789abcde"}"#,
            ),
        ] {
            let answer = match line.contains("/admin/") {
                true => node.internal(line, &[JSON, ADMIN], body).await,
                false => node.ask(line, &[JSON, AUTHORIZED], body).await,
            };
            assert_eq!(answer.status, 400, "{line} {body}: {answer:?}");
            let told = "not what belongs here, expected an object at line 1 ";
            assert!(answer.body.contains(told), "{line} {body}: {answer:?}");
        }
        assert_eq!(node.ask(rooms, &[AUTHORIZED], "").await.body, before);
    }

    #[test]
    fn a_body_without_its_content_type_is_told_how_to_come() {
        let refused = unreadable(MissingJsonContentType::default().into());
        let told = "send the body as JSON, with `Content-Type: application/json`";
        assert_eq!(refused.to_string(), told);
    }

    #[test]
    fn what_is_no_number_in_a_query_is_told_as_in_a_body() {
        for value in ["-1", "", "1.5", "s3cret", "18446744073709551616"] {
            let uri = format!("/?expires_in_s={value}").parse().unwrap();
            let refused = Query::<ExpiresIn>::try_from_uri(&uri).unwrap_err();
            let told = "in the query, expires_in_s: not what belongs here, expected a whole number from 0 on";
            assert_eq!(unreadable_query(refused).to_string(), told, "{value}");
        }
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
