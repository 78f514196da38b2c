use std::time::{Duration, Instant};

use isocast_media::hls::SegmentName;
use tokio::time::timeout;

use super::{Given, Viewer, Which};
use crate::app::App;
use crate::delivery::{Credential, check_place, viewable};
use crate::error::Refusal;
use crate::packager::Channel;

/// A stream that has just begun has no segment yet. Players give up on an error, so its playlist
/// is waited for: the longest first segment lasts 6 s.
const FIRST_PLAYLIST_WAIT: Duration = Duration::from_secs(8);

pub(super) async fn playlist(
    app: &App,
    channel: &Channel,
    which: Which,
    viewer: Viewer<'_>,
    credential: &Credential,
) -> Result<Given, Refusal> {
    let place = check_place(app, channel.stream());
    let Viewer {
        network,
        user_agent,
    } = viewer;
    if !channel.note_viewer(network, user_agent, place.is_ok(), Instant::now()) {
        place?;
    }
    let playlists = match channel.playlists() {
        Some(playlists) if channel.not_carried().is_none() => playlists,
        _ => {
            // Only a stream that is live, or may come back, is worth waiting for.
            viewable(app, channel.stream().room(), credential).await?;
            let first = timeout(FIRST_PLAYLIST_WAIT, channel.first_playlists());
            let first = first.await.map_err(|_| Refusal::NotReady)?;
            first.map_err(|codec| Refusal::CodecNotInHls(codec.name()))?
        }
    };
    let body = which.of(&playlists).clone();
    Ok(Given::local(app, channel, body, false))
}

pub(super) fn segment(
    app: &App,
    channel: &Channel,
    name: SegmentName,
    is_known: bool,
) -> Result<Given, Refusal> {
    let bytes = channel.segment(name).ok_or(Refusal::NoSegment)?;
    Ok(Given::local(app, channel, bytes, is_known))
}
