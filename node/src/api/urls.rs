//! Addresses to hand out: where a room is watched, and where and with which key it is published,
//! for whoever may give that away.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderName, header};
use isocast_access::{Minted, Pass};
use serde::Serialize;

use super::auth::{Authorized, RoomsPublish, RoomsRead};
use super::body::unreadable_query;
use super::rooms::{refusal, room_id};
use super::wire;
use crate::app::{App, Local};
use crate::clock::unix_now;
use crate::config::Config;
use crate::error::Refusal;
use crate::rooms::{Playback, RoomId};

/// How long an address is good where nobody says.
const EXPIRES_IN_S: u64 = 3600;

/// What an answer holds opens a room, so nobody keeps it.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

type NotStored<T> = ([(HeaderName, &'static str); 1], Json<T>);

/// `GET /api/v1/rooms/<id>/live/play-url`
pub(super) async fn play(
    _: Authorized<RoomsRead>,
    State(app): State<Arc<App>>,
    Extension(local): Extension<Local>,
    Path(id): Path<String>,
    query: Result<Query<wire::ExpiresIn>, QueryRejection>,
) -> Result<NotStored<wire::PlayUrls>, Refusal> {
    let id = room_id(&id)?;
    let room = app.rooms.get(&id).await.map_err(refusal)?;
    let room = room.ok_or(Refusal::NoRoom)?;
    let expires_at_s = expires_at_s(query, app.config.play.url_max_s)?;
    let pass = match room.playback {
        Playback::Public => None,
        Playback::Signed => {
            let keys = app.play_keys.now().await;
            Some(Pass::sign(&keys, &id, expires_at_s))
        }
        Playback::Private => return Err(Refusal::PlaybackDenied),
    };
    let urls = play_urls(&Here::of(&app, local), &app, &id, pass.as_ref());
    Ok((NO_STORE, Json(urls)))
}

/// `GET /api/v1/rooms/<id>/live/publish-url`: each call mints another key.
pub(super) async fn publish(
    _: Authorized<RoomsPublish>,
    State(app): State<Arc<App>>,
    Extension(local): Extension<Local>,
    Path(id): Path<String>,
    query: Result<Query<wire::ExpiresIn>, QueryRejection>,
) -> Result<NotStored<wire::PublishUrl>, Refusal> {
    let id = room_id(&id)?;
    let room = app.rooms.get(&id).await.map_err(refusal)?;
    let room = room.ok_or(Refusal::NoRoom)?;
    let expires_at_s = expires_at_s(query, app.config.publish.key_max_s)?;
    let minted = Minted {
        generation: room.key_generation,
        expires_at_s,
    };
    let stream_key = minted.mint(&*app.publish_keys.now().await, &id);
    tracing::info!(room = %id, key = stream_key.fingerprint(), expires_at_s, "publish key minted");
    let Here { rtmp, .. } = Here::of(&app, local);
    let url = wire::PublishUrl {
        rtmp_url: format!("{rtmp}/live"),
        stream_key,
        expires_at_ms: expires_at_s.saturating_mul(1000),
        placed: false,
    };
    Ok((NO_STORE, Json(url)))
}

/// The second since 1970 that was asked for, by its distance.
fn expires_at_s(
    query: Result<Query<wire::ExpiresIn>, QueryRejection>,
    max_s: u64,
) -> Result<u64, Refusal> {
    let Query(asked) = query.map_err(unreadable_query)?;
    let in_s = asked.expires_in_s.unwrap_or(EXPIRES_IN_S.min(max_s));
    if !(1..=max_s).contains(&in_s) {
        let text = format!("expires_in_s is a whole number from 1 to {max_s}");
        return Err(Refusal::BadRequest(text));
    }
    let now_s = unix_now().whole_seconds();
    Ok(now_s + in_s)
}

/// Where a room is watched on this same host; none for what is switched off.
#[derive(Debug, Serialize)]
pub(super) struct Paths {
    pub flv: Option<String>,
    pub ws_flv: Option<String>,
    pub hls: Option<String>,
}

impl Paths {
    /// `prefix` is what a signed address has before everything.
    pub(super) fn of(config: &Config, room: &RoomId, prefix: &str) -> Self {
        let name = room.stream_name();
        let (flv, hls) = (config.flv.enabled, config.hls.enabled);
        Self {
            flv: flv.then(|| format!("{prefix}/flv/{name}.flv")),
            ws_flv: flv.then(|| format!("{prefix}/ws/{name}.flv")),
            hls: hls.then(|| format!("{prefix}/hls/{name}/index.m3u8")),
        }
    }
}

fn play_urls(here: &Here, app: &App, room: &RoomId, pass: Option<&Pass>) -> wire::PlayUrls {
    let Here { http, rtmp } = here;
    let (config, name) = (&app.config, room.stream_name());
    let prefix = pass.map(|pass| format!("/v/{pass}")).unwrap_or_default();
    let query = pass.map(|pass| format!("?{}", pass.query()));
    let query = query.unwrap_or_default();
    let Paths { flv, ws_flv, hls } = Paths::of(config, room, &prefix);
    // `ws` and `wss` are to `http` and `https` what their names say.
    let ws = http.replacen("http", "ws", 1);
    let expires_at_ms = pass.map(|pass| pass.expires_at_s().saturating_mul(1000));
    wire::PlayUrls {
        hls_url: hls.map(|path| format!("{http}{path}")),
        flv_url: flv.map(|path| format!("{http}{path}")),
        ws_flv_url: ws_flv.map(|path| format!("{ws}{path}")),
        rtmp_url: (config.rtmp.play).then(|| format!("{rtmp}/live/{name}{query}")),
        watch_url: format!("{http}{prefix}/watch/{room}"),
        expires_at_ms,
    }
}

/// How this node is reached. What a request calls its host is its own words, and is not repeated.
#[derive(Debug, PartialEq, Eq)]
struct Here {
    http: String,
    rtmp: String,
}

impl Here {
    fn of(app: &App, local: Local) -> Self {
        let public = &app.config.public;
        // The request may have come by the internal port.
        let reached = |listens: SocketAddr| match listens.ip().is_unspecified() {
            true => SocketAddr::new(local.address.ip(), listens.port()),
            false => listens,
        };
        let rtmp = reached(app.rtmp_address);
        let http = || match local.by_tls {
            true => address("https", local.address, 443),
            false => address("http", reached(app.http_address), 80),
        };
        Self {
            http: or(&public.http_url, http),
            rtmp: or(&public.rtmp_url, || address("rtmp", rtmp, 1935)),
        }
    }
}

fn or(configured: &str, found: impl FnOnce() -> String) -> String {
    match configured.is_empty() {
        true => found(),
        false => configured.to_owned(),
    }
}

/// With its port, unless it is the scheme's own.
fn address(scheme: &str, at: SocketAddr, usual_port: u16) -> String {
    // An IPv6 socket shows IPv4 callers as `::ffff:…`.
    let at = SocketAddr::new(at.ip().to_canonical(), at.port());
    match (at.port() == usual_port, at.ip()) {
        (false, _) => format!("{scheme}://{at}"),
        (true, IpAddr::V4(ip)) => format!("{scheme}://{ip}"),
        (true, IpAddr::V6(ip)) => format!("{scheme}://[{ip}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_urls_have_them() {
        for (at, expected) in [
            ("10.0.0.1:80", "http://10.0.0.1"),
            ("10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("[fd00::1]:80", "http://[fd00::1]"),
            ("[fd00::1]:8080", "http://[fd00::1]:8080"),
            ("[::ffff:10.0.0.1]:8080", "http://10.0.0.1:8080"),
        ] {
            let at = at.parse().expect("an address");
            assert_eq!(address("http", at, 80), expected);
        }
    }
}
