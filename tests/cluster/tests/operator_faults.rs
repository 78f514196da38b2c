//! What happens around the operator: the API server goes away, another operator takes over. Streams
//! never notice.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use isocast_cluster::{
    Call, Fault, FaultProxy, Kubelet, Lab, Namespace, Operator, Outage, Running, Strike, decoded,
    is_ready,
};
use isocast_harness::{Clip, Ffmpeg, Peer, Process, Reply, Scratch, Signal, wait};
use isocast_media::rtmp::CallerEvent;
use serde_json::{Value, json};

/// For what is not measured, on a machine that is busy.
const PATIENCE_S: u64 = 60;
/// As long as the API server is away.
const OUTAGE_S: u32 = 20;
/// How soon the operator has done after that what was asked of it.
const RECONCILED_S: u64 = 30;
/// The Lease's length, the wait between two looks at it, and some.
const TAKEN_OVER_S: u64 = 30;
/// An operator that has lost the Lease ends within so long.
const ENDED_S: u64 = 15;

#[test]
fn streams_go_on_while_the_api_server_is_frozen() {
    outage(false, Lab::freeze_api_server);
}

#[test]
fn streams_go_on_while_the_api_server_is_gone_and_nobody_leads() {
    outage(true, Lab::kill_api_server);
}

