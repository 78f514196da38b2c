//! What the README promises of Kubernetes, on one with real pods: from the chart's installation to
//! its removal, with encoders, players and a browser outside of the cluster.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use isocast_cluster::{
    Condition, Lab, Namespace, Objects, PATIENCE_S, SYSTEM, reached, url, wait_for_objects,
};
use isocast_harness::clip::{AUDIO_PACKETS_IN_10_S, VIDEO_FRAMES_IN_10_S};
use isocast_harness::{
    Clip, Ffmpeg, Peer, Process, Scratch, Signal, hashes, http, repository, target_folder, tool,
    wait,
};

/// From `kubectl apply` on, where the machine has the image.
const SERVER_READY_MAX: Duration = Duration::from_secs(30);
/// The same for a room of a server that is there, kubectl's own time included.
const ROOM_READY_MAX: Duration = Duration::from_secs(3);
/// Four checks of 10 s, the time to start a browser four times, and all that goes on beside it.
const BROWSER_S: u64 = 240;
/// For pods to drain and end, and for Kubernetes to take away what was theirs.
const GONE_S: u64 = 120;
/// Viewers are held for 15 s, then players end by themselves.
const HOLD_S: u64 = 15;
/// An encoder that is stopped may have sent a picture, but not the two that are shown before it.
const CUT_OFF: usize = 3;
const PROTOCOLS: [&str; 3] = ["rtmp", "flv", "hls"];

#[test]
fn a_server_is_installed_streams_outlives_its_operator_and_leaves_nothing() {
    let lab = Lab::nodes(1);
    lab.become_client();
    let before = lab.objects_outside();
    lab.install_operator();
    let tv = lab.namespace("tv").restricted();
    let empty = tv.objects();

    becomes_ready(&tv);
    let pod = tv.pod_identity("live-0");
    let on_air = OnAir::begin(&tv);
    let page = watch_the_page(&tv, &on_air.scratch);
    the_operator_is_replaced(&tv);
    is_watched(page);
    on_air.end(&tv);
    assert_eq!(tv.pod_identity("live-0"), pod, "the pod was replaced");

    a_pod_that_goes_comes_back(&tv);
    tv.kubectl(&["delete", "livecluster,liveroom", "--all"]);
    wait_for_objects(&empty, GONE_S, || tv.objects());
    lab.helm(&["uninstall", "isocast", "--namespace", SYSTEM]);
    wait_for_objects(&empty, GONE_S, || lab.objects_in(SYSTEM));
    lab.kubectl(&["delete", "namespace", SYSTEM, &tv.name]);
    wait_for_objects(&with_definitions(before), GONE_S, || lab.objects_outside());
}

fn becomes_ready(tv: &Namespace) {
    let example = repository().join("examples/minimal.yaml");
    let example = std::fs::read_to_string(example).expect("there is an example");
    let began = Instant::now();
    tv.apply(&example);
    let first = began.elapsed() + tv.time_to_ready("liveroom/show");
    let cluster = tv.row("livecluster/live");
    assert!(cluster.starts_with("live True Serving 1 "), "{cluster}");
    tv.apply(&example.replace("name: show", "name: later"));
    let later = tv.time_to_ready("liveroom/later");
    println!("ready after kubectl apply: server and room {first:?}, another room {later:?}");
    assert!(first <= SERVER_READY_MAX, "{first:?}");
    assert!(later <= ROOM_READY_MAX, "{later:?}");

    let page = url(&tv.wait_until_ready("liveroom/show"), "page");
    shows(tv, "livecluster/live", "live True Serving 1 0 ");
    shows(
        tv,
        "liveroom/show",
        &format!("show True Serving False live {page} "),
    );
}

/// Waits until `kubectl get` says so.
fn shows(tv: &Namespace, object: &str, expected: &str) {
    let mut row = String::new();
    let shown = wait::within(Duration::from_secs(10), || {
        row = tv.row(object);
        row.starts_with(expected).then_some(())
    });
    assert!(shown.is_some(), "{row}, not {expected}");
}

/// An encoder that sends the clip again and again, and a player for each protocol.
struct OnAir {
    encoder: Process,
    players: Vec<(&'static str, PathBuf, Process)>,
    scratch: Scratch,
}

impl OnAir {
    fn begin(tv: &Namespace) -> Self {
        let room = tv.wait_until_ready("liveroom/show");
        let key = tv.secret("show-stream-key", "stream-key");
        let server = url(&room, "publish");
        let (ffmpeg, scratch) = (Ffmpeg::debian(), Scratch::new("quick-start"));
        let _ = reached(&server);
        let encoder = ffmpeg.publish_forever(
            &Clip::AudioVideo.path(),
            &format!("{server}/{key}"),
            &scratch.file("encoder.log"),
        );
        wait_for_playlist(&url(&room, "hls"));
        let players = PROTOCOLS.map(|protocol| {
            let options: &[_] = match protocol {
                "rtmp" => &["-rtmp_live", "live"],
                "hls" => &["-live_start_index", "0"],
                _ => &[],
            };
            let file = scratch.file(&format!("{protocol}.flv"));
            let player = ffmpeg.record(options, &url(&room, protocol), &file);
            (protocol, file, player)
        });
        shows(tv, "livecluster/live", "live True Serving 1 1 ");
        shows(tv, "liveroom/show", "show True Serving True live ");
        let live = tv.get_json(&["liveroom/show"]).expect("it is there");
        assert_eq!(live["status"]["live"]["node"], "live-0");
        Self {
            encoder,
            players: players.into(),
            scratch,
        }
    }

