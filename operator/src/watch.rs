//! What the API server tells, kept at hand, and who has to be looked at when it changes.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use isocast_crds::{LiveCluster, LiveRoom};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject};
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apply::{self, Kind, Object};
use crate::names::{CLUSTER_LABEL, MANAGED_BY, Names};

/// Objects that wait to be looked at. The reconcilers take them at once and drop doubles, so this
/// fills only for moments; then the watches wait.
const QUEUE_MAX: usize = 1024;

/// All that the operator has been told.
pub(crate) struct Caches {
    pub clusters: Store<LiveCluster>,
    pub rooms: Store<LiveRoom>,
    pub pods: Store<Pod>,
    objects: Vec<(Kind, Store<DynamicObject>)>,
}

impl Caches {
    /// What carries the LiveCluster's label.
    pub(crate) fn objects_of(&self, names: &Names) -> Vec<Object> {
        let is_its = |object: &DynamicObject| {
            object.namespace().as_ref() == Some(&names.namespace)
                && object.labels().get(CLUSTER_LABEL) == Some(&names.cluster)
        };
        let all = self.objects.iter().flat_map(|(kind, store)| {
            let found = store.state_filter(is_its);
            found
                .into_iter()
                .map(|object| apply::object(*kind, &object))
        });
        all.collect()
    }

    /// Until everything has been told once.
    pub(crate) async fn wait(&self) {
        // An error here is the end of the watch, which only the end of the operator brings.
        let _ = self.clusters.wait_until_ready().await;
        let _ = self.rooms.wait_until_ready().await;
        let _ = self.pods.wait_until_ready().await;
        for (_, store) in &self.objects {
            let _ = store.wait_until_ready().await;
        }
    }
}

/// Where those go that have to be looked at.
#[derive(Clone)]
pub(crate) struct Triggers {
    pub clusters: mpsc::Sender<ObjectRef<LiveCluster>>,
    pub rooms: mpsc::Sender<ObjectRef<LiveRoom>>,
}

/// Where they come out.
pub(crate) struct Queues {
    pub clusters: mpsc::Receiver<ObjectRef<LiveCluster>>,
    pub rooms: mpsc::Receiver<ObjectRef<LiveRoom>>,
}

pub(crate) fn queues() -> (Triggers, Queues) {
    let (clusters, clusters_out) = mpsc::channel(QUEUE_MAX);
    let (rooms, rooms_out) = mpsc::channel(QUEUE_MAX);
    (
        Triggers { clusters, rooms },
        Queues {
            clusters: clusters_out,
            rooms: rooms_out,
        },
    )
}

/// Starts all watches of one namespace, or of all.
pub(crate) fn start(
    client: &Client,
    namespace: Option<&str>,
    triggers: &Triggers,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Arc<Caches> {
    let everything = watcher::Config::default();
    let ours = everything
        .clone()
        .labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    let (clusters, cluster_events) = reflected(api(client, namespace), everything.clone());
    let (rooms, room_events) = reflected(api(client, namespace), everything);
    let (pods, pod_events) = reflected(api(client, namespace), ours.clone());
    let to = Telling {
        triggers,
        tasks,
        stop,
    };
    let objects = Kind::WATCHED.map(|kind| {
        let resource = kind.api_resource();
        let api = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let (store, events) = reflected_as(api, ours.clone(), resource);
        to.owners_of_objects(store.clone(), events);
        (kind, store)
    });
    let caches = Arc::new(Caches {
        clusters,
        rooms,
        pods,
        objects: objects.into(),
    });
    to.rooms_of_clusters(&caches, cluster_events);
    to.rivals_of_rooms(&caches, room_events);
    to.clusters_of_pods(&caches, pod_events);
    caches
}

/// Tells who has to be looked at, by what each watch says.
struct Telling<'a> {
    triggers: &'a Triggers,
    tasks: &'a TaskTracker,
    stop: &'a CancellationToken,
}

