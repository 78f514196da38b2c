//! `isocast-operator plan`: the first half of a reconciliation, printed instead of written.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use isocast_admin::RoomId;
use isocast_crds::{LiveCluster, LiveRoom};
use kube::api::{Api, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Plan;
use crate::apply::{Error, Step, differences, within};
use crate::cluster::desired::Home;
use crate::cluster::{self, Planned};
use crate::run::connect;
use crate::watch;

/// Manifests are some kilobytes; nobody's memory is to be filled by one.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Differences shown of one object.
const DIFFERENCES_MAX: usize = 20;

/// Why a plan could not be made: what was given is wrong, or something else is.
enum Trouble {
    Given(String),
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

pub(super) fn plan(asked: &Plan) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(print(asked)),
        Err(error) => Err(Trouble::Other(error.into())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble::Given(what)) => {
            eprintln!("isocast-operator: {}: {what}", asked.file.display());
            ExitCode::from(2)
        }
        Err(Trouble::Other(error)) => {
            eprintln!("isocast-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn print(asked: &Plan) -> Result<(), Trouble> {
    let objects = read(&text(&asked.file)?, &asked.namespace).map_err(Trouble::Given)?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let client = match asked.offline {
        true => None,
        false => Some(
            connect()
                .await
                .context("no cluster to compare with; --offline asks none")?,
        ),
    };
    for object in objects {
        let what = object.to_string();
        let lines = match object {
            Asked::Cluster(cluster) => {
                of_cluster(*cluster, client.as_ref(), &asked.operator_namespace).await
            }
            Asked::Room(room) => of_room(*room, client.as_ref()).await,
        };
        println!("{what}");
        let lines = lines.map_err(|trouble| match trouble {
            Trouble::Given(problem) => Trouble::Given(format!("{what}: {problem}")),
            other => other,
        })?;
        lines.iter().for_each(|line| println!("  {line}"));
    }
    Ok(())
}

fn text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin()
            .take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("{}", file.display()))?;
        opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
    };
    read.with_context(|| format!("{}", file.display()))?;
    anyhow::ensure!(
        text.len() as u64 <= FILE_BYTES_MAX,
        "{}: longer than {FILE_BYTES_MAX} bytes",
        file.display()
    );
    Ok(text)
}

/// An object of the file.
#[derive(Debug)]
enum Asked {
    Cluster(Box<LiveCluster>),
    Room(Box<LiveRoom>),
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, metadata) = match self {
            Self::Cluster(cluster) => ("LiveCluster", &cluster.metadata),
            Self::Room(room) => ("LiveRoom", &room.metadata),
        };
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        write!(
            f,
            "{kind} {}/{}",
            namespace.unwrap_or_default(),
            name.unwrap_or_default()
        )
    }
}

fn read(text: &str, namespace: &str) -> Result<Vec<Asked>, String> {
    let mut asked = Vec::new();
    for (index, document) in
        serde_yaml::Deserializer::from_str(text.trim_start_matches('\u{feff}')).enumerate()
    {
        // The parser's errors name line and column.
        let document =
            serde_yaml::Value::deserialize(document).map_err(|error| error.to_string())?;
        if document.is_null() {
            continue;
        }
        let place = format!("document {}", index + 1);
        let document =
            serde_json::to_value(document).map_err(|error| format!("{place}: {error}"))?;
        let version = document["apiVersion"].as_str().unwrap_or_default();
        match (version, document["kind"].as_str().unwrap_or_default()) {
            ("isocast.dev/v1alpha1", "LiveCluster") => {
                asked.push(Asked::Cluster(Box::new(typed(
                    &document, &place, namespace,
                )?)));
            }
            ("isocast.dev/v1alpha1", "LiveRoom") => {
                asked.push(Asked::Room(Box::new(typed(&document, &place, namespace)?)));
            }
            // Files mix kinds; the others are not ours to judge.
            (version, kind) if !kind.is_empty() && !version.is_empty() => {
                eprintln!("isocast-operator: {place} is a {kind}: left out");
            }
            _ => return Err(format!("{place}: apiVersion and kind are missing")),
        }
    }
    match asked.is_empty() {
        true => Err("no LiveCluster and no LiveRoom in it".to_owned()),
        false => Ok(asked),
    }
}

