//! What a room is like.

use serde::{Deserialize, Serialize};

/// Who may watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Playback {
    /// Nobody.
    #[default]
    Private,
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
