//! What there is of a LiveCluster.

use std::sync::Arc;

use isocast_crds::LiveCluster;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use super::tokens::{Tokens, secret_names};
use super::validate::names;
use crate::apply::{self, Kind, NotOwned, Object, Writer, within};
use crate::names::{CLUSTER_LABEL, Names};
use crate::watch::Caches;

pub(crate) struct Observed {
    /// Objects with the LiveCluster's label.
    pub objects: Vec<Object>,
    pub tokens: Result<Tokens, NotOwned>,
    /// The tokens' Secrets, as far as there are any.
    pub secrets: Vec<Object>,
    /// The Secret with the certificate.
    pub tls: Option<Object>,
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
    let ours = secret_names(&names);
    let asked = ours.iter().map(|name| writer.find(Kind::Secret, name));
    let (ours, tls) = futures_util::try_join!(
        futures_util::future::try_join_all(asked),
        find_tls(cluster, writer)
    )?;
    let secrets: Vec<_> = ours.into_iter().flatten().collect();
    let uid = cluster.uid().unwrap_or_default();
    Ok(Observed {
        objects,
        tokens: tokens(&uid, &names, &secrets, tls.as_ref()),
        secrets,
        tls,
        pods,
    })
}

/// The Secret that the spec names for TLS, as far as there is one.
async fn find_tls(cluster: &LiveCluster, writer: &Writer) -> Result<Option<Object>, apply::Error> {
    let expose = cluster.spec.expose.as_ref();
    match expose.and_then(|expose| expose.tls.as_ref()) {
        Some(tls) => writer.find(Kind::Secret, &tls.secret_name).await,
        None => Ok(None),
    }
}

/// A Secret that is not ours holds somebody else's secret: it is not read.
fn tokens(
    uid: &str,
    names: &Names,
    secrets: &[Object],
    tls: Option<&Object>,
) -> Result<Tokens, NotOwned> {
    let stranger = secrets.iter().find(|secret| !secret.is_controlled_by(uid));
    if let Some(secret) = stranger {
        return Err(NotOwned {
            object: secret.to_string(),
        });
    }
    let found = |name: &str| {
        let secret = secrets.iter().find(|secret| secret.name() == name);
        secret.and_then(Object::read)
    };
    let certificate = tls.map(|secret| secret.resource_version().to_owned());
    Ok(Tokens::of(names, found, certificate))
}
