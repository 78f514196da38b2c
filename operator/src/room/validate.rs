//! Whether a LiveRoom can be made true, and if not, what has to change first. Pure.

use std::sync::Arc;

use isocast_admin::{PublishKey, RoomId, SECRET_CHARS_MIN};
use isocast_crds::{LiveCluster, LiveRoom};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::observe::Observed;
use crate::watch;

/// The data key where the spec names none, and of generated Secrets.
pub(super) const DATA_KEY: &str = "stream-key";

/// Why something cannot be, until somebody changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: &'static str,
    /// What is wrong and what to do; never a key.
    pub(super) message: String,
}

#[derive(Debug)]
pub(super) struct Checked {
    /// `None` where the LiveRoom's name is no room's.
    pub(super) id: Option<RoomId>,
    /// The LiveCluster, if this LiveRoom may have the room in it.
    pub(super) cluster: Result<Arc<LiveCluster>, Problem>,
    pub(super) key: Result<Key, Problem>,
}

#[derive(Clone, Debug)]
pub(super) enum Key {
    Found {
        secret: String,
        key: PublishKey,
    },
    /// There is no Secret, and it is on the operator to make it.
    ToMake {
        secret: String,
    },
}

/// Where the key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeySource {
    pub(super) secret: String,
    data_key: String,
    pub(super) is_generated: bool,
}

impl KeySource {
    pub(super) fn of(room: &LiveRoom) -> Self {
        let publish = room.spec.publish.as_ref();
        match publish.and_then(|publish| publish.key_secret_ref.as_ref()) {
            Some(own) => Self {
                secret: own.name.clone(),
                data_key: own.key.clone().unwrap_or_else(|| DATA_KEY.to_owned()),
                is_generated: false,
            },
            None => Self {
                secret: format!("{}-stream-key", room.name_any()),
                data_key: DATA_KEY.to_owned(),
                is_generated: true,
            },
        }
    }
}

pub(super) fn check(room: &LiveRoom, observed: &Observed) -> Checked {
    let id = id_of(room);
    Checked {
        cluster: accepted(room, id.as_ref(), observed),
        key: match &id {
            Some(id) => key(room, id, observed.secret.as_ref())
                .map_err(|problem| with_former(room, problem)),
            None => Err(no_id()),
        },
        id,
    }
}

pub(super) fn id_of(room: &LiveRoom) -> Option<RoomId> {
    RoomId::parse(&watch::id(room)).ok()
}

/// Of all that ask for one id the oldest has it; of those of one second the first by name.
pub(super) fn holder<'a>(room: &'a LiveRoom, rivals: &'a [Arc<LiveRoom>]) -> &'a LiveRoom {
    let all = rivals.iter().map(|rival| &**rival).chain([room]);
    let age = |room: &LiveRoom| {
        let created = room.metadata.creation_timestamp.as_ref();
        (created.map(|created| created.0), room.name_any())
    };
    all.min_by_key(|room| age(room)).unwrap_or(room)
}

fn accepted(
    room: &LiveRoom,
    id: Option<&RoomId>,
    observed: &Observed,
) -> Result<Arc<LiveCluster>, Problem> {
    let name = &room.spec.cluster_ref.name;
    let id = id.ok_or_else(no_id)?;
    let Some(cluster) = &observed.cluster else {
        return problem(
            "ClusterNotFound",
            format!(
                "there is no LiveCluster {name} in this namespace: create it, or make a new LiveRoom with another clusterRef"
            ),
        );
    };
    if cluster.metadata.deletion_timestamp.is_some() {
        return problem(
            "ClusterDeleting",
            format!(
                "LiveCluster {name} is being deleted: delete this LiveRoom, or create the LiveCluster again"
            ),
        );
    }
    let holder = holder(room, &observed.rivals).name_any();
    if holder != room.name_any() {
        return problem(
            "StreamNameTaken",
            format!(
                "LiveRoom {holder} is older and has the id {id} in LiveCluster {name}: delete one of the two"
            ),
        );
    }
    Ok(Arc::clone(cluster))
}

fn key(room: &LiveRoom, id: &RoomId, found: Option<&Secret>) -> Result<Key, Problem> {
    let source = KeySource::of(room);
    let KeySource {
        secret, data_key, ..
    } = &source;
    let Some(found) = found else {
        if source.is_generated {
            return Ok(Key::ToMake {
                secret: source.secret,
            });
        }
        return problem(
            "SecretNotFound",
            format!(
                "there is no Secret {secret} in this namespace: create it with the stream key under {data_key}"
            ),
        );
    };
    if source.is_generated && !is_owned(found, room) {
        return problem(
            "SecretNotOwned",
            format!(
                "Secret {secret} is not of this LiveRoom and is left alone: delete or rename it, or name it in spec.publish.keySecretRef"
            ),
        );
    }
    Ok(Key::Found {
        key: source.key_in(found, id)?,
        secret: source.secret,
    })
}

