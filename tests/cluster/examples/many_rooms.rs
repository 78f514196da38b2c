//! Measures the operator with many LiveRooms on one LiveCluster:
//!
//!     cargo run --release -p isocast-cluster --example many_rooms -- 1000 300
//!
//! How long a room takes from its creation to Ready, alone and with all of them at once; what memory
//! the operator takes; what a look costs that finds nothing to do; what is written in so many seconds
//! while nothing happens.

use std::collections::HashMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use isocast_cluster::{Stage, is_ready};
use isocast_harness::wait;
use serde_json::json;

/// Rooms that are made one after the other.
const ALONE: usize = 100;
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|text| text.parse().expect("a number"));
    let rooms: usize = arguments.next().unwrap_or(1000);
    let quiet_s: u64 = arguments.next().unwrap_or(300) as u64;

    let stage = Stage::new("many");
    println!(
        "operator that has nothing to do: {} KiB",
        stage.operator.resident_kib()
    );
    stage.live_cluster("live", json!({"volume": {"size": "1Gi"}}));
    stage.ready_cluster("live");
    println!(
        "with one LiveCluster: {} KiB",
        stage.operator.resident_kib()
    );

    let (tell, told) = mpsc::sync_channel(1 << 16);
    let events = stage
        .namespace
        .lab
        .watch(&stage.namespace.path("liverooms", ""));
    std::thread::spawn(move || {
        for event in events {
            let name = event["object"]["metadata"]["name"]
                .as_str()
                .unwrap_or_default();
            if is_ready(&event["object"]) && tell.send((name.to_owned(), Instant::now())).is_err() {
                return;
            }
        }
    });
    let wait_for = |names: &[String]| {
        let mut ready = HashMap::new();
        while !names.iter().all(|name| ready.contains_key(name)) {
            let (name, at) = told.recv_timeout(PATIENCE).expect("all rooms become ready");
            ready.entry(name).or_insert(at);
        }
        ready
    };

    let mut alone = Vec::new();
    for number in 0..ALONE.min(rooms) {
        let (name, began) = (format!("alone-{number}"), Instant::now());
        stage.live_room(&name, json!({}));
        alone.push(wait_for(std::slice::from_ref(&name))[&name] - began);
    }
    report("one after the other", alone);

    let names: Vec<_> = (ALONE..rooms)
        .map(|number| format!("room-{number}"))
        .collect();
    let began: Vec<_> = names
        .iter()
        .map(|name| {
            let began = Instant::now();
            stage.live_room(name, json!({}));
            began
        })
        .collect();
    let made = began.first().map(Instant::elapsed).unwrap_or_default();
    let ready = wait_for(&names);
    let times = names
        .iter()
        .zip(&began)
        .map(|(name, began)| ready[name] - *began);
    println!(
        "{} rooms were made in {:.1} s",
        names.len(),
        made.as_secs_f64()
    );
    report("all at once", times.collect());
    println!("with {rooms} rooms: {} KiB", stage.operator.resident_kib());

    settle(&stage);
    let before = looks(&stage);
    for name in &names {
        let touch = json!({"metadata": {"annotations": {"touched": "1"}}});
        stage.namespace.patch("liverooms", name, &touch);
    }
    let after = wait::until("a look at each", 120, || {
        let after = looks(&stage);
        (after.last()?.1 >= before.last()?.1 + names.len() as f64).then_some(after)
    });
    let counts = after
        .iter()
        .zip(&before)
        .map(|((le, now), (_, then))| (le, now - then));
    let counts: Vec<_> = counts.collect();
    let all = counts.last().map_or(0.0, |(_, count)| *count);
    for part in [0.5, 0.99] {
        let within = counts.iter().find(|(_, count)| *count >= all * part);
        let within = within.map_or("", |(le, _)| le.as_str());
        println!(
            "a look that finds nothing to do, p{}: within {within} s",
            part * 100.0
        );
    }

    settle(&stage);
    let (writes, cpu) = (stage.writes().len(), cpu_s(&stage));
    let quiet = Duration::from_secs(quiet_s);
    wait::within(quiet, || None::<()>);
    let written = stage.writes();
    println!(
        "{} writes in {quiet_s} s, {:.2} s of a processor; {} KiB",
        written.len() - writes,
        cpu_s(&stage) - cpu,
        stage.operator.resident_kib()
    );
    for write in written[writes..].iter().take(20) {
        println!("  {write}");
    }
    for event in stage.events("live") {
        println!("  event of the LiveCluster: {event}");
    }
    for line in stage
        .operator
        .log()
        .lines()
        .filter(|line| line.contains("WARN"))
    {
        println!("  {line}");
    }
}

/// Until nothing was written for five seconds.
fn settle(stage: &Stage) {
    wait::until("it settles", 300, || {
        let before = stage.writes().len();
        let more = || (stage.writes().len() > before).then_some(());
        wait::within(Duration::from_secs(5), more)
            .is_none()
            .then_some(())
    });
}

/// The histogram of reconciliations of LiveRooms: bounds, and how many were within each.
fn looks(stage: &Stage) -> Vec<(String, f64)> {
    let text = stage.operator.metrics();
    let lines = text.lines().filter_map(|line| {
        let labels = line.strip_prefix("isocast_operator_reconcile_duration_seconds_bucket{")?;
        let (labels, count) = labels.split_once("} ")?;
        let le = labels.split("le=\"").nth(1)?.split('"').next()?;
        labels
            .contains("LiveRoom")
            .then(|| Some((le.to_owned(), count.parse().ok()?)))?
    });
    lines.collect()
}

/// Processor time that the operator has used, in ticks of 10 ms.
fn cpu_s(stage: &Stage) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", stage.operator.id()));
    let stat = stat.expect("the operator runs");
    // After the name, which may hold spaces: user and system time are fields 14 and 15 (proc(5)).
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1)));
    let ms = |part| at(part).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    println!(
        "creation to Ready, {what}: p50 {:.0} ms, p99 {:.0} ms, slowest {:.0} ms, {} rooms",
        ms(50),
        ms(99),
        ms(100),
        times.len()
    );
}
