//! What there is of a LiveCluster.

use std::sync::Arc;

use isocast_crds::LiveCluster;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::tokens::{Token, Tokens};
use super::validate::names;
use crate::apply::{self, Kind, NotOwned, Object, Writer, within};
use crate::names::CLUSTER_LABEL;
use crate::watch::Caches;

pub(crate) struct Observed {
    /// Objects with the LiveCluster's label.
    pub objects: Vec<Object>,
    pub tokens: Result<Tokens, NotOwned>,
    /// The tokens' Secrets, as far as there are any.
    pub secrets: Vec<Object>,
    pub pods: Vec<Arc<Pod>>,
}

pub(crate) async fn observe(
    cluster: &LiveCluster,
    caches: &Caches,
    writer: &Writer,
) -> Result<Observed, apply::Error> {
    let names = names(cluster);
    let pods = caches.pods.state_filter(|pod| {
        pod.namespace().as_ref() == Some(&names.namespace)
            && pod.labels().get(CLUSTER_LABEL) == Some(&names.cluster)
    });
    with_tokens(cluster, caches.objects_of(&names), pods, writer).await
}

/// The same, asked of the API server at once, for who watches nothing.
pub(crate) async fn ask(
    cluster: &LiveCluster,
    client: &Client,
    writer: &Writer,
) -> Result<Observed, apply::Error> {
    let names = names(cluster);
    let label = format!("{CLUSTER_LABEL}={}", names.cluster);
    let lists = Kind::WATCHED.map(|kind| writer.list(kind, &label));
    let objects = futures_util::future::try_join_all(lists).await?.concat();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &names.namespace);
    let pods = within(
        "the list of pods",
        pods.list(&ListParams::default().labels(&label)),
    )
    .await?;
    let pods = pods.items.into_iter().map(Arc::new).collect();
    with_tokens(cluster, objects, pods, writer).await
}

async fn with_tokens(
    cluster: &LiveCluster,
    objects: Vec<Object>,
    pods: Vec<Arc<Pod>>,
    writer: &Writer,
) -> Result<Observed, apply::Error> {
    let names = names(cluster);
    let (admin_name, api_name) = (names.admin_token(), names.api_token());
    let (admin, api) = futures_util::try_join!(
        writer.find(Kind::Secret, &admin_name),
        writer.find(Kind::Secret, &api_name)
    )?;
    let uid = cluster.uid().unwrap_or_default();
    Ok(Observed {
        objects,
        tokens: tokens(&uid, admin.as_ref(), api.as_ref()),
        secrets: [admin, api].into_iter().flatten().collect(),
        pods,
    })
}

/// A Secret that is not ours holds somebody else's secret: it is not read.
fn tokens(uid: &str, admin: Option<&Object>, api: Option<&Object>) -> Result<Tokens, NotOwned> {
    let token = |found: Option<&Object>| match found {
        Some(secret) if !secret.is_controlled_by(uid) => Err(NotOwned {
            object: secret.to_string(),
        }),
        found => Ok(Token::of(found.and_then(Object::read).as_ref())),
    };
    Ok(Tokens {
        admin: token(admin)?,
        api: token(api)?,
    })
}