impl KeySource {
    fn key_in(&self, found: &Secret, id: &RoomId) -> Result<PublishKey, Problem> {
        let (secret, data_key) = (&self.secret, &self.data_key);
        let data = found.data.as_ref();
        let Some(ByteString(bytes)) = data.and_then(|data| data.get(data_key)) else {
            let choice = self.choice(id);
            return problem(
                "SecretKeyMissing",
                format!("Secret {secret} has no data key {data_key}: {choice}"),
            );
        };
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        // Editors and shells end a file with a newline.
        let text = text.strip_suffix('\n').unwrap_or(text);
        let Ok(key) = PublishKey::parse(text) else {
            let remedy = self.remedy(id);
            return problem(
                "KeyMalformed",
                format!("what Secret {secret} holds under {data_key} is no stream key: {remedy}"),
            );
        };
        if key.room() != id {
            let choice = self.choice(id);
            return problem(
                "KeyOfAnotherRoom",
                format!(
                    "the stream key in Secret {secret} is of another room, not of {id}: {choice}"
                ),
            );
        }
        if key.is_too_short() {
            let remedy = self.remedy(id);
            return problem(
                "KeyTooShort",
                format!(
                    "the part of the stream key in Secret {secret} after _key_ has fewer than {SECRET_CHARS_MIN} characters and could be guessed: {remedy}"
                ),
            );
        }
        Ok(key)
    }

    /// What to do about a Secret that is the right one.
    fn remedy(&self, id: &RoomId) -> String {
        let (secret, data_key) = (&self.secret, &self.data_key);
        match self.is_generated {
            true => format!("delete Secret {secret} and a new key is made"),
            false => format!(
                "set data key {data_key} of Secret {secret} to room_{id}_key_<letters and digits>"
            ),
        }
    }

    /// The same where it may be somebody else's Secret that is named.
    fn choice(&self, id: &RoomId) -> String {
        let remedy = self.remedy(id);
        match self.is_generated {
            true => remedy,
            false => {
                format!("name the right one in spec.publish.keySecretRef, or {remedy}")
            }
        }
    }
}

/// A Secret that is broken or gone takes no key away: an encoder that has the former one goes on.
fn with_former(room: &LiveRoom, mut problem: Problem) -> Problem {
    if let Some(former) = room.status.as_ref().and_then(|status| status.key.as_ref()) {
        let fingerprint = &former.fingerprint;
        problem.message += &format!(
            "; until there is another, the former key ({fingerprint}) still opens the room"
        );
    }
    problem
}

fn is_owned(secret: &Secret, room: &LiveRoom) -> bool {
    let mut owners = secret.owner_references().iter();
    owners.any(|owner| owner.controller == Some(true) && Some(&owner.uid) == room.uid().as_ref())
}

fn no_id() -> Problem {
    Problem {
        reason: "StreamNameInvalid",
        message: "the name cannot be a room's id: make a new LiveRoom with spec.streamName"
            .to_owned(),
    }
}

