//! Hostile and broken input, a file an item in `tests/corpus`, all at one node while a stream goes
//! on that must not notice. `CORPUS=rtmp/chunk` runs those whose name contains that.

mod bytes;
mod config;
mod credentials;
mod frames;
mod healthy;
mod http;
mod item;
mod link;
mod rtmp;
mod stage;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use isocast_harness::{repository, wait};

use healthy::Healthy;
use item::Item;
use stage::{Ledger, Stage};

/// Items at once, besides those that last.
const AT_ONCE: usize = 8;
/// An item that lasts longer than this does not wait for its turn.
const LASTS: Duration = Duration::from_secs(4);
/// What the node may hold more than before, once it is over.
const GROWTH_KIB_MAX: u64 = 8 << 10;

#[test]
fn every_file_is_understood() {
    let items = read().unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    assert!(!items.is_empty());
}

#[test]
fn the_node_gives_every_item_its_answer_and_stays_well() {
    let items = read().unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    let wanted = std::env::var("CORPUS").unwrap_or_default();
    let items: Vec<_> = items
        .into_iter()
        .filter(|item| item.name.contains(&wanted))
        .collect();
    assert!(!items.is_empty(), "no item is called {wanted}");

    let stage = Stage::start(&items);
    let healthy = Healthy::start(&stage.node);
    let before_kib = stage.node.resident_kib();
    let ledger = stage.ledger();
    let mut wrong = meet_all(&stage, &items);
    wrong.extend(check_ledger(&stage, &ledger, &items));
    wrong.extend(healthy.finish());

    if wait::within(Duration::from_secs(10), || {
        (stage.connections() == 0).then_some(())
    })
    .is_none()
    {
        wrong.push(format!(
            "{} RTMP connections stay open",
            stage.connections()
        ));
    }
    let over_at = Instant::now();
    let grown = || stage.node.resident_kib().saturating_sub(before_kib);
    if wait::within(Duration::from_secs(30), || {
        (grown() <= GROWTH_KIB_MAX).then_some(())
    })
    .is_none()
    {
        wrong.push(format!(
            "{} KiB more than the {before_kib} KiB before",
            grown()
        ));
    }
    eprintln!(
        "{} items; {} KiB more than the {before_kib} KiB before, {:?} later",
        items.len(),
        grown(),
        over_at.elapsed()
    );
    let secrets = stage.secrets();
    let log = stage.node.stop();
    if log.contains("panicked") {
        wrong.push("the node panicked".into());
    }
    wrong.extend(
        secrets
            .iter()
            .filter(|secret| log.contains(*secret))
            .map(|secret| format!("the log tells a secret: {:.20}…", secret)),
    );
    assert!(
        wrong.is_empty(),
        "{} of {} items and checks:\n{}",
        wrong.len(),
        items.len(),
        wrong.join("\n")
    );
}

/// All items at once, so far as their number allows; what went wrong, by file.
fn meet_all(stage: &Stage, items: &[Item]) -> Vec<String> {
    let (long, short): (Vec<_>, VecDeque<_>) = {
        let (long, short): (Vec<&Item>, Vec<&Item>) =
            items.iter().partition(|item| item.least() > LASTS);
        (long, short.into())
    };
    let (short, wrong) = (Mutex::new(short), Mutex::new(Vec::new()));
    let meet = |item: &Item| {
        if let Err(error) = stage.meet(item) {
            let mut wrong = wrong.lock().expect("no thread panics with it");
            wrong.push(format!("{}: {error}", item.name));
        }
    };
    let next = || short.lock().expect("no thread panics with it").pop_front();
    std::thread::scope(|scope| {
        for item in long {
            scope.spawn(|| meet(item));
        }
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(item) = next() {
                    meet(item);
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("no thread panics with it");
    wrong.sort();
    wrong
}

/// Every refusal is counted by its reason, once for each file that says so, and no other is.
fn check_ledger(stage: &Stage, before: &Ledger, items: &[Item]) -> Vec<String> {
    let mut expected = before.clone();
    for (surface, reason, count) in items.iter().flat_map(|item| &item.counts) {
        *expected
            .entry((surface.clone(), reason.clone()))
            .or_default() += count;
    }
    // A refusal is counted a moment after its connection is closed.
    if wait::within(Duration::from_secs(5), || {
        (stage.ledger() == expected).then_some(())
    })
    .is_some()
    {
        return Vec::new();
    }
    let found = stage.ledger();
    let labels: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let count = |ledger: &Ledger, label| ledger.get(label).copied().unwrap_or(0);
    labels
        .into_iter()
        .filter(|label| count(&found, label) != count(&expected, label))
        .map(|label| {
            let (surface, reason) = label;
            let (found, expected) = (count(&found, label), count(&expected, label));
            format!("{surface}/{reason} was counted {found} times, {expected} were expected")
        })
        .collect()
}

/// Every item, or what is wrong with their files.
fn read() -> Result<Vec<Item>, Vec<String>> {
    let folder = repository().join("tests/corpus");
    let mut files = Vec::new();
    list(&folder, &mut files);
    files.sort();
    let (items, errors): (Vec<_>, Vec<_>) = files
        .iter()
        .map(|file| item::read(&folder, file))
        .partition(Result::is_ok);
    match errors.is_empty() {
        true => Ok(items.into_iter().filter_map(Result::ok).collect()),
        false => Err(errors.into_iter().filter_map(Result::err).collect()),
    }
}

/// The items are in folders; a file beside these is for people.
fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the corpus can be listed");
    for entry in entries {
        let path = entry.expect("the corpus can be listed").path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_none_or(|end| end != "md") {
            files.push(path);
        }
    }
}
