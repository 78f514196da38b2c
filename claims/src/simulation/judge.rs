//! What must never happen, and what must have happened by the end.

use std::collections::{BTreeMap, BTreeSet};

use crate::Pair;
use crate::store::{Mark, Reply, Request};

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A viewer got something of a lower claim after a higher one, on one node.
    ViewerWentBack { before: Pair, after: Pair },
    /// The registry took a write from the holder of a lower claim than it had, or one that belonged to another.
    StaleWrite { stored: Pair, by: Pair },
    /// A node took a claim that was no higher than one it had heard of.
    EpochDidNotRise { heard: Pair, won: Pair },
    /// A claim was won twice, or shares its name with another.
    ClaimReused(Pair),
    /// Long after the last fault the room has no owner, or several.
    Owners(Vec<Pair>),
    /// Long after the last fault viewers of a node get nothing.
    NotServed { node: usize },
    /// Long after the last fault the registry has something else than the owner's claim.
    NotStored { owner: Pair, stored: Option<Pair> },
    /// Long after the last fault another claim is won, or viewers get something of another one.
    Unrest { owner: Pair, other: Pair },
}

impl Broken {
    /// Which promise it is.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::ViewerWentBack { .. } => "viewer went back",
            Self::StaleWrite { .. } => "stale write",
            Self::EpochDidNotRise { .. } => "epoch did not rise",
            Self::ClaimReused(_) => "claim reused",
            Self::Owners(_) => "owners",
            Self::NotServed { .. } => "not served",
            Self::NotStored { .. } => "not stored",
            Self::Unrest { .. } => "unrest",
        }
    }
}

/// Watches a run from outside.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) broken: Option<Broken>,
    won: BTreeSet<Pair>,
    names: BTreeSet<String>,
    epochs: BTreeMap<u64, u32>,
    /// Frames that a node did not let pass.
    pub(super) rejected: u32,
    /// The owner, once there must be one.
    settled: Option<Pair>,
}

impl Judge {
    pub(super) fn breaks(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }

    /// From now on there is one owner, and viewers that change nodes find no other.
    pub(super) fn settle(&mut self, mut owners: Vec<Pair>) {
        if owners.len() == 1 {
            self.settled = owners.pop();
        } else {
            self.breaks(Broken::Owners(owners));
        }
    }

    pub(super) fn stored(&mut self, stored: Option<Pair>) {
        if let Some(owner) = self
            .settled
            .clone()
            .filter(|owner| stored.as_ref() != Some(owner))
        {
            self.breaks(Broken::NotStored { owner, stored });
        }
    }

    pub(super) fn viewer_got(&mut self, before: Option<&Pair>, pair: &Pair) {
        self.keeps_still(pair);
        if let Some(before) = before.filter(|before| *before > pair) {
            self.breaks(Broken::ViewerWentBack {
                before: before.clone(),
                after: pair.clone(),
            });
        }
    }

    fn keeps_still(&mut self, pair: &Pair) {
        if let Some(owner) = self.settled.clone().filter(|owner| owner != pair) {
            let other = pair.clone();
            self.breaks(Broken::Unrest { owner, other });
        }
    }

    pub(super) fn won(&mut self, heard: Option<&Pair>, pair: &Pair) {
        self.keeps_still(pair);
        if let Some(heard) = heard.filter(|heard| *heard >= pair) {
            self.breaks(Broken::EpochDidNotRise {
                heard: heard.clone(),
                won: pair.clone(),
            });
        }
        *self.epochs.entry(pair.epoch).or_default() += 1;
        if !self.won.insert(pair.clone()) || !self.names.insert(pair.name()) {
            self.breaks(Broken::ClaimReused(pair.clone()));
        }
    }

    /// `stored` is what lay in the registry, as far as nodes can believe it.
    pub(super) fn wrote(&mut self, stored: Option<&Pair>, request: &Request, reply: &Reply) {
        let (Some(stored), Reply::Written) = (stored, reply) else {
            return;
        };
        let Request::Put { expected, record } = request else {
            return;
        };
        let by = &record.pair;
        let is_stale = by < stored || *expected != Mark::of_pair(stored);
        if is_stale {
            self.breaks(Broken::StaleWrite {
                stored: stored.clone(),
                by: by.clone(),
            });
        }
    }

    /// How many claims were won under an epoch that another claim had, too.
    pub(super) fn shared_epochs(&self) -> u32 {
        self.epochs.values().filter(|claims| **claims > 1).sum()
    }

    pub(super) fn wins(&self) -> usize {
        self.won.len()
    }
}
