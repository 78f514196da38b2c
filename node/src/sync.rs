//! Locks that stay open after a panic.
//!
//! A task that panics is given up alone, while what it shared is needed by all others: a lock of the standard library
//! would refuse them from then on. Whoever changes something under a lock leaves it whole at each step.

use std::sync::{self, MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard};

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn a_panic_under_a_lock_leaves_it_open() {
        let (mutex, lock) = (Mutex::new(1), RwLock::new(1));
        let broken = catch_unwind(AssertUnwindSafe(|| {
            let (mut one, mut two) = (mutex.lock(), lock.write());
            (*one, *two) = (2, 2);
            panic!("while both are held");
        }));
        assert!(broken.is_err() && mutex.0.is_poisoned() && lock.0.is_poisoned());
        assert_eq!(*mutex.lock(), 2);
        assert_eq!(*lock.read(), 2);
        *lock.write() += 1;
    }
}
