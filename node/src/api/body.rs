//! Why a request's body was not taken.

use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;

use crate::error::Refusal;

pub(super) fn unreadable(error: JsonRejection) -> Refusal {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::BodyTooLarge,
        _ => Refusal::BadRequest(without_values(&error.body_text())),
    }
}

/// The parser repeats the value that it does not take, and people put secrets into wrong fields: what
/// stays is where it stands and what belongs there.
pub(super) fn without_values(text: &str) -> String {
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
            format!("{}not what belongs here{}", &text[..at], &text[expected..])
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out_and_places_stay() {
        for (said, told) in [
            (
                "playback: unknown variant `s3`cret`, expected `signed` or `public` at line 1",
                "playback: not what belongs here, expected `signed` or `public` at line 1",
            ),
            (
                "id: invalid type: string \"s3, expected cret\", expected u32 at line 1 column 9",
                "id: not what belongs here, expected u32 at line 1 column 9",
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
