//! What there is to be: the room on the node, and the Secret that the operator makes. Pure.

use std::collections::BTreeMap;

use isocast_admin::{OnConflict, Playback, PublishKey, PutRoom, RoomId};
use isocast_crds::{LiveRoom, OnConflict as SpecOnConflict};
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
    NewKey { id: RoomId, secret: String },
    Room { id: RoomId, put: PutRoom },
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
        playback: if is_public(room) {
            Playback::Public
        } else {
            Playback::Private
        },
        on_conflict: match room.spec.on_conflict.unwrap_or_default() {
            SpecOnConflict::Refuse => OnConflict::Refuse,
            SpecOnConflict::Takeover => OnConflict::Takeover,
        },
        stream_key: key.clone(),
    }
}

pub(super) fn is_public(room: &LiveRoom) -> bool {
    let playback = room.spec.playback.as_ref();
    playback.and_then(|playback| playback.public).unwrap_or_default()
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
            labels: Some(labels.into_iter().filter(|(_, value)| value.len() <= 63).collect()),
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
