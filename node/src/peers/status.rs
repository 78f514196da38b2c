//! The node's refusals, as gRPC says them.

use std::error::Error;
use std::sync::Arc;

use tonic::{Code, Status};

use crate::error::Refusal;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.http_status() {
            400 | 405 | 413 | 414 => Code::InvalidArgument,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::NotFound,
            408 => Code::DeadlineExceeded,
            409 => Code::AlreadyExists,
            421 => Code::FailedPrecondition,
            429 => Code::ResourceExhausted,
            503 => Code::Unavailable,
            _ => Code::Internal,
        };
        let mut status = Self::new(code, refusal.to_string());
        status.set_source(Arc::new(refusal));
        status
    }
}

/// What a request was refused for, as metrics call it.
pub(crate) fn reason(status: &Status) -> &'static str {
    let refusal = status.source().and_then(|it| it.downcast_ref::<Refusal>());
    match (refusal, status.code()) {
        (Some(refusal), _) => refusal.reason(),
        (None, Code::Unimplemented) => "unknown_method",
        (None, Code::OutOfRange) => "too_large",
        // What cannot be decoded, for nothing else fails without a refusal.
        (None, _) => "malformed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_their_text_and_their_reason() {
        for (refusal, code, reason) in [
            (
                Refusal::BadRequest("`room` is no room id".into()),
                Code::InvalidArgument,
                "bad_request",
            ),
            (Refusal::Unauthorized, Code::Unauthenticated, "unauthorized"),
            (
                Refusal::Misdirected("node-1".into()),
                Code::FailedPrecondition,
                "misdirected",
            ),
            (Refusal::Draining, Code::Unavailable, "draining"),
        ] {
            let text = refusal.to_string();
            let status = Status::from(refusal);
            assert_eq!((status.code(), status.message()), (code, &*text));
            assert_eq!(super::reason(&status), reason);
        }
        for (code, reason) in [
            (Code::Unimplemented, "unknown_method"),
            (Code::OutOfRange, "too_large"),
            (Code::Internal, "malformed"),
        ] {
            assert_eq!(super::reason(&Status::new(code, "")), reason);
        }
    }
}
