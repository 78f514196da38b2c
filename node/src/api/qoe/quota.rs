use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
/// Reports from one address in a minute: a page sends one, and an office has many.
pub(super) const BY_ADDRESS_MAX: u32 = 120;
/// Reports in a minute from all: more viewers than a node has places for.
const IN_ALL_MAX: u32 = 30_000;
/// Addresses told apart in a minute; an entry is some 24 bytes.
const ADDRESSES_MAX: usize = 20_000;

/// How many reports are taken in a minute. The table begins anew with each, so it needs no other bound.
#[derive(Debug, Default)]
pub(crate) struct Quota(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    in_all: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Quota {
    pub(super) fn allows(&self, address: IpAddr, now: Instant) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began: Instant| now.saturating_duration_since(began) >= WINDOW;
        if window.began.is_none_or(is_over) {
            *window = Window {
                began: Some(now),
                ..Window::default()
            };
        }
        let owner = owner(address);
        let is_new = !window.by_address.contains_key(&owner);
        if window.in_all >= IN_ALL_MAX || (is_new && window.by_address.len() >= ADDRESSES_MAX) {
            return false;
        }
        let count = window.by_address.entry(owner).or_default();
        if *count >= BY_ADDRESS_MAX {
            return false;
        }
        *count += 1;
        window.in_all += 1;
        true
    }
}

/// Whoever has an IPv6 address has the 64 bits of its network as well.
fn owner(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let network = u128::from(v6) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_all_together_have_their_share_of_each_minute() {
        let quota = Quota::default();
        let start = Instant::now();
        let one = IpAddr::from([192, 0, 2, 1]);
        let taken = |address: IpAddr, times: u32, now| {
            (0..times).filter(|_| quota.allows(address, now)).count() as u32
        };
        assert_eq!(taken(one, 2 * BY_ADDRESS_MAX, start), BY_ADDRESS_MAX);
        let all: u32 = (0..u16::MAX)
            .map(|n| taken([10, 0, (n >> 8) as u8, n as u8].into(), 1, start))
            .sum();
        assert_eq!(all as usize, ADDRESSES_MAX - 1);
        assert!(quota.0.lock().unwrap().by_address.len() <= ADDRESSES_MAX);
        assert!(quota.allows(one, start + WINDOW), "a new minute");

        let quota = Quota::default();
        let all: u32 = (0..300u16)
            .map(|n| {
                let address = [10, 0, (n >> 8) as u8, n as u8].into();
                (0..2 * BY_ADDRESS_MAX)
                    .filter(|_| quota.allows(address, start))
                    .count() as u32
            })
            .sum();
        assert_eq!(all, IN_ALL_MAX);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| owner(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
