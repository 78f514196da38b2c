//! What a room is like.

use serde::{Deserialize, Serialize};

/// Who may watch; each opens the room further than the one before.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Playback {
    /// Nobody.
    Private,
    /// Whoever has a signed address that has not expired.
    #[default]
    Signed,
    /// Everyone, and the room is listed while it is live.
    Public,
}

/// What happens to a publisher whose room is already live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// It is refused while the present publisher sends.
    #[default]
    Refuse,
    /// It replaces the present publisher at once.
    Takeover,
}