impl Telling<'_> {
    fn owners_of_objects(&self, store: Store<DynamicObject>, events: impl Events<DynamicObject>) {
        let clusters = self.triggers.clusters.clone();
        let tell = async move |Told(object, _): Told<DynamicObject>| {
            for owner in owners(&object) {
                let _ = clusters.send(owner).await;
            }
        };
        self.tasks
            .spawn(run(store, events, self.stop.clone(), tell));
    }

    /// A LiveCluster itself, and its rooms where they need to know.
    fn rooms_of_clusters(&self, caches: &Arc<Caches>, events: impl Events<LiveCluster>) {
        let (to, all) = (self.triggers.clone(), Arc::clone(caches));
        let mut seen = HashMap::new();
        let tell = async move |Told(cluster, is_gone): Told<LiveCluster>| {
            let key = ObjectRef::from_obj(&*cluster);
            let of_use = of_use(&cluster, is_gone);
            let before = if is_gone {
                seen.remove(&key)
            } else {
                seen.insert(key.clone(), of_use)
            };
            let _ = to.clusters.send(key.clone()).await;
            if before != Some(of_use) {
                for room in all.rooms.state_filter(|room| is_of(room, &key)) {
                    let _ = to.rooms.send(ObjectRef::from_obj(&*room)).await;
                }
            }
        };
        let store = caches.clusters.clone();
        self.tasks
            .spawn(run(store, events, self.stop.clone(), tell));
    }

    /// A LiveRoom itself, and whoever wants the same id: it may have that, or lose it, now.
    fn rivals_of_rooms(&self, caches: &Arc<Caches>, events: impl Events<LiveRoom>) {
        let (to, all) = (self.triggers.rooms.clone(), Arc::clone(caches));
        let tell = async move |Told(room, _): Told<LiveRoom>| {
            for rival in all.rooms.state_filter(|other| are_rivals(other, &room)) {
                let _ = to.send(ObjectRef::from_obj(&*rival)).await;
            }
            let _ = to.send(ObjectRef::from_obj(&*room)).await;
        };
        let store = caches.rooms.clone();
        self.tasks
            .spawn(run(store, events, self.stop.clone(), tell));
    }

    fn clusters_of_pods(&self, caches: &Arc<Caches>, events: impl Events<Pod>) {
        let to = self.triggers.clusters.clone();
        let tell = async move |Told(pod, _): Told<Pod>| {
            if let Some(name) = pod.labels().get(CLUSTER_LABEL) {
                let namespace = pod.namespace().unwrap_or_default();
                let _ = to.send(ObjectRef::new(name).within(&namespace)).await;
            }
        };
        let store = caches.pods.clone();
        self.tasks
            .spawn(run(store, events, self.stop.clone(), tell));
    }
}

/// What a watch says.
trait Events<K>: Stream<Item = watcher::Result<Event<K>>> + Send + 'static {}

impl<K, S: Stream<Item = watcher::Result<Event<K>>> + Send + 'static> Events<K> for S {}

/// An object that is new, changed or (true) gone.
struct Told<K>(Arc<K>, bool);

/// Tells what a watch says. A list is told when it is whole, for only then the store has it: before,
/// whoever is told would look at what was.
async fn run<K>(
    store: Store<K>,
    events: impl Events<K>,
    stop: CancellationToken,
    mut tell: impl AsyncFnMut(Told<K>),
) where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    let mut events = std::pin::pin!(events);
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            Some(Ok(Event::Apply(object))) => tell(Told(Arc::new(object), false)).await,
            Some(Ok(Event::Delete(object))) => tell(Told(Arc::new(object), true)).await,
            Some(Ok(Event::Init | Event::InitApply(_))) => {}
            Some(Ok(Event::InitDone)) => {
                for object in store.state() {
                    tell(Told(object, false)).await;
                }
            }
            // The watch begins again by itself, after a pause.
            Some(Err(error)) => {
                tracing::warn!(kind = std::any::type_name::<K>(), %error, "the API server's watch broke");
            }
            None => return,
        }
    }
}

fn reflected<K>(api: Api<K>, config: watcher::Config) -> (Store<K>, impl Events<K>)
where
    K: Resource<DynamicType = ()>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let (reader, writer) = store();
    let events = watch(api, config)
        .default_backoff()
        .modify(trim)
        .reflect(writer);
    (reader, events)
}

