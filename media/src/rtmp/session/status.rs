//! The status codes we answer with (§7.2.2, and those that players know by custom).

use crate::amf0::Value;

pub const PUBLISH_START: &str = "NetStream.Publish.Start";
pub const PUBLISH_BAD_NAME: &str = "NetStream.Publish.BadName";
pub const PUBLISH_REJECTED: &str = "NetStream.Publish.Rejected";
pub const UNPUBLISH_SUCCESS: &str = "NetStream.Unpublish.Success";
pub const PLAY_RESET: &str = "NetStream.Play.Reset";
pub const PLAY_START: &str = "NetStream.Play.Start";
pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
pub const PLAY_STREAM_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
pub const PLAY_UNPUBLISH_NOTIFY: &str = "NetStream.Play.UnpublishNotify";
pub const CONNECT_SUCCESS: &str = "NetConnection.Connect.Success";
/// Enhanced RTMP v2, "Reconnect Request".
pub const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";
pub const CALL_FAILED: &str = "NetConnection.Call.Failed";

/// The properties of every status: `description` is what an encoder or a player may show.
pub(super) fn properties(level: &str, code: &str, description: &str) -> Vec<(String, Value)> {
    [
        ("level", level),
        ("code", code),
        ("description", description),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), Value::String(text.to_owned())))
    .collect()
}
