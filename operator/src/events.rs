//! What `kubectl describe` and `kubectl get events` show: turns in an object's life, not its state.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};
use tokio::time::timeout;

use crate::apply::CALL;
use crate::names::FIELD_MANAGER;

#[derive(Clone)]
pub(crate) struct Events {
    recorder: Recorder,
}

impl Events {
    pub(crate) fn new(client: Client, instance: Option<String>) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance,
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    pub(crate) async fn normal<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        reason: &str,
        note: &str,
    ) {
        self.publish(EventType::Normal, about, reason, note).await;
    }

    pub(crate) async fn warning<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        reason: &str,
        note: &str,
    ) {
        self.publish(EventType::Warning, about, reason, note).await;
    }

    /// An event that cannot be written is logged and nothing else: the status says the same.
    async fn publish<K: Resource<DynamicType = ()>>(
        &self,
        type_: EventType,
        about: &K,
        reason: &str,
        note: &str,
    ) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(bounded(note)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let reference: ObjectReference = about.object_ref(&());
        let name = about.name_any();
        match timeout(CALL, self.recorder.publish(&event, &reference)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(name, reason, %error, "event not written"),
            Err(_) => tracing::warn!(name, reason, "event not written in time"),
        }
    }
}

/// The API server takes 1024 bytes.
fn bounded(note: &str) -> String {
    const BYTES_MAX: usize = 1000;
    let mut end = note.len().min(BYTES_MAX);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note[..end].to_owned()
}
