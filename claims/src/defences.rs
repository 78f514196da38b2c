//! What keeps a stale owner out. Tests can take each away, to show that the simulation would notice.

pub(crate) use switch::*;

#[cfg(not(test))]
mod switch {
    pub(crate) const fn epoch_check() -> bool {
        true
    }
    pub(crate) const fn compare_and_set() -> bool {
        true
    }
    pub(crate) const fn floor() -> bool {
        true
    }
}

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    /// Which ones hold, on this thread.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Defences {
        pub(crate) epoch_check: bool,
        pub(crate) compare_and_set: bool,
        pub(crate) floor: bool,
    }

    impl Defences {
        pub(crate) const ALL: Self = Self {
            epoch_check: true,
            compare_and_set: true,
            floor: true,
        };

        /// Holds from here on, on this thread.
        pub(crate) fn set(self) {
            HOLDING.set(self);
        }
    }

    thread_local! {
        static HOLDING: Cell<Defences> = const { Cell::new(Defences::ALL) };
    }

    pub(crate) fn epoch_check() -> bool {
        HOLDING.get().epoch_check
    }
    pub(crate) fn compare_and_set() -> bool {
        HOLDING.get().compare_and_set
    }
    pub(crate) fn floor() -> bool {
        HOLDING.get().floor
    }
}