fn problem<T>(reason: &'static str, message: String) -> Result<T, Problem> {
    Err(Problem { reason, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Live;
    use crate::room::tests::{cluster, room};
    use serde_json::{Value, json};

    fn secret(owner: Value, data: Value) -> Secret {
        let owners = match owner {
            Value::Null => json!([]),
            owner => json!([{
                "apiVersion": "isocast.dev/v1alpha1", "kind": "LiveRoom", "name": "r",
                "uid": "uid-of-r", "controller": owner,
            }]),
        };
        let mut secret: Secret =
            serde_json::from_value(json!({"metadata": {"ownerReferences": owners}}))
                .expect("a Secret");
        let texts = data.as_object().expect("an object").iter();
        let data = texts.map(|(key, text)| {
            let text = text.as_str().expect("text").as_bytes().to_vec();
            (key.clone(), ByteString(text))
        });
        secret.data = Some(data.collect());
        secret
    }

    #[test]
    fn a_key_is_taken_or_told_what_is_wrong_with_it() {
        let own = json!({"publish": {"keySecretRef": {"name": "mine"}}});
        let other = json!({"publish": {"keySecretRef": {"name": "mine", "key": "k.1"}}});
        let generate = json!({"publish": {"generate": {}}});
        let good = json!({"stream-key": "room_r_key_aZ9aZ9aZ9aZ9aZ9aZ9aZ9"});
        for (spec, found, expected) in [
            (
                &own,
                None,
                "SecretNotFound: there is no Secret mine in this namespace: create it",
            ),
            (&own, Some((json!(null), good.clone())), "mine"),
            (
                &own,
                Some((
                    json!(null),
                    json!({"stream-key": "room_r_key_aZ9aZ9aZ9aZ9aZ9aZ9aZ9\n"}),
                )),
                "mine",
            ),
            (
                &own,
                Some((json!(null), json!({}))),
                "SecretKeyMissing: Secret mine has no data key stream-key: name the right one in spec.publish.keySecretRef, or set data key stream-key of Secret mine to room_r_key_<letters and digits>",
            ),
            (
                &own,
                Some((json!(null), json!({"stream-key": ""}))),
                "KeyMalformed: ",
            ),
            (
                &own,
                Some((
                    json!(null),
                    json!({"stream-key": "room_r_key_aZ9aZ9aZ9aZ9aZ9aZ9aZ9\r\n"}),
                )),
                "KeyMalformed: ",
            ),
            (
                &own,
                Some((
                    json!(null),
                    json!({"stream-key": " room_r_key_aZ9aZ9aZ9aZ9aZ9aZ9aZ9"}),
                )),
                "KeyMalformed: ",
            ),
            (
                &own,
                Some((json!(null), json!({"stream-key": "room_r_key_secret123"}))),
                "KeyTooShort: the part of the stream key in Secret mine after _key_ has fewer than 20 characters",
            ),
            (
                &own,
                Some((
                    json!(null),
                    json!({"stream-key": "room_r2_key_aZ9aZ9aZ9aZ9aZ9aZ9aZ9"}),
                )),
                "KeyOfAnotherRoom: the stream key in Secret mine is of another room, not of r: name the right one in spec.publish.keySecretRef, or set ",
            ),
            (
                &other,
                Some((json!(null), good.clone())),
                "SecretKeyMissing: Secret mine has no data key k.1",
            ),
            (
                &other,
                Some((
                    json!(null),
                    json!({"k.1": "room_r_key_aZ9aZ9aZ9aZ9aZ9aZ9aZ9"}),
                )),
                "mine",
            ),
            (&generate, None, "to make r-stream-key"),
            (&json!({}), None, "to make r-stream-key"),
            (&generate, Some((json!(true), good.clone())), "r-stream-key"),
            (
                &generate,
                Some((json!(false), good.clone())),
                "SecretNotOwned: ",
            ),
            (
                &generate,
                Some((json!(null), good.clone())),
                "SecretNotOwned: Secret r-stream-key is not of this LiveRoom and is left alone",
            ),
            (
                &generate,
                Some((json!(true), json!({}))),
                "SecretKeyMissing: Secret r-stream-key has no data key stream-key: delete Secret r-stream-key and a new key is made",
            ),
            (
                &generate,
                Some((json!(true), json!({"stream-key": "x"}))),
                "KeyMalformed: ",
            ),
        ] {
            let room = room("r", json!({}), spec.clone());
            let id = id_of(&room).expect("an id");
            let shown = format!("{found:?}");
            let found = found.map(|(owner, data)| secret(owner, data));
            let said = match key(&room, &id, found.as_ref()) {
                Ok(Key::Found { secret, key }) => {
                    assert_eq!(key.reveal(), "room_r_key_aZ9aZ9aZ9aZ9aZ9aZ9aZ9");
                    secret
                }
                Ok(Key::ToMake { secret }) => format!("to make {secret}"),
                Err(Problem { reason, message }) => format!("{reason}: {message}"),
            };
            if expected.contains(':') {
                assert!(said.starts_with(expected), "{spec} {shown}: {said}");
                assert!(!said.contains("aZ9"), "{said}");
            } else {
                assert_eq!(said, expected, "{spec} {shown}");
            }
        }
    }

    #[test]
    fn the_oldest_has_the_id_then_the_first_by_name() {
        let at = |name: &str, created: &str| {
            room(
                name,
                json!({"creationTimestamp": created}),
                json!({"streamName": "one"}),
            )
        };
        let early = "2026-01-01T00:00:00Z";
        let late = "2026-01-01T00:00:01Z";
        for (me, rivals, has) in [
            (at("b", early), vec![], "b"),
            (at("b", early), vec![at("a", late)], "b"),
            (at("b", late), vec![at("c", early)], "c"),
            (at("b", early), vec![at("a", early)], "a"),
            (at("b", early), vec![at("c", early)], "b"),
            (at("b", late), vec![at("a", late), at("c", early)], "c"),
        ] {
            let rivals: Vec<_> = rivals.into_iter().map(Arc::new).collect();
            assert_eq!(holder(&me, &rivals).name_any(), has);
            let observed = Observed {
                cluster: Some(Arc::new(cluster(json!({})))),
                rivals,
                secret: None,
                node: None,
                live: Live::Unknown,
            };
            let taken = check(&me, &observed)
                .cluster
                .err()
                .map(|problem| problem.message);
            let message = format!(
                "LiveRoom {has} is older and has the id one in LiveCluster c: delete one of the two"
            );
            assert_eq!(taken, (has != "b").then_some(message));
        }
    }

    #[test]
    fn a_name_that_is_no_id_is_told() {
        let room = room("a.b", json!({}), json!({}));
        let observed = Observed {
            cluster: Some(Arc::new(cluster(json!({})))),
            rivals: vec![],
            secret: None,
            node: None,
            live: Live::Unknown,
        };
        let checked = check(&room, &observed);
        assert!(checked.id.is_none());
        for problem in [checked.cluster.err(), checked.key.err()] {
            assert_eq!(problem.expect("a problem").reason, "StreamNameInvalid");
        }
    }
}
