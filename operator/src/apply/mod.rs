//! The only writer of what a LiveCluster consists of.
//!
//! [`steps`] decides, [`Writer`] does: server-side apply with one field manager, forced only over
//! what is ours; deletion only of the very object that was looked at.

mod covers;
mod object;
mod overlay;
mod steps;

use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, ResourceExt};
use serde_json::Value;
use tokio::time::timeout;

use covers::covers;
pub(crate) use covers::differences;
pub(crate) use object::{Kind, Object};
pub(crate) use steps::{NotOwned, Step, steps};

use crate::names::FIELD_MANAGER;

/// How long the API server may take for one call.
pub(crate) const CALL: Duration = Duration::from_secs(5);

/// Why a call to the API server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The spec's fault, told by the API server.
    #[error("the API server refuses {what}: {message}")]
    Refused { what: String, message: String },
    /// The operator's rights, or a quota.
    #[error("the operator may not write {what}: {message}")]
    Forbidden { what: String, message: String },
    /// Somebody else was faster; looking again helps.
    #[error("{what} has changed meanwhile")]
    Conflict { what: String },
    /// Asking again later may help.
    #[error("the API server does not answer for {what}: {message}")]
    Unavailable { what: String, message: String },
}

impl Error {
    pub(crate) fn of(what: impl std::fmt::Display, error: kube::Error) -> Self {
        let what = what.to_string();
        let kube::Error::Api(status) = error else {
            return Self::Unavailable {
                what,
                message: error.to_string(),
            };
        };
        let message = status.message.clone();
        match status.code {
            400 | 422 => Self::Refused { what, message },
            403 => Self::Forbidden { what, message },
            404 | 409 => Self::Conflict { what },
            _ => Self::Unavailable { what, message },
        }
    }
}

/// The answer to one call, within [`CALL`].
pub(crate) async fn within<T>(
    what: impl std::fmt::Display,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Error> {
    match timeout(CALL, call).await {
        Ok(answer) => answer.map_err(|error| Error::of(what, error)),
        Err(_) => Err(Error::Unavailable {
            what: what.to_string(),
            message: format!("nothing within {} s", CALL.as_secs()),
        }),
    }
}

/// Writes to one namespace.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    namespace: String,
}

impl Writer {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.api_resource())
    }

    /// The object of this name, whosever it is.
    pub(crate) async fn find(&self, kind: Kind, name: &str) -> Result<Option<Object>, Error> {
        let found = within(format!("{kind} {name}"), self.api(kind).get_opt(name)).await?;
        Ok(found.map(|found| object(kind, &found)))
    }

    /// The objects with this label.
    pub(crate) async fn list(&self, kind: Kind, label: &str) -> Result<Vec<Object>, Error> {
        let params = kube::api::ListParams::default().labels(label);
        let list = within(format!("the list of {kind}s"), self.api(kind).list(&params)).await?;
        Ok(list.items.iter().map(|item| object(kind, item)).collect())
    }

    /// Does one step; the object as it is now, `None` for one that is gone.
    pub(crate) async fn write(&self, step: &Step) -> Result<Option<Object>, Error> {
        match step {
            // Not forced: where somebody has just made the object otherwise, that is a conflict.
            Step::Create(object) => self.apply(object, false).await.map(Some),
            Step::Change { from, to } => self.change(from, to).await.map(Some),
            Step::Delete(object) => self.delete(object).await.map(|()| None),
        }
    }

    async fn change(&self, live: &Object, wanted: &Object) -> Result<Object, Error> {
        let refused = match self.apply(wanted, true).await {
            Ok(applied) if covers(applied.value(), wanted.value()) => return Ok(applied),
            // Others have put in what does not go by applying.
            Ok(applied) => {
                let replaced = self.replace(&applied, wanted).await?;
                return if covers(replaced.value(), wanted.value()) {
                    Ok(replaced)
                } else {
                    let what = format!("{wanted}, by somebody who does so each time,");
                    Err(Error::Conflict { what })
                };
            }
            Err(refused @ Error::Refused { .. }) => refused,
            Err(error) => return Err(error),
        };
        match self.replace(live, wanted).await {
            // What was wrong at first says more.
            Err(Error::Refused { .. } | Error::Forbidden { .. }) => Err(refused),
            done => done,
        }
    }

    async fn apply(&self, wanted: &Object, force: bool) -> Result<Object, Error> {
        let mut params = PatchParams::apply(FIELD_MANAGER);
        params.force = force;
        let api = self.api(wanted.kind);
        let patch = Patch::Apply(wanted.value());
        let written = within(wanted, api.patch(wanted.name(), &params, &patch)).await?;
        tracing::info!(namespace = self.namespace, object = %wanted, "applied");
        Ok(object(wanted.kind, &written))
    }

    /// The version that was looked at must still be the present one.
    async fn replace(&self, live: &Object, wanted: &Object) -> Result<Object, Error> {
        let whole = overlay::overlay(live.value(), wanted.value());
        let whole = serde_json::from_value(whole).map_err(|error| Error::Refused {
            what: wanted.to_string(),
            message: error.to_string(),
        })?;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            dry_run: false,
        };
        let api = self.api(wanted.kind);
        let written = within(wanted, api.replace(wanted.name(), &params, &whole)).await?;
        tracing::info!(namespace = self.namespace, object = %wanted, "replaced");
        Ok(object(wanted.kind, &written))
    }

    async fn delete(&self, unwanted: &Object) -> Result<(), Error> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(unwanted.uid().to_owned()),
                resource_version: Some(unwanted.resource_version().to_owned()),
            }),
            ..DeleteParams::background()
        };
        let api = self.api(unwanted.kind);
        within(unwanted, api.delete(unwanted.name(), &params)).await?;
        tracing::info!(namespace = self.namespace, object = %unwanted, "deleted");
        Ok(())
    }
}

pub(crate) fn object(kind: Kind, found: &DynamicObject) -> Object {
    debug_assert!(!found.name_any().is_empty());
    let value = serde_json::to_value(found).unwrap_or(Value::Null);
    Object::new(kind, value)
}