/// An operator that elects gives up where it cannot renew, and is started again as by its Deployment.
fn outage(elects: bool, begin: fn(&'static Lab) -> Outage) {
    let _turn = turn();
    let lab = Lab::with_definitions();
    let show = Show::new(lab, "outage");
    let mut operator = Operator::begin(lab.kubeconfig(), &[&show.namespace.name], elects);
    operator.wait_for_work();
    let mut stream = show.go_live();

    let outage = begin(lab);
    stream.play_s(OUTAGE_S);
    assert_eq!(operator.is_running(), !elects, "{}", operator.log());
    outage.end();
    if elects {
        operator.start_again();
    }
    show.make_room("later");
    show.until_ready("liverooms", "later", RECONCILED_S);
    show.until_ready("liveclusters", "live", RECONCILED_S);
    stream.play_s(1);
    stream.check_same(&show);
}

#[test]
fn an_operator_that_was_stopped_for_longer_than_its_lease_writes_nothing_more() {
    let _turn = turn();
    let lab = Lab::with_definitions();
    let show = Show::new(lab, "lease");
    let proxy = FaultProxy::start(lab.proxy());
    let namespaces = [show.namespace.name.as_str()];
    let mut first = Operator::begin(&proxy.kubeconfig(), &namespaces, true);
    first.wait_for_work();
    let mut second = Operator::begin(lab.kubeconfig(), &namespaces, true);
    let mut stream = show.go_live();
    let holder = show.holder();

    // It stops in the middle of its work, with an answer on the way after which it would go on writing.
    let call = Call {
        verb: "POST".to_owned(),
        path: "secrets".to_owned(),
    };
    let strike = Strike {
        call,
        after: 0,
        fault: Fault::AnswerHeld,
    };
    proxy.fail(strike, first.id());
    show.make_room("later");
    wait::until("a Secret whose maker does not know", PATIENCE_S, || {
        proxy.has_struck().then_some(())
    });
    first.signal(Signal::STOP);
    let key = show.key("later");

    wait::until("another operator that leads", TAKEN_OVER_S, || {
        (show.holder() != holder).then_some(())
    });
    second.wait_for_work();
    show.until_ready("liverooms", "later", RECONCILED_S);
    let new_holder = show.holder();

    let known = proxy.calls().len();
    proxy.let_go();
    first.signal(Signal::CONT);
    wait::until("the end of the one that led", ENDED_S, || {
        (!first.is_running()).then_some(())
    });
    let late = proxy.calls().split_off(known);
    let late: Vec<_> = late.iter().filter(|call| call.is_write()).collect();
    assert!(late.is_empty(), "it wrote after its term: {late:?}");
    assert_eq!(show.holder(), new_holder);
    assert_eq!(show.key("later"), key, "a key that was given out stays");
    assert!(second.is_running());
    show.make_room("last");
    show.until_ready("liverooms", "last", RECONCILED_S);
    stream.play_s(1);
    stream.check_same(&show);
}

/// The lab has one API server for all tests of this file.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A LiveCluster `live` with a LiveRoom `show`.
struct Show {
    kubelet: Kubelet,
    namespace: Namespace,
}

impl Show {
    fn new(lab: &'static Lab, name: &str) -> Self {
        let namespace = lab.namespace(name);
        let kubelet = Kubelet::start(&namespace);
        let spec = json!({"spec": {"image": "isocast.local/node:0.1.0"}});
        let _ = namespace.make("liveclusters", "live", &spec);
        let show = Self { kubelet, namespace };
        show.make_room("show");
        show
    }

    fn make_room(&self, name: &str) {
        let spec = json!({"clusterRef": {"name": "live"}, "playback": "public"});
        let _ = self
            .namespace
            .make("liverooms", name, &json!({"spec": spec}));
    }

    fn until_ready(&self, kind: &str, name: &str, seconds: u64) {
        let _ = self
            .namespace
            .until("ready", seconds, (kind, name), is_ready);
    }

    fn key(&self, room: &str) -> String {
        let secret = self.namespace.get("secrets", &format!("{room}-stream-key"));
        let key = decoded(secret["data"]["stream-key"].as_str().unwrap_or_default());
        String::from_utf8(key).expect("a key is text")
    }

    /// Who leads.
    fn holder(&self) -> Value {
        let namespace = &self.namespace;
        let path = format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases/isocast-operator",
            namespace.name
        );
        let answer = namespace.lab.ask("GET", &path, "application/json", "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["spec"]["holderIdentity"].take()
    }

    fn pod(&self) -> Value {
        self.namespace.get("pods", "live-0")["metadata"]["uid"].take()
    }

    /// A publisher, and a viewer who has seen something.
    fn go_live(&self) -> Stream {
        self.until_ready("liverooms", "show", PATIENCE_S);
        self.until_ready("liveclusters", "live", PATIENCE_S);
        let node = self.kubelet.wait_for_node("live-0", PATIENCE_S);
        let scratch = Scratch::new("stream");
        let (url, log) = (
            format!("rtmp://{}/live/{}", node.rtmp(), self.key("show").trim()),
            scratch.file("publisher.log"),
        );
        let clip: PathBuf = Clip::AudioVideo.path();
        let publisher = Ffmpeg::debian().publish_forever(&clip, &url, &log);
        let viewer = wait::until("a live room", PATIENCE_S, || {
            let mut viewer = Peer::play(node.rtmp(), "room_show");
            viewer.has_media(PATIENCE_S).then_some(viewer)
        });
        Stream {
            publisher,
            viewer,
            pod: self.pod(),
            node,
            _scratch: scratch,
        }
    }
}

struct Stream {
    publisher: Process,
    viewer: Peer,
    pod: Value,
    node: Running,
    _scratch: Scratch,
}

impl Stream {
    /// Watches so many seconds of it.
    fn play_s(&mut self, seconds: u32) {
        let mut first = None;
        loop {
            match self.viewer.next(5) {
                Reply::Event(CallerEvent::Media(media)) => {
                    let begin = *first.get_or_insert(media.timestamp);
                    if media.timestamp.saturating_sub(begin) >= seconds * 1000 {
                        return;
                    }
                }
                other => panic!("the viewer got {other:?}"),
            }
        }
    }

    /// Publisher, node and Pod are those that they were.
    fn check_same(&mut self, show: &Show) {
        assert!(self.publisher.is_running(), "{}", self.publisher.log());
        let node = show.kubelet.wait_for_node("live-0", PATIENCE_S);
        assert_eq!(node.id, self.node.id, "the node has been started again");
        assert_eq!(show.pod(), self.pod, "the Pod has been replaced");
    }
}