fn typed<K>(document: &Value, place: &str, namespace: &str) -> Result<K, String>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Serialize,
{
    let mut object: K =
        serde_json::from_value(document.clone()).map_err(|error| format!("{place}: {error}"))?;
    let known = serde_json::to_value(&object).map_err(|error| format!("{place}: {error}"))?;
    if let Some(path) = unknown("", document, &known) {
        return Err(format!("{place}: {path} is no field of a {}", K::kind(&())));
    }
    if object.meta().name.as_deref().unwrap_or_default().is_empty() {
        return Err(format!("{place}: metadata.name is missing"));
    }
    object
        .meta_mut()
        .namespace
        .get_or_insert_with(|| namespace.to_owned());
    Ok(object)
}

/// The first field that reading has not kept. The parser has bounded the depth.
fn unknown(path: &str, given: &Value, known: &Value) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match known.get(key) {
                Some(known) => unknown(&path, value, known),
                None if is_empty(value) => None,
                None => Some(path.trim_start_matches('.').to_owned()),
            }
        }),
        (Value::Array(given), Value::Array(known)) => {
            let mut pairs = given.iter().zip(known).enumerate();
            pairs.find_map(|(index, (given, known))| {
                unknown(&format!("{path}[{index}]"), given, known)
            })
        }
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

async fn of_cluster(
    mut cluster: LiveCluster,
    client: Option<&Client>,
    operator_namespace: &str,
) -> Result<Vec<String>, Trouble> {
    let home = Home {
        namespace: operator_namespace.to_owned(),
    };
    let mut lines = Vec::new();
    if let Some(client) = client {
        let (live, next) = dry_run(client, &cluster).await?;
        cluster.spec = next.spec;
        match live {
            Some(live) => cluster.metadata.uid = live.metadata.uid,
            None => lines.push("create LiveCluster".to_owned()),
        }
    }
    let planned = cluster::plan(&cluster, client, &home).await;
    let Planned { steps, pods } = planned.map_err(|error| match error {
        cluster::PlanError::Spec(problem) => Trouble::Given(problem),
        cluster::PlanError::Server(error) => Trouble::Other(error.into()),
    })?;
    lines.extend(steps.iter().flat_map(step));
    lines.extend(pods.iter().map(|pod| format!("replace Pod {pod}")));
    if lines.is_empty() {
        lines.push("nothing to change".to_owned());
    }
    Ok(lines)
}

fn step(step: &Step) -> Vec<String> {
    match step {
        Step::Create(object) => vec![format!("create {object}")],
        Step::Delete(object) => vec![format!("delete {object}")],
        Step::Change { from, to } => {
            let mut lines = vec![format!("change {to}")];
            // What a Secret holds is nobody's to read here.
            if to.kind != crate::apply::Kind::Secret {
                for (path, from, to) in differences(from.value(), to.value(), DIFFERENCES_MAX) {
                    let from = from.map_or("nothing".to_owned(), Value::to_string);
                    lines.push(format!("  {path}: {from} → {to}"));
                }
            }
            lines
        }
    }
}

