use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(60);
/// Reports from one client in a minute: a page sends one, and an office has many.
pub(super) const BY_CLIENT_MAX: u32 = 120;
/// Reports in a minute from all: more viewers than a node has places for.
const IN_ALL_MAX: u32 = 30_000;
/// Clients told apart in a minute; an entry is some 24 bytes.
const CLIENTS_MAX: usize = 20_000;

/// How many reports are taken in a minute. The table begins anew with each, so it needs no other bound.
#[derive(Debug, Default)]
pub(crate) struct Quota(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    in_all: u32,
    by_client: HashMap<IpAddr, u32>,
}

impl Quota {
    /// Whether one more report is taken from a client, which is an address or an IPv6 network.
    pub(super) fn allows(&self, client: IpAddr, now: Instant) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began: Instant| now.saturating_duration_since(began) >= WINDOW;
        if window.began.is_none_or(is_over) {
            *window = Window {
                began: Some(now),
                ..Window::default()
            };
        }
        let is_new = !window.by_client.contains_key(&client);
        if window.in_all >= IN_ALL_MAX || (is_new && window.by_client.len() >= CLIENTS_MAX) {
            return false;
        }
        let count = window.by_client.entry(client).or_default();
        if *count >= BY_CLIENT_MAX {
            return false;
        }
        *count += 1;
        window.in_all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_and_all_together_have_their_share_of_each_minute() {
        let quota = Quota::default();
        let start = Instant::now();
        let one = IpAddr::from([192, 0, 2, 1]);
        let taken = |address: IpAddr, times: u32, now| {
            (0..times).filter(|_| quota.allows(address, now)).count() as u32
        };
        assert_eq!(taken(one, 2 * BY_CLIENT_MAX, start), BY_CLIENT_MAX);
        let all: u32 = (0..u16::MAX)
            .map(|n| taken([10, 0, (n >> 8) as u8, n as u8].into(), 1, start))
            .sum();
        assert_eq!(all as usize, CLIENTS_MAX - 1);
        assert!(quota.0.lock().unwrap().by_client.len() <= CLIENTS_MAX);
        assert!(quota.allows(one, start + WINDOW), "a new minute");

        let quota = Quota::default();
        let all: u32 = (0..300u16)
            .map(|n| {
                let address = [10, 0, (n >> 8) as u8, n as u8].into();
                (0..2 * BY_CLIENT_MAX)
                    .filter(|_| quota.allows(address, start))
                    .count() as u32
            })
            .sum();
        assert_eq!(all, IN_ALL_MAX);
    }
}