fn reflected_as(
    api: Api<DynamicObject>,
    config: watcher::Config,
    resource: kube::core::ApiResource,
) -> (Store<DynamicObject>, impl Events<DynamicObject>) {
    let writer = kube::runtime::reflector::store::Writer::new(resource);
    let reader = writer.as_reader();
    let events = watch(api, config)
        .default_backoff()
        .modify(trim)
        .reflect(writer);
    (reader, events)
}

/// Who wrote which field is half of an object's size, and nothing here asks for it.
fn trim<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn owners(object: &DynamicObject) -> Vec<ObjectRef<LiveCluster>> {
    let namespace = object.namespace().unwrap_or_default();
    let owners = object.owner_references().iter();
    let clusters = owners.filter(|owner| owner.kind == "LiveCluster");
    clusters
        .map(|owner| ObjectRef::new(&owner.name).within(&namespace))
        .collect()
}

/// What rooms need to know of their LiveCluster. Its count of live rooms is not part of it: a
/// thousand rooms need not be looked at because one of them went live.
fn of_use(cluster: &LiveCluster, is_gone: bool) -> u64 {
    let status = cluster.status.as_ref();
    let urls = status.and_then(|status| status.urls.clone());
    let protocols = status.and_then(|status| Some(status.effective.clone()?.protocols));
    let mut hasher = DefaultHasher::new();
    let urls = urls.map(|urls| (urls.rtmp, urls.http));
    let is_going = is_gone || cluster.metadata.deletion_timestamp.is_some();
    let serves = status
        .and_then(|status| status.ready_replicas)
        .is_some_and(|ready| ready > 0);
    let is_stopped = cluster.spec.replicas == Some(0);
    (is_going, is_stopped, serves, urls, protocols).hash(&mut hasher);
    hasher.finish()
}

/// Whether the room is one of this LiveCluster.
pub(crate) fn is_of(room: &LiveRoom, cluster: &ObjectRef<LiveCluster>) -> bool {
    room.namespace() == cluster.namespace && room.spec.cluster_ref.name == cluster.name
}

/// The room's id: the name that the spec gives it, or its own.
pub(crate) fn id(room: &LiveRoom) -> String {
    room.spec
        .stream_name
        .clone()
        .unwrap_or_else(|| room.name_any())
}

/// Whether two LiveRooms ask one LiveCluster for one id.
pub(crate) fn are_rivals(one: &LiveRoom, other: &LiveRoom) -> bool {
    one.namespace() == other.namespace()
        && one.name_any() != other.name_any()
        && one.spec.cluster_ref == other.spec.cluster_ref
        && id(one) == id(other)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::time::timeout;

    use super::*;
    use crate::room::tests::room;

    #[tokio::test]
    async fn more_objects_than_a_queue_holds_are_told_once_the_list_is_whole() {
        let count = QUEUE_MAX + 1;
        let listed = (0..count).map(|number| {
            let room = room(
                &format!("r{number}"),
                serde_json::json!({}),
                serde_json::json!({}),
            );
            Event::InitApply(room)
        });
        let listed = std::iter::once(Event::Init).chain(listed);
        let events: Vec<_> = listed.chain([Event::InitDone]).map(Ok).collect();
        let (reader, writer) = store();
        let events = stream::iter(events).reflect(writer);
        let (told, mut heard) = mpsc::channel(QUEUE_MAX);
        let telling = tokio::spawn(run(
            reader.clone(),
            events,
            CancellationToken::new(),
            async move |Told(room, _): Told<LiveRoom>| {
                let _ = told.send(room.name_any()).await;
            },
        ));
        // Nobody hears anything before the store is whole.
        let second = std::time::Duration::from_secs(1);
        let ready = timeout(second, reader.wait_until_ready()).await;
        ready.expect("in time").expect("whole");
        for _ in 0..count {
            let name = heard.recv().await.expect("all are told");
            assert!(reader.get(&ObjectRef::new(&name).within("n")).is_some());
        }
        telling.await.expect("it ends with the events");
    }
}