async fn of_room(room: LiveRoom, client: Option<&Client>) -> Result<Vec<String>, Trouble> {
    let id = watch::id(&room);
    RoomId::parse(&id).map_err(|error| Trouble::Given(format!("room id {id}: {error}")))?;
    let Some(client) = client else {
        return Ok(vec!["create LiveRoom".to_owned()]);
    };
    let (live, next) = dry_run(client, &room).await?;
    let Some(live) = live else {
        return Ok(vec!["create LiveRoom".to_owned()]);
    };
    let value = |spec| serde_json::to_value(spec).unwrap_or_default();
    let (live, next) = (value(live.spec), value(next.spec));
    let mut lines: Vec<_> = differences(&live, &next, DIFFERENCES_MAX)
        .into_iter()
        .map(|(path, from, to)| {
            format!(
                "change {path}: {} → {to}",
                from.map_or("nothing".to_owned(), Value::to_string)
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push("nothing to change".to_owned());
    }
    Ok(lines)
}

/// The object as it is, and as the API server would have it after `kubectl apply`: its rules are
/// the last word on what is valid.
async fn dry_run<K>(client: &Client, asked: &K) -> Result<(Option<K>, K), Trouble>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + Serialize
        + Clone
        + std::fmt::Debug,
{
    let name = asked.name_any();
    let api: Api<K> = Api::namespaced(client.clone(), &asked.namespace().unwrap_or_default());
    let live = within(&name, api.get_opt(&name))
        .await
        .map_err(anyhow::Error::from)?;
    let params = PatchParams::apply("isocast-operator-plan")
        .force()
        .dry_run();
    match within(&name, api.patch(&name, &params, &Patch::Apply(asked))).await {
        Ok(next) => Ok((live, next)),
        Err(Error::Refused { message, .. }) => Err(Trouble::Given(message)),
        Err(Error::Conflict { .. }) if live.is_none() => {
            let namespace = asked.namespace().unwrap_or_default();
            Err(Trouble::Given(format!(
                "there is no namespace {namespace}, or the definitions are not installed"
            )))
        }
        Err(error) => Err(Trouble::Other(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "apiVersion: isocast.dev/v1alpha1\nkind: LiveCluster\nmetadata: {name: live}\nspec: {image: i}\n";

    #[test]
    fn files_are_read_or_refused_by_name() {
        let aliases = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
        for (text, expected) in [
            (CLUSTER.to_owned(), Ok("LiveCluster tv/live")),
            (format!("\u{feff}{CLUSTER}"), Ok("LiveCluster tv/live")),
            (format!("---\n---\n{CLUSTER}"), Ok("LiveCluster tv/live")),
            (String::new(), Err("no LiveCluster and no LiveRoom")),
            ("a: [".to_owned(), Err("line 2")),
            ("a: 1\n\tb: 2".to_owned(), Err("line 2")),
            ("a: 1\na: 2\n".to_owned(), Err("duplicate")),
            (aliases.to_owned(), Err("repetition limit")),
            ("kind: LiveCluster".to_owned(), Err("apiVersion")),
            (
                CLUSTER.replace("image: i", "imge: i"),
                Err("missing field `image`"),
            ),
            (
                CLUSTER.replace("image: i", "image: i, replica: 1"),
                Err("spec.replica is no field of a LiveCluster"),
            ),
            (
                CLUSTER.replace("image: i", "image: i, replicas: many"),
                Err("invalid type"),
            ),
            (
                CLUSTER.replace("name: live", "nam: live"),
                Err("metadata.nam is no field"),
            ),
            (
                CLUSTER.replace("{name: live}", "{}"),
                Err("metadata.name is missing"),
            ),
        ] {
            let read = read(&text, "tv");
            match (read, expected) {
                (Ok(objects), Ok(expected)) => assert_eq!(objects[0].to_string(), expected),
                (Err(error), Err(expected)) => {
                    assert!(error.contains(expected), "{text:?}: {error}")
                }
                (read, expected) => panic!("{text:?}: {read:?} instead of {expected:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_plan_without_a_cluster_is_all_new() {
        let mut objects = read(CLUSTER, "tv").expect("one LiveCluster");
        let Some(Asked::Cluster(cluster)) = objects.pop() else {
            panic!("one LiveCluster")
        };
        let Ok(lines) = of_cluster(*cluster, None, "isocast-system").await else {
            panic!("a plan")
        };
        assert!(
            lines.contains(&"create StatefulSet live".to_owned()),
            "{lines:?}"
        );
        assert!(
            lines.contains(&"create Secret live-admin-token".to_owned()),
            "{lines:?}"
        );
        assert!(
            lines.iter().all(|line| line.starts_with("create ")),
            "{lines:?}"
        );
    }
}
