//! Sending a publisher away, for whoever has the API token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::auth::{Authorized, RoomsWrite};
use super::body::read;
use super::rooms::{room_id, without_stream};
use super::wire::{BAN_S_MAX, Kick};
use crate::app::App;
use crate::error::Refusal;
use crate::hub::Source;
use crate::ingest::Banned;

/// `POST /api/v1/rooms/<id>/kick`: ends the present broadcast. Viewers are held as always when a
/// publisher goes, so that the next one finds them. While they are held, who published last can
/// still be banned.
pub(super) async fn kick(
    _: Authorized<RoomsWrite>,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Refusal> {
    let id = room_id(&id)?;
    // A body may be left out.
    let body = body.map_err(|_| Refusal::BodyTooLarge)?;
    let Kick { ban_s } = match body.is_empty() {
        true => Kick::default(),
        false => read(&body)?,
    };
    if ban_s > BAN_S_MAX {
        let text = format!("ban_s is {BAN_S_MAX} (a week) at most: replace the room's key instead");
        return Err(Refusal::BadRequest(text));
    }
    let now = Instant::now();
    let Some(stream) = app.hub.stream(&id) else {
        return Err(without_stream(&app, &id).await);
    };
    let ban = |source: &Source| {
        if ban_s > 0 {
            let banned = Banned::of(&id, source);
            app.bans.add(banned, Duration::from_secs(ban_s), now);
        }
    };
    // Before it goes, for another connection of its may wait for that; and once more, for another
    // publisher may have come in between.
    stream.newest_source().iter().for_each(ban);
    let to_ban = || stream.newest_source().filter(|_| ban_s > 0);
    let source = stream.kick(now).or_else(to_ban).ok_or(Refusal::NotLive)?;
    ban(&source);
    let key = source.key_fingerprint;
    tracing::info!(room = %id, key, ban_s, "publisher sent away");
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use crate::api::tests::{AUTHORIZED, JSON, Node, publish};
    use crate::hub::State;

    #[tokio::test]
    async fn the_publisher_goes_and_its_viewers_are_held() {
        let node = Node::start().await;
        let kick = async |headers: &[_], body: &str| {
            let line = "POST /api/v1/rooms/open/kick";
            node.ask(line, headers, body).await
        };
        let operator = &[AUTHORIZED, JSON];
        let nowhere = "POST /api/v1/rooms/nobody/kick";
        assert_eq!(node.ask(nowhere, operator, "").await.code(), "no_room");
        assert_eq!(node.ask(nowhere, &[], "").await.code(), "unauthorized");
        assert_eq!(kick(operator, "").await.code(), "not_live");
        let (publisher, stream) = publish(&node);
        assert_eq!(kick(&[], "").await.code(), "unauthorized");
        for body in [
            r#"{"ban_s": -1}"#,
            r#"{"ban_s": 604801}"#,
            r#"{"ban": 1}"#,
            "[",
            "7",
        ] {
            assert_eq!(kick(operator, body).await.code(), "bad_request", "{body}");
        }
        assert!(!publisher.revocation().has_come());

        assert_eq!(kick(operator, r#"{"ban_s": 60}"#).await.status, 204);
        let revocation = publisher.revocation();
        assert!(revocation.has_come() && revocation.is_by_operator());
        assert_eq!(stream.state(), State::Interrupted);
        assert_eq!(kick(&[AUTHORIZED], "").await.code(), "not_live");
        drop(publisher);
        let (again, _) = publish(&node);
        assert_eq!(kick(&[AUTHORIZED], "").await.status, 204);
        assert!(again.revocation().has_come());
    }

    #[tokio::test]
    async fn who_has_just_gone_is_banned_while_the_stream_is_held() {
        let node = Node::start().await;
        let kick = async |body: &str| {
            let line = "POST /api/v1/rooms/open/kick";
            node.ask(line, &[AUTHORIZED, JSON], body).await
        };
        let ban = r#"{"ban_s": 60}"#;
        let (publisher, stream) = publish(&node);
        drop(publisher);
        assert_eq!(stream.state(), State::Interrupted);
        assert_eq!(stream.source(), None);
        assert_eq!(kick("").await.code(), "not_live", "nobody is there to go");
        assert_eq!(kick(ban).await.status, 204);
        let hold = Duration::from_secs(node.app.config.hub.hold_s);
        node.app.hub.tick(Instant::now() + hold);
        assert_eq!(stream.state(), State::Ended);
        assert_eq!(kick(ban).await.code(), "not_live");
    }
}
