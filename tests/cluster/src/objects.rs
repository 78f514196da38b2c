//! All that there is, to see what is left.

use std::collections::BTreeSet;
use std::time::Duration;

use isocast_harness::wait;

use crate::{Lab, Namespace};

/// Objects as kind and name. Events are none of them: they tell of what was.
pub type Objects = BTreeSet<String>;

impl Lab {
    /// What is in a namespace.
    ///
    /// # Panics
    /// If the API server does not tell.
    #[must_use]
    pub fn objects_in(&self, namespace: &str) -> Objects {
        self.objects(&["--namespaced=true"], &["--namespace", namespace])
    }

    /// What is in no namespace.
    ///
    /// # Panics
    /// If the API server does not tell.
    #[must_use]
    pub fn objects_outside(&self) -> Objects {
        self.objects(&["--namespaced=false"], &[])
    }

    fn objects(&self, kinds: &[&str], of: &[&str]) -> Objects {
        let all = ["api-resources", "--verbs=list", "-o", "name"];
        let kinds = self.kubectl(&[&all, kinds].concat());
        let kinds = kinds.lines().filter(|kind| !kind.starts_with("events"));
        let kinds = kinds.collect::<Vec<_>>().join(",");
        let columns = "custom-columns=:.kind,:.metadata.name";
        let get = ["get", &kinds, "--no-headers", "-o", columns];
        let rows = self.kubectl(&[&get, of].concat());
        let words = |row: &str| row.split_whitespace().collect::<Vec<_>>().join(" ");
        rows.lines()
            .map(words)
            .filter(|row| !row.is_empty())
            .collect()
    }
}

impl Namespace {
    /// What is in it.
    ///
    /// # Panics
    /// If the API server does not tell.
    #[must_use]
    pub fn objects(&self) -> Objects {
        self.lab.objects_in(&self.name)
    }
}

/// Waits until these are all that there is.
///
/// # Panics
/// With what differs, if they are not within `seconds`.
pub fn wait_for_objects(expected: &Objects, seconds: u64, look: impl Fn() -> Objects) {
    let mut found = Objects::new();
    let came = wait::within(Duration::from_secs(seconds), || {
        found = look();
        (found == *expected).then_some(())
    });
    let left: Vec<_> = found.difference(expected).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(
        came.is_some(),
        "after {seconds} s, left: {left:?}, missing: {missing:?}"
    );
}
