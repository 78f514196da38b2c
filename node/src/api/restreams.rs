//! Where a room's stream is also sent, for whoever has the API token.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /api/v1/rooms/<id>/restreams` | 200 [`RestreamList`] |
//! | `PUT /api/v1/rooms/<id>/restreams` [`PutRestreams`] | 200 [`RestreamList`], in the place of what was there |
//! | `DELETE /api/v1/rooms/<id>/restreams` | 204 |

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use isocast_admin::objects;
use serde::{Deserialize, Deserializer, Serialize};

use super::auth::{Authorized, RoomsRead, RoomsWrite};
use super::body::{Body, asked};
use super::rooms::{refusal, room_id, to_the_end};
use crate::app::App;
use crate::data::Secret;
use crate::error::Refusal;
use crate::restream::{self, Allowed, TARGETS_MAX};
use crate::rooms::{PushUrl, RoomId, Target, TargetName, stream_key};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutRestreams {
    #[serde(deserialize_with = "objects")]
    pub targets: Vec<PutTarget>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutTarget {
    pub name: String,
    /// `rtmp://HOST[:PORT]/APP` or `rtmps`.
    pub url: String,
    /// Without one, the target of this name and URL keeps its own.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "hidden",
        serialize_with = "revealed"
    )]
    pub stream_key: Option<Secret<String>>,
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

fn hidden<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}

fn revealed<S: serde::Serializer>(key: &Option<Secret<String>>, to: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(Secret::reveal).serialize(to)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RestreamList {
    pub targets: Vec<Restream>,
}

/// A target and how it is doing. Its stream key is not told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Restream {
    pub name: String,
    pub url: String,
    pub enabled: bool,
    /// `idle`, `connecting`, `live` or `waiting`.
    pub state: String,
    /// When it came to that; absent while idle.
    pub since_ms: Option<i64>,
    /// Why it last failed.
    pub error: Option<String>,
    pub bytes_out: u64,
    pub retries: u64,
}

impl Restream {
    pub(crate) fn of(target: &Target, status: Option<restream::Status>) -> Self {
        let idle = restream::State::Idle;
        let state = status.as_ref().map_or(idle, |status| status.state);
        Self {
            name: target.name.to_string(),
            url: target.url.as_str().to_owned(),
            enabled: target.enabled,
            state: state.as_str().to_owned(),
            since_ms: status.as_ref().map(|status| status.since.0),
            bytes_out: status.as_ref().map_or(0, |status| status.bytes_out),
            retries: status.as_ref().map_or(0, |status| status.retries),
            error: status.and_then(|status| status.error),
        }
    }
}

impl PutRestreams {
    /// What is to be kept, given what is; or what is wrong with it. `allowed` is asked where it is
    /// known.
    pub(crate) fn instead_of(
        self,
        present: &[Target],
        allowed: Option<&Allowed>,
    ) -> Result<Vec<Target>, String> {
        if self.targets.len() > TARGETS_MAX {
            return Err(format!("a room has at most {TARGETS_MAX} targets"));
        }
        let mut targets: Vec<Target> = Vec::new();
        for asked in self.targets {
            let name: TargetName = asked.name.parse()?;
            if targets.iter().any(|target| target.name == name) {
                return Err(format!("two targets are called {name}"));
            }
            let wrong = |what: &str| format!("target {name}: {what}");
            let url: PushUrl = asked.url.parse().map_err(wrong)?;
            if allowed.is_some_and(|allowed| !allowed.has(&url)) {
                return Err(wrong("restream.allow_hosts does not list this host"));
            }
            let kept = present
                .iter()
                .find(|target| target.name == name && target.url == url);
            let stream_key = match (asked.stream_key, kept) {
                (Some(key), _) => stream_key(key.reveal().clone()).map_err(wrong)?,
                (None, Some(kept)) => kept.stream_key.clone(),
                // Else a new URL could ask for a key that was meant for another.
                (None, None) => return Err(wrong("a new target or url needs its stream_key")),
            };
            targets.push(Target {
                name,
                url,
                stream_key,
                enabled: asked.enabled,
            });
        }
        Ok(targets)
    }

    /// Whether what is there already is needed to know what is asked for.
    pub(crate) fn keeps_keys(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.stream_key.is_none())
    }
}

