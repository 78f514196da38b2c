use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// At most so many at once, in all and from one address.
#[derive(Clone, Debug)]
pub(crate) struct Caps {
    total_max: usize,
    per_ip_max: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// One place under both caps, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    caps: Caps,
    ip: Option<IpAddr>,
}

impl Caps {
    pub(crate) fn new(total_max: usize, per_ip_max: usize) -> Self {
        Self {
            total_max,
            per_ip_max,
            open: Arc::default(),
        }
    }

    /// A place for one more connection, whoever it is from, or the reason why there is none.
    pub(crate) fn admit(&self) -> Result<Permit, &'static str> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.total_max {
            return Err("connections_max");
        }
        open.total += 1;
        Ok(Permit {
            caps: self.clone(),
            ip: None,
        })
    }
}

impl Permit {
    /// Also counts under the address of its client, once that is known.
    pub(crate) fn enter_ip(&mut self, ip: IpAddr) -> Result<(), &'static str> {
        self.leave_ip();
        let mut open = self.open();
        let from_ip = open.by_ip.entry(ip).or_default();
        if *from_ip >= self.caps.per_ip_max {
            return Err("connections_per_ip_max");
        }
        *from_ip += 1;
        drop(open);
        self.ip = Some(ip);
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.caps
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// No longer counted under its address, still counted in all.
    pub(crate) fn leave_ip(&mut self) {
        if let Some(ip) = self.ip.take() {
            let mut open = self.open();
            if let Some(count) = open.by_ip.get_mut(&ip) {
                *count -= 1;
                if *count == 0 {
                    open.by_ip.remove(&ip);
                }
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.leave_ip();
        self.open().total -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_caps_hold_and_places_come_back() {
        let caps = Caps::new(3, 2);
        let [a, b] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from);
        let mut first = caps.admit().unwrap();
        let mut second = caps.admit().unwrap();
        let mut third = caps.admit().unwrap();
        assert_eq!(caps.admit().unwrap_err(), "connections_max");
        assert_eq!(first.enter_ip(a), Ok(()));
        assert_eq!(second.enter_ip(a), Ok(()));
        assert_eq!(third.enter_ip(a), Err("connections_per_ip_max"));
        assert_eq!(third.enter_ip(b), Ok(()));
        second.leave_ip();
        assert_eq!(
            third.enter_ip(a),
            Ok(()),
            "and not under the other any more"
        );
        drop((first, second, third));
        assert!(caps.admit().is_ok());
        assert_eq!(caps.open.lock().unwrap().total, 0);
        assert!(caps.open.lock().unwrap().by_ip.is_empty());
    }
}
