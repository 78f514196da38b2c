//! What there is to be: the room on the node, and the Secret that the operator makes. Pure.

use std::collections::BTreeMap;

use isocast_admin::{OnConflict, Playback, PublishKey, PutRoom, RoomId, RoomLimits};
use isocast_crds::{LiveRoom, OnConflict as SpecOnConflict, Playback as SpecPlayback};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};

use super::validate::{Checked, DATA_KEY, Key};
use crate::names::MANAGED_BY;

/// The LiveRoom that a generated Secret is of.
const ROOM_LABEL: &str = "isocast.dev/room";

/// What is to be done, one after the other.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Nothing, until a problem is gone.
    Nothing,
    /// A key and its Secret; then the room with that key.
    NewKey {
        id: RoomId,
        secret: String,
    },
    Room {
        id: RoomId,
        put: PutRoom,
    },
}

pub(super) fn desired(room: &LiveRoom, checked: &Checked) -> Wanted {
    match (&checked.id, &checked.cluster, &checked.key) {
        (Some(id), Ok(_), Ok(Key::ToMake { secret })) => Wanted::NewKey {
            id: id.clone(),
            secret: secret.clone(),
        },
        (Some(id), Ok(_), Ok(Key::Found { key, .. })) => Wanted::Room {
            id: id.clone(),
            put: put(room, key),
        },
        _ => Wanted::Nothing,
    }
}

pub(super) fn put(room: &LiveRoom, key: &PublishKey) -> PutRoom {
    PutRoom {
        playback: match room.spec.playback.unwrap_or_default() {
            SpecPlayback::Public => Playback::Public,
            SpecPlayback::Signed => Playback::Signed,
            SpecPlayback::Private => Playback::Private,
        },
        on_conflict: match room.spec.on_conflict.unwrap_or_default() {
            SpecOnConflict::Refuse => OnConflict::Refuse,
            SpecOnConflict::Takeover => OnConflict::Takeover,
        },
        limits: RoomLimits::default(),
        stream_key: key.clone(),
    }
}

pub(super) fn is_public(room: &LiveRoom) -> bool {
    room.spec.playback == Some(SpecPlayback::Public)
}

/// The Secret of a generated key. It goes with its LiveRoom.
pub(super) fn secret(room: &LiveRoom, name: &str, key: &PublishKey) -> Secret {
    let labels = [MANAGED_BY, (ROOM_LABEL, &room.name_any())];
    let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: room.namespace(),
            // A label's value has at most 63 characters, a LiveRoom's name may have more.
            labels: Some(
                labels
                    .into_iter()
                    .filter(|(_, value)| value.len() <= 63)
                    .collect(),
            ),
            owner_references: Some(room.controller_owner_ref(&()).into_iter().collect()),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(
            DATA_KEY.to_owned(),
            ByteString(key.reveal().as_bytes().to_vec()),
        )])),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::tests::room;
    use serde_json::{json, to_value};

    fn key() -> PublishKey {
        PublishKey::parse("room_r_key_aZ9").expect("a key")
    }

    #[test]
    fn what_the_spec_leaves_out_is_signed_and_refuses() {
        for (spec, playback, on_conflict) in [
            (json!({}), "signed", "refuse"),
            (json!({"playback": "signed"}), "signed", "refuse"),
            (
                json!({"playback": "private", "onConflict": "refuse"}),
                "private",
                "refuse",
            ),
            (
                json!({"playback": "public", "onConflict": "takeover"}),
                "public",
                "takeover",
            ),
        ] {
            let put = put(&room("r", json!({}), spec), &key());
            let expected = json!({
                "playback": playback, "on_conflict": on_conflict, "stream_key": "room_r_key_aZ9",
            });
            assert_eq!(to_value(put).expect("JSON"), expected);
        }
    }

    #[test]
    fn a_generated_secret_goes_with_its_room() {
        let made = secret(&room("r", json!({}), json!({})), "r-stream-key", &key());
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": "r-stream-key", "namespace": "n",
                "labels": {
                    "app.kubernetes.io/managed-by": "isocast-operator", "isocast.dev/room": "r",
                },
                "ownerReferences": [{
                    "apiVersion": "isocast.dev/v1alpha1", "kind": "LiveRoom", "name": "r",
                    "uid": "uid-of-r", "controller": true,
                }],
            },
            "data": {"stream-key": "cm9vbV9yX2tleV9hWjk="},
        });
        assert_eq!(to_value(made).expect("JSON"), expected);

        let long = room(&"r".repeat(64), json!({}), json!({}));
        let labels = secret(&long, "s", &key()).metadata.labels.expect("labels");
        assert_eq!(
            labels.into_keys().collect::<Vec<_>>(),
            ["app.kubernetes.io/managed-by"]
        );
    }
}
