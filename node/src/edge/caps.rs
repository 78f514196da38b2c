use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

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
    open: Arc<Mutex<Open>>,
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

    /// A place for a connection from `ip`, or the reason why there is none.
    pub(crate) fn admit(&self, ip: IpAddr) -> Result<Permit, &'static str> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.total_max {
            return Err("connections_max");
        }
        let from_ip = open.by_ip.entry(ip).or_default();
        if *from_ip >= self.per_ip_max {
            return Err("connections_per_ip_max");
        }
        *from_ip += 1;
        open.total += 1;
        Ok(Permit {
            open: Arc::clone(&self.open),
            ip: Some(ip),
        })
    }
}

impl Permit {
    /// No longer counted under its address, still counted in all.
    pub(crate) fn leave_ip(&mut self) {
        if let Some(ip) = self.ip.take() {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .total -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_caps_hold_and_places_come_back() {
        let caps = Caps::new(3, 2);
        let [a, b] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from);
        let first = caps.admit(a).unwrap();
        let mut second = caps.admit(a).unwrap();
        assert_eq!(caps.admit(a).unwrap_err(), "connections_per_ip_max");
        second.leave_ip();
        let third = caps.admit(a).unwrap();
        assert_eq!(caps.admit(b).unwrap_err(), "connections_max");
        drop((first, second, third));
        assert!(caps.admit(b).is_ok());
        assert_eq!(caps.open.lock().unwrap().total, 0);
        assert!(caps.open.lock().unwrap().by_ip.is_empty());
    }
}
