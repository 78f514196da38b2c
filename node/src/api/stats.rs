//! What a room's publisher sends and what its viewers get, for whoever has the API token.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use isocast_media::{Codec, amf0};

use super::auth::{Authorized, StatsRead};
use super::live::{Audio, Video};
use super::rooms::{room_id, without_stream};
use super::wire;
use crate::app::App;
use crate::clock::unix_now;
use crate::error::Refusal;
use crate::hub::{self, Described, Headers, Protocol, Quality, Stream, Tracks};

/// `GET /api/v1/rooms/<id>/stats`
pub(super) async fn get(
    _: Authorized<StatsRead>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<wire::Stats>, Refusal> {
    let id = room_id(&id)?;
    let Some(stream) = app.hub.stream(&id) else {
        return Err(without_stream(&app, &id).await);
    };
    let state = match stream.state() {
        _ if stream.upstream().is_some() => return Err(Refusal::NotLive),
        hub::State::Live => wire::State::Live,
        hub::State::Interrupted => wire::State::Interrupted,
        hub::State::Ended | hub::State::Gone => return Err(Refusal::NotLive),
    };
    Ok(Json(stats(&app, &stream, state)))
}

fn stats(app: &App, stream: &Stream, state: wire::State) -> wire::Stats {
    let quality = stream.quality(Instant::now());
    let headers = stream.headers();
    let started_at = stream.started_at();
    let Described { video, audio } = headers.described();
    let traffic = stream.traffic();
    wire::Stats {
        room: stream.room().clone(),
        state,
        started_at_ms: started_at.0,
        uptime_s: u64::try_from((unix_now() - started_at) / 1000).unwrap_or(0),
        publisher: stream.source().map(|source| wire::Source {
            key_fingerprint: source.key_fingerprint,
            address: source.address,
            encoder: encoder(&headers),
        }),
        bitrate_kbps: quality.bitrate_bps / 1000,
        video: video.map(|video| video_stats(video.into(), &quality)),
        audio: audio.map(|description| wire::AudioStats {
            description: Audio::from(description),
            bitrate_kbps: quality.audio.bitrate_bps / 1000,
            frames_per_s: tenths(quality.audio.frames_per_s),
            jitter_ms: tenths(quality.audio.jitter_ms),
        }),
        viewers: by_protocol(|protocol| app.viewers(stream, protocol) as u64),
        bytes_in: quality.totals.bytes,
        bytes_out: by_protocol(|protocol| traffic.out(protocol)),
        frames: wire::Frames {
            received: quality.totals.frames,
            resent: quality.totals.frames_resent,
            awaiting_key: quality.totals.frames_awaiting_key,
        },
        timestamp_jumps: quality.totals.timestamp_jumps,
        viewer_skips: traffic.skips(),
        viewers_dropped: traffic.viewers_dropped(),
    }
}

fn video_stats(description: Video, quality: &Quality) -> wire::VideoStats {
    wire::VideoStats {
        description,
        bitrate_kbps: quality.video.bitrate_bps / 1000,
        frames_per_s: tenths(quality.video.frames_per_s),
        jitter_ms: tenths(quality.video.jitter_ms),
        gop_ms: quality.gop.map(|gop| gop.ms),
        gop_frames: quality.gop.map(|gop| gop.frames),
    }
}

fn by_protocol(count: impl Fn(Protocol) -> u64) -> wire::ByProtocol {
    wire::ByProtocol {
        rtmp: count(Protocol::Rtmp),
        http_flv: count(Protocol::HttpFlv),
        websocket_flv: count(Protocol::WebSocketFlv),
        hls: count(Protocol::Hls),
    }
}

/// A measured value says no more than this.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// What the metadata calls the encoder: the peer's own words, so they are cut and kept printable.
fn encoder(headers: &Headers) -> Option<String> {
    const CHARS_MAX: usize = 100;
    let metadata = headers
        .of(Tracks::Default)
        .find(|frame| frame.codec == Codec::Script)?;
    let values = amf0::decode_all(&metadata.data).ok()?;
    let name = values.get(1)?.get("encoder")?.as_str()?;
    let printable = name.chars().filter(|c| !c.is_control());
    let name: String = printable.take(CHARS_MAX).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use isocast_media::{Frame, Kind, MediaMs};

    use super::*;
    use crate::api::tests::{AUTHORIZED, Node, publish};

    #[tokio::test]
    async fn a_live_room_tells_what_comes_in_and_goes_out() {
        let node = Node::start().await;
        let ask = async || {
            node.ask("GET /api/v1/rooms/open/stats", &[AUTHORIZED], "")
                .await
        };
        assert_eq!(ask().await.code(), "not_live");
        let (publisher, stream) = publish(&node);
        stream.count_out(Protocol::HttpFlv, 1000);
        let viewer = stream.subscribe(Protocol::HttpFlv);

        let answer = ask().await;
        assert_eq!(answer.status, 200);
        let stats: wire::Stats = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(stats.state, wire::State::Live);
        let source = wire::Source {
            key_fingerprint: "0123456789abcdef".into(),
            address: [192, 0, 2, 1].into(),
            encoder: None,
        };
        assert_eq!(stats.publisher, Some(source));
        assert_eq!((stats.bytes_in, stats.frames.received), (5, 1));
        assert_eq!(
            (stats.viewers.http_flv, stats.bytes_out.http_flv),
            (1, 1000)
        );
        let audio = stats.audio.unwrap();
        assert_eq!(audio.description.sample_rate_hz, 44_100);
        assert!(stats.video.is_none());

        drop((viewer, publisher));
        let held: wire::Stats = serde_json::from_str(&ask().await.body).unwrap();
        assert_eq!(held.state, wire::State::Interrupted);
        assert_eq!((held.publisher, held.bytes_in), (None, 5));
        for (line, headers, code) in [
            ("GET /api/v1/rooms/open/stats", &[][..], "unauthorized"),
            ("GET /api/v1/rooms/none/stats", &[AUTHORIZED], "no_room"),
            ("GET /api/v1/rooms/none/stats", &[], "unauthorized"),
            ("GET /api/v1/rooms/no%20id/stats", &[AUTHORIZED], "no_room"),
        ] {
            assert_eq!(node.ask(line, headers, "").await.code(), code, "{line}");
        }
    }

    fn metadata(properties: Vec<(String, amf0::Value)>) -> Frame {
        let name = amf0::Value::String("onMetaData".into());
        let values = [name, amf0::Value::EcmaArray(properties)];
        Frame {
            codec: Codec::Script,
            track_id: 0,
            kind: Kind::Metadata,
            dts: MediaMs(0),
            pts_offset_ms: 0,
            data: amf0::encode_all(&values),
        }
    }

    #[tokio::test]
    async fn an_encoder_is_named_in_printable_words_of_bounded_length() {
        let long = "x".repeat(5000);
        for (said, told) in [
            (Some("obs-output 31"), Some("obs-output 31")),
            (Some("a\u{1b}[31m\nb\0"), Some("a[31mb")),
            (Some("\n"), None),
            (Some(long.as_str()), Some(&long[..100])),
            (None, None),
        ] {
            let node = Node::start().await;
            let (publisher, stream) = publish(&node);
            let properties = said.map(|said| ("encoder".into(), amf0::Value::String(said.into())));
            let metadata = metadata(properties.into_iter().collect());
            publisher.push(metadata, Instant::now()).unwrap();
            assert_eq!(encoder(&stream.headers()).as_deref(), told, "{said:?}");
        }
    }
}