    /// Every picture and sound came to every player, in order, whatever happened meanwhile.
    fn end(mut self, tv: &Namespace) {
        assert!(self.encoder.is_running(), "{}", self.encoder.log());
        self.encoder.signal(Signal::TERM);
        self.encoder.wait(PATIENCE_S);
        shows(tv, "liveroom/show", "show True Serving False live ");
        let clip = Clip::AudioVideo.path();
        let (pictures, sounds) = (hashes::video_frames(&clip), hashes::audio_packets(&clip));
        for (protocol, file, mut player) in self.players {
            player.wait_for_success(HOLD_S + PATIENCE_S);
            let mut got = hashes::video_frames(&file);
            println!("{protocol}: {} pictures", got.len());
            got.truncate(got.len().saturating_sub(CUT_OFF));
            let what = format!("{protocol}, pictures");
            hashes::assert_one_run(&what, &got, &again(&pictures, &got), VIDEO_FRAMES_IN_10_S);
            let got = hashes::audio_packets(&file);
            let what = format!("{protocol}, sounds");
            hashes::assert_one_run(&what, &got, &again(&sounds, &got), AUDIO_PACKETS_IN_10_S);
        }
        shows(tv, "livecluster/live", "live True Serving 1 0 ");
    }
}

/// The clip's hashes, as often as the clip was sent for so much to come back.
fn again(clip: &[String], back: &[String]) -> Vec<String> {
    let times = back.len() / clip.len() + 2;
    clip.iter()
        .cycle()
        .take(times * clip.len())
        .cloned()
        .collect()
}

fn wait_for_playlist(url: &str) {
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap_or_default());
    let address = reached(url);
    wait::until(&format!("200 from {url}"), PATIENCE_S, || {
        (http::get(address, &path).status == 200).then_some(())
    });
}

fn watch_the_page(tv: &Namespace, scratch: &Scratch) -> Process {
    let room = tv.wait_until_ready("liveroom/show");
    let page = url(&room, "page");
    let base = page.strip_suffix("/watch/show").expect("the room's page");
    let mut watch = Command::new(tool("node"));
    watch
        .current_dir(repository().join("tests/browser"))
        .args(["watch.mjs", base, "show"])
        .arg(target_folder().join("screenshots/kubernetes"));
    Process::start("watch.mjs", &mut watch, &scratch.file("watch.log"))
}

fn is_watched(mut page: Process) {
    page.wait_for_success(BROWSER_S);
    println!("{}", page.log());
}

fn the_operator_is_replaced(tv: &Namespace) {
    let of_operator = ["--namespace", SYSTEM, "pods", "--all"];
    tv.lab.kubectl(&[&["delete"], &of_operator[..]].concat());
    a_room_comes_and_goes(tv, "after-a-restart");
    tv.lab
        .upgrade_operator(&["--set", "replicas=2,podLabels.release=next"]);
    a_room_comes_and_goes(tv, "after-an-upgrade");
}

/// So the operator works.
fn a_room_comes_and_goes(tv: &Namespace, name: &str) {
    let room = format!(
        "{{apiVersion: isocast.dev/v1alpha1, kind: LiveRoom, metadata: {{name: {name}}}, \
         spec: {{clusterRef: {{name: live}}}}}}"
    );
    let began = Instant::now();
    tv.apply(&room);
    tv.wait_until_ready(&format!("liveroom/{name}"));
    println!("{name}: a room is ready after {:?}", began.elapsed());
    tv.kubectl(&["delete", "liveroom", name]);
    let secret = format!("secret/{name}-stream-key");
    tv.wait_until_gone(PATIENCE_S, &[&secret]);
}

/// The LiveRoom brings its room and key to the new pod by itself.
fn a_pod_that_goes_comes_back(tv: &Namespace) {
    let (uid, _) = tv.pod_identity("live-0");
    let began = Instant::now();
    tv.kubectl(&["delete", "pod", "live-0"]);
    tv.wait_for("another pod", PATIENCE_S, &["pod/live-0"], |pod| {
        pod["metadata"]["uid"] != *uid && Condition::of(pod, "Ready").status == "True"
    });
    tv.wait_until_ready("livecluster/live");
    let server = reached(&url(&tv.wait_until_ready("liveroom/show"), "publish"));
    let key = tv.secret("show-stream-key", "stream-key");
    Peer::publish(server, &key).expect_start();
    println!(
        "published again {:?} after the pod's deletion",
        began.elapsed()
    );
}

/// The definitions stay when the chart goes, for with them would go what they define.
fn with_definitions(mut objects: Objects) -> Objects {
    objects.extend([
        "APIService v1alpha1.isocast.dev".to_owned(),
        "CustomResourceDefinition liveclusters.isocast.dev".to_owned(),
        "CustomResourceDefinition liverooms.isocast.dev".to_owned(),
    ]);
    objects
}
