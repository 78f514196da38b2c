//! Thousands of clusters that go wrong, each from a seed; and proof that this finds what it looks for.
//!
//! Safety is judged all the time ([`judge::Broken`]), and after the last fault that one owner serves everybody
//! within [`world::SETTLED_WITHIN_MS`]. A seed that breaks a promise is named, and runs again alone:
//!
//! ```sh
//! ISOCAST_CLAIMS_SEED=7 cargo test -p isocast-claims promises -- --nocapture
//! ISOCAST_CLAIMS_SEEDS=1000000 cargo test -p isocast-claims promises -- --nocapture
//! ```

mod encoder;
mod faults;
mod judge;
mod message;
mod network;
mod node;
mod registry;
mod rng;
mod world;

use world::{Outcome, World};

use crate::defences::Defences;

const SEEDS: u64 = 20_000;
/// As many instead.
const SEEDS_VARIABLE: &str = "ISOCAST_CLAIMS_SEEDS";
/// Runs this seed alone, and tells what became of it.
const SEED: &str = "ISOCAST_CLAIMS_SEED";

#[test]
fn promises_are_kept_whatever_fails() {
    if let Ok(seed) = std::env::var(SEED) {
        let seed = seed.parse().expect("a number");
        return judge(seed, &World::run(seed));
    }
    let (mut wins, mut shared, mut rejected, mut settled_after_ms) = (0, 0, 0, 0);
    let seeds = std::env::var(SEEDS_VARIABLE).map_or(SEEDS, |it| it.parse().expect("a number"));
    for seed in 0..seeds {
        let outcome = World::run(seed);
        judge(seed, &outcome);
        wins += outcome.wins;
        shared += outcome.shared_epochs;
        rejected += outcome.rejected;
        settled_after_ms = settled_after_ms.max(outcome.settled_after_ms);
    }
    println!("{seeds} seeds: {wins} claims won, {shared} of them under a shared epoch");
    println!("{rejected} frames of stale owners rejected");
    println!("settled at most {settled_after_ms} ms after the last fault");
}

fn judge(seed: u64, outcome: &Outcome) {
    assert_eq!(
        outcome.broken, None,
        "seed {seed}: run it again with {SEED}={seed}"
    );
}

#[test]
fn of_several_who_come_at_once_one_wins() {
    for seed in 0..2000 {
        let outcome = World::race(seed, true);
        judge(seed, &outcome);
        assert_eq!(outcome.wins, 1, "seed {seed}");
        assert!(outcome.refused_after_ms <= 1000, "seed {seed}: {outcome:?}");
    }
}

#[test]
fn of_several_who_come_at_once_one_wins_without_a_registry() {
    for seed in 0..2000 {
        let outcome = World::race(seed, false);
        judge(seed, &outcome);
        assert_eq!(outcome.wins, 1, "seed {seed}");
    }
}

/// The first seed that shows it, and what it shows.
fn first_broken(defences: Defences, seeds: u64) -> Option<(u64, &'static str)> {
    defences.set();
    let found = (0..seeds).find_map(|seed| Some((seed, World::run(seed).broken?.name())));
    Defences::ALL.set();
    println!("{defences:?}: {found:?}");
    found
}

#[test]
fn without_the_epoch_check_viewers_go_back() {
    let defences = Defences {
        epoch_check: false,
        ..Defences::ALL
    };
    let found = first_broken(defences, 200).map(|(_, broken)| broken);
    assert_eq!(found, Some("viewer went back"));
}

#[test]
fn without_the_compare_and_set_stale_writes_are_taken() {
    let defences = Defences {
        compare_and_set: false,
        ..Defences::ALL
    };
    let found = first_broken(defences, 200).map(|(_, broken)| broken);
    assert_eq!(found, Some("stale write"));
}

#[test]
fn without_the_floor_epochs_fall() {
    let defences = Defences {
        floor: false,
        ..Defences::ALL
    };
    let found = first_broken(defences, 200).map(|(_, broken)| broken);
    assert_eq!(found, Some("epoch did not rise"));
}
