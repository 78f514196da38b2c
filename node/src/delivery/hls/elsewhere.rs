use isocast_media::hls::SegmentName;

use super::{Cache, Given, Viewer, Which};
use crate::app::App;
use crate::error::Refusal;
use crate::fetch::{Feed, Fetched};
use crate::hub::Protocol;
use crate::metrics::TrafficLabels;
use crate::packager::Channel;
use crate::rooms::RoomId;

/// Of a room that another node owns, and this one may have `left`.
pub(super) async fn playlist(
    app: &App,
    room: &RoomId,
    which: Which,
    viewer: Viewer<'_>,
    left: Option<&Channel>,
) -> Result<Given, Refusal> {
    let fetcher = app.fetcher.as_ref().ok_or(Refusal::NotLive)?;
    let feed = fetcher.feed(room)?;
    if let Some(left) = left {
        leave(&feed, left);
    }
    let fetched = match which {
        Which::Media => fetcher.playlist(&feed).await?,
        Which::Multivariant => fetcher.multivariant(&feed).await?,
    };
    // What the room takes in all its owner knows; here it is what this node takes.
    let place = app.check_viewer_place();
    if !feed.note_viewer(viewer.network, viewer.user_agent, place.is_ok()) {
        place?;
    }
    Ok(given(app, fetched, false))
}

pub(super) async fn segment(
    app: &App,
    room: &RoomId,
    name: SegmentName,
    is_known: bool,
) -> Result<Given, Refusal> {
    let fetcher = app.fetcher.as_ref().ok_or(Refusal::NotLive)?;
    let fetched = fetcher.segment(room, name).await?;
    Ok(given(app, fetched, is_known))
}

/// Until the new owner has a playlist, the old one's goes on.
fn leave(feed: &Feed, channel: &Channel) {
    if let (Some(pair), Some(playlists)) = (channel.stream().pair(), channel.playlists())
        && feed.pair().is_none_or(|known| known < pair)
    {
        feed.leave(pair, playlists.media.clone());
    }
}

fn given(app: &App, fetched: Fetched, is_known: bool) -> Given {
    let labels = TrafficLabels {
        protocol: Protocol::Hls.label(),
        direction: "out",
    };
    if !is_known {
        let sent = app.metrics.media_bytes.get_or_create(&labels);
        sent.inc_by(fetched.body.len() as u64);
    }
    Given {
        body: fetched.body,
        cache: match fetched.is_hit {
            true => Cache::Hit,
            false => Cache::Proxy,
        },
        publisher: fetched.publisher.to_string(),
    }
}