pub(super) async fn get(
    _: Authorized<RoomsRead>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<RestreamList>, Refusal> {
    let id = room_id(&id)?;
    let room = app.rooms.get(&id).await.map_err(refusal)?;
    room.ok_or(Refusal::NoRoom)?;
    let targets = app.rooms.restreams(&id).await.map_err(refusal)?;
    Ok(Json(list(&app, &id, &targets)))
}

pub(super) async fn put(
    _: Authorized<RoomsWrite>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Body<PutRestreams>,
) -> Result<Json<RestreamList>, Refusal> {
    let id = room_id(&id)?;
    let allowed = app.restreams.allowed();
    let allowed = allowed.ok_or(Refusal::ProtocolOff("restreaming"))?;
    let asked = asked(body)?;
    let present = match asked.keeps_keys() {
        true => app.rooms.restreams(&id).await.map_err(refusal)?,
        false => Vec::new(),
    };
    let targets = asked.instead_of(&present, Some(allowed));
    let targets = targets.map_err(Refusal::BadRequest)?;
    keep(app, id, targets).await.map(Json)
}

pub(super) async fn delete(
    _: Authorized<RoomsWrite>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    keep(app, room_id(&id)?, Vec::new()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn keep(app: Arc<App>, id: RoomId, targets: Vec<Target>) -> Result<RestreamList, Refusal> {
    let kept = to_the_end(app, move |app| async move {
        let stored = app.rooms.put_restreams(&id, &targets).await;
        stored.map_err(refusal)?;
        tracing::info!(room = %id, targets = targets.len(), "targets put in place");
        app.restreams.changed(&id, targets.clone());
        Ok(list(&app, &id, &targets))
    });
    kept.await
}

fn list(app: &App, id: &RoomId, targets: &[Target]) -> RestreamList {
    let told = |target: &Target| Restream::of(target, app.restreams.status(id, target));
    RestreamList {
        targets: targets.iter().map(told).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> Result<PutRestreams, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn what_is_asked_is_kept_or_refused() {
        let present =
            asked(r#"{"targets":[{"name":"a","url":"rtmp://a.example/live","stream_key":"old"}]}"#);
        let present = present.expect("JSON").instead_of(&[], None).expect("good");
        let allowed = Allowed::new(&["a.example".to_owned()]);
        for (json, expected) in [
            (r#"{"targets":[]}"#, Ok(vec![])),
            (
                r#"{"targets":[{"name":"a","url":"rtmp://a.example/live"}]}"#,
                Ok(vec!["old"]),
            ),
            (
                r#"{"targets":[{"name":"a","url":"rtmp://a.example/live","stream_key":"new"}]}"#,
                Ok(vec!["new"]),
            ),
            (
                r#"{"targets":[{"name":"a","url":"rtmps://a.example/live"}]}"#,
                Err("needs its stream_key"),
            ),
            (
                r#"{"targets":[{"name":"a","url":"rtmp://a.example:1/live"}]}"#,
                Err("needs its stream_key"),
            ),
            (
                r#"{"targets":[{"name":"b","url":"rtmp://a.example/live"}]}"#,
                Err("needs its stream_key"),
            ),
            (
                r#"{"targets":[{"name":"b","url":"rtmp://b.example/live","stream_key":"k"}]}"#,
                Err("restream.allow_hosts"),
            ),
            (
                r#"{"targets":[{"name":"a","url":"rtmp://a.example/live"},{"name":"a","url":"rtmp://a.example/live"}]}"#,
                Err("two targets"),
            ),
            (
                r#"{"targets":[{"name":"a","url":"http://a.example/live","stream_key":"k"}]}"#,
                Err("rtmp://"),
            ),
            (
                r#"{"targets":[{"name":"a b","url":"rtmp://a.example/live","stream_key":"k"}]}"#,
                Err("name"),
            ),
            (
                r#"{"targets":[{"name":"a","url":"rtmp://a.example/live","stream_key":"a b"}]}"#,
                Err("printable"),
            ),
        ] {
            let targets = asked(json)
                .expect("JSON")
                .instead_of(&present, Some(&allowed));
            match (targets, expected) {
                (Ok(targets), Ok(keys)) => {
                    let got: Vec<_> = targets.iter().map(|it| it.stream_key.reveal()).collect();
                    assert_eq!(got, keys, "{json}");
                }
                (Err(error), Err(words)) => assert!(error.contains(words), "{json}: {error}"),
                (got, _) => panic!("{json}: {got:?}"),
            }
        }
        let many = (0..9)
            .map(|n| format!(r#"{{"name":"t{n}","url":"rtmp://a.example/l","stream_key":"k"}}"#));
        let many = format!(r#"{{"targets":[{}]}}"#, many.collect::<Vec<_>>().join(","));
        assert!(asked(&many).expect("JSON").instead_of(&[], None).is_err());
        assert!(asked(r#"{"targets":[{"name":"a","url":"u","key":"k"}]}"#).is_err());
    }

    #[test]
    fn a_key_is_never_shown() {
        let asked = asked(
            r#"{"targets":[{"name":"a","url":"rtmp://a.example/live","stream_key":"hunter2"}]}"#,
        );
        let asked = asked.expect("JSON");
        assert!(!format!("{asked:?}").contains("hunter2"));
        let targets = asked.instead_of(&[], None).expect("good");
        assert!(!format!("{targets:?}").contains("hunter2"));
        let told = serde_json::to_string(&Restream::of(&targets[0], None)).expect("JSON");
        assert!(
            !told.contains("hunter2") && told.contains(r#""state":"idle""#),
            "{told}"
        );
    }
}
