//! Why a token opens nothing.

use jsonwebtoken::errors::ErrorKind;

/// For whoever runs the node: a token's holder is told no more than whether it has
/// expired. None of its values is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It cannot be read.
    #[error("it is no JSON Web Token of 8 KiB at most whose `alg` is known")]
    Form,
    /// Nobody knows which key it means.
    #[error("it has no `kid` of 128 bytes at most")]
    KeyUnnamed,
    /// The set has no such key.
    #[error("no key that it may be signed with has its `kid`")]
    KeyUnknown,
    /// The key is for another one.
    #[error("its `alg` is not the algorithm of its key")]
    Algorithm,
    /// It asks for extensions (RFC 7515 §4.1.11): none are known.
    #[error("its `crit` asks for extensions")]
    Extension,
    /// Somebody else signed it.
    #[error("its signature is not by the key of its `kid`")]
    Signature,
    /// Somebody else issued it.
    #[error("its `iss` is not auth.issuer")]
    Issuer,
    /// It is meant for others.
    #[error("its `aud` does not hold auth.audience")]
    Audience,
    /// It does not say until when it is good.
    #[error("its `exp` is missing, or no number")]
    Exp,
    /// It does not say from when on it is good.
    #[error("its `nbf` is missing, or no number")]
    Nbf,
    /// What it allows cannot be read.
    #[error("its `scope` is no text")]
    Scope,
    /// What it is for cannot be read.
    #[error("its `rooms` is no list of at most 1000 room ids")]
    Rooms,
    /// It is not good yet.
    #[error("its `nbf` is still to come")]
    Early,
    /// It was good once.
    #[error("its `exp` has passed")]
    Expired,
}

impl BadToken {
    pub(super) fn of(error: &ErrorKind) -> Self {
        match error {
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            // One of another form counts as missing.
            ErrorKind::MissingRequiredClaim(name) => match name.as_str() {
                "iss" => Self::Issuer,
                "aud" => Self::Audience,
                "nbf" => Self::Nbf,
                _ => Self::Exp,
            },
            _ => Self::Form,
        }
    }
}
