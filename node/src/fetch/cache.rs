use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// What an entry costs beside its bytes: keys, places in both tables.
const ENTRY_BYTES: usize = 512;

/// Bytes by name, within a limit: who was not asked for longest goes first, and nothing stays beyond its time.
///
/// A list of its own, because the limit is one of memory and has to hold at every moment, and because what is
/// newest in a live stream is what will be asked for next: caches that first want proof of popularity lose
/// exactly that.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    bytes_max: usize,
    bytes: usize,
    entries: HashMap<K, Entry<V>>,
    /// Keys by when they were last asked for, oldest first.
    by_use: BTreeMap<u64, K>,
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    used: u64,
    ends: Instant,
}

/// Something that is kept for its bytes.
pub(super) trait Weighed {
    fn bytes(&self) -> &Bytes;
}

impl<K: Clone + Eq + Hash, V: Clone + Weighed> Cache<K, V> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    pub(super) fn get(&mut self, key: &K, now: Instant) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        if entry.ends <= now {
            self.remove(&key.clone());
            return None;
        }
        self.by_use.remove(&entry.used);
        self.uses += 1;
        entry.used = self.uses;
        self.by_use.insert(self.uses, key.clone());
        Some(entry.value.clone())
    }

    /// Keeps a value for this long at most. One that is larger than everything that may be kept is not.
    pub(super) fn put(&mut self, key: K, value: V, keep: Duration, now: Instant) {
        self.remove(&key);
        let weight = value.bytes().len() + ENTRY_BYTES;
        if weight > self.bytes_max {
            return;
        }
        while self.bytes + weight > self.bytes_max {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            self.remove(&oldest);
        }
        self.uses += 1;
        self.bytes += weight;
        self.by_use.insert(self.uses, key.clone());
        let entry = Entry {
            value,
            weight,
            used: self.uses,
            ends: now + keep,
        };
        self.entries.insert(key, entry);
    }

    /// Lets go of what is past its time, though nobody asks for it.
    pub(super) fn sweep(&mut self, now: Instant) {
        let past = self.entries.iter().filter(|(_, entry)| entry.ends <= now);
        let past: Vec<K> = past.map(|(key, _)| key.clone()).collect();
        past.iter().for_each(|key| self.remove(key));
    }

    /// What all of it takes, never more than the limit.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Weighed for Bytes {
        fn bytes(&self) -> &Bytes {
            self
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Get(u8),
        Put(u8, usize, u64),
        Pass(u64),
        Sweep,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            any::<u8>().prop_map(|key| Step::Get(key % 12)),
            (any::<u8>(), 0..3000_usize, 1..60_u64).prop_map(|(key, len, keep_s)| Step::Put(
                key % 12,
                len,
                keep_s
            )),
            (0..20_u64).prop_map(Step::Pass),
            Just(Step::Sweep),
        ];
        prop::collection::vec(step, 0..200)
    }

    /// The same, without any haste: a list in the order of use.
    #[derive(Default)]
    struct Model(Vec<(u8, Bytes, Instant)>);

    impl Model {
        fn bytes(&self) -> usize {
            self.0.iter().map(|it| it.1.len() + ENTRY_BYTES).sum()
        }

        fn get(&mut self, key: u8, now: Instant) -> Option<Bytes> {
            let place = self.0.iter().position(|it| it.0 == key)?;
            let entry = self.0.remove(place);
            (entry.2 > now).then(|| {
                self.0.push(entry.clone());
                entry.1
            })
        }

        fn put(&mut self, key: u8, bytes: Bytes, ends: Instant, bytes_max: usize) {
            self.0.retain(|it| it.0 != key);
            if bytes.len() + ENTRY_BYTES > bytes_max {
                return;
            }
            while self.bytes() + bytes.len() + ENTRY_BYTES > bytes_max {
                self.0.remove(0);
            }
            self.0.push((key, bytes, ends));
        }
    }

    proptest! {
        #[test]
        fn it_keeps_what_was_used_last_and_never_too_much(steps in steps(), bytes_max in 0..12_000_usize) {
            let mut cache = Cache::new(bytes_max);
            let mut model = Model::default();
            let mut now = Instant::now();
            for step in steps {
                match step {
                    Step::Get(key) => prop_assert_eq!(cache.get(&key, now), model.get(key, now)),
                    Step::Put(key, len, keep_s) => {
                        let (bytes, keep) = (Bytes::from(vec![key; len]), Duration::from_secs(keep_s));
                        cache.put(key, bytes.clone(), keep, now);
                        model.put(key, bytes, now + keep, bytes_max);
                    }
                    Step::Pass(seconds) => now += Duration::from_secs(seconds),
                    Step::Sweep => {
                        cache.sweep(now);
                        model.0.retain(|it| it.2 > now);
                    }
                }
                prop_assert_eq!(cache.bytes(), model.bytes());
                prop_assert!(cache.bytes() <= bytes_max);
                prop_assert_eq!(cache.by_use.len(), cache.entries.len());
            }
        }
    }
}
