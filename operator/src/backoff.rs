//! When to try again, for each object on its own: a broken one never slows the others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use isocast_admin::random;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(300);

/// Counts the failures in a row of each object.
#[derive(Debug)]
pub(crate) struct Backoff<K: Resource<DynamicType = ()>> {
    failures: Mutex<HashMap<ObjectRef<K>, u32>>,
}

impl<K: Resource<DynamicType = ()>> Default for Backoff<K> {
    fn default() -> Self {
        Self {
            failures: Mutex::default(),
        }
    }
}

impl<K: Resource<DynamicType = ()> + ResourceExt> Backoff<K> {
    /// One more failure; when to try again.
    pub(crate) fn failed(&self, object: &K) -> Action {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(ObjectRef::from_obj(object)).or_default();
        let pause = pause(*count, random::bytes::<1>()[0]);
        *count = count.saturating_add(1);
        Action::requeue(pause)
    }

    /// It works, or it is gone.
    pub(crate) fn forget(&self, key: &ObjectRef<K>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(key);
    }
}

/// Doubles from [`FIRST`] to [`LAST`], less up to a quarter by chance, so that what failed together
/// is not tried together.
fn pause(failures: u32, chance: u8) -> Duration {
    let full = FIRST.saturating_mul(1 << failures.min(9)).min(LAST);
    full - full.mul_f64(f64::from(chance) / 256.0 / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let seconds: Vec<_> = (0..12)
            .map(|failures| pause(failures, 0).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert!(pause(u32::MAX, 255) >= LAST.mul_f64(0.75));
        assert!(pause(0, 255) < FIRST);
    }
}
