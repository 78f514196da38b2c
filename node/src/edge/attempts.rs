use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::caps::network;

/// Clients remembered. An entry is some 60 bytes: 600 kB in all.
const CLIENTS_MAX: usize = 10_000;

/// Wrong publish keys, by client. Keys cannot be guessed; this keeps those who try off the store.
///
/// A client may be wrong so often a minute. Once it was more often, it is not let in until half of
/// that is forgiven, which takes half a minute.
#[derive(Debug)]
pub(crate) struct Attempts {
    /// 0: as often as they like.
    per_min_max: u32,
    by_client: Mutex<HashMap<IpAddr, Wrong>>,
}

#[derive(Clone, Copy, Debug)]
struct Wrong {
    /// What is not forgiven yet.
    count: f64,
    at: Instant,
    shut_out: bool,
}

impl Attempts {
    pub(crate) fn new(per_min_max: u32) -> Self {
        Self {
            per_min_max,
            by_client: Mutex::default(),
        }
    }

    /// Its key was wrong.
    pub(crate) fn was_wrong(&self, ip: IpAddr, now: Instant) {
        if self.per_min_max == 0 {
            return;
        }
        let mut by_client = self.lock();
        if by_client.len() >= CLIENTS_MAX {
            by_client.retain(|_, wrong| self.forgiven(*wrong, now).count > 0.0);
        }
        let client = network(ip);
        // With so many at once they are not told apart further; those who are known are.
        if by_client.len() >= CLIENTS_MAX && !by_client.contains_key(&client) {
            return;
        }
        let wrong = by_client.entry(client).or_insert(Wrong {
            count: 0.0,
            at: now,
            shut_out: false,
        });
        *wrong = self.forgiven(*wrong, now);
        wrong.count += 1.0;
        wrong.shut_out |= wrong.count >= f64::from(self.per_min_max);
    }

    pub(crate) fn is_shut_out(&self, ip: IpAddr, now: Instant) -> bool {
        let wrong = self.lock().get(&network(ip)).copied();
        wrong.is_some_and(|wrong| self.forgiven(wrong, now).shut_out)
    }

    fn forgiven(&self, wrong: Wrong, now: Instant) -> Wrong {
        let minutes = now.saturating_duration_since(wrong.at).as_secs_f64() / 60.0;
        let max = f64::from(self.per_min_max);
        let count = (wrong.count - minutes * max).max(0.0);
        Wrong {
            count,
            at: now,
            shut_out: wrong.shut_out && count > max / 2.0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Wrong>> {
        self.by_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_is_wrong_too_often_stays_out_for_half_a_minute() {
        let attempts = Attempts::new(10);
        let (start, client) = (Instant::now(), ip("10.0.0.1"));
        for _ in 0..9 {
            attempts.was_wrong(client, start);
        }
        assert!(!attempts.is_shut_out(client, start));
        attempts.was_wrong(client, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(attempts.is_shut_out(client, after(29)));
        assert!(!attempts.is_shut_out(client, after(30)));
        assert!(!attempts.is_shut_out(ip("10.0.0.2"), start));
        // Wrong every ten seconds, as an encoder that retries: never.
        for seconds in (100..1000).step_by(10) {
            attempts.was_wrong(client, after(seconds));
            assert!(!attempts.is_shut_out(client, after(seconds)), "{seconds}");
        }
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_none_is_shut_out_where_that_is_off() {
        let now = Instant::now();
        let (attempts, off) = (Attempts::new(2), Attempts::new(0));
        for address in ["2001:db8::1", "2001:db8::2"] {
            attempts.was_wrong(ip(address), now);
            off.was_wrong(ip(address), now);
        }
        assert!(attempts.is_shut_out(ip("2001:db8::3"), now));
        assert!(!off.is_shut_out(ip("2001:db8::3"), now));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_who_is_known() {
        let attempts = Attempts::new(2);
        let start = Instant::now();
        let known = ip("192.0.2.1");
        attempts.was_wrong(known, start);
        for client in 0..2 * CLIENTS_MAX as u32 {
            attempts.was_wrong(
                std::net::Ipv4Addr::from_bits(0x0A00_0000 + client).into(),
                start,
            );
        }
        assert_eq!(attempts.lock().len(), CLIENTS_MAX);
        attempts.was_wrong(known, start);
        assert!(attempts.is_shut_out(known, start));
        attempts.was_wrong(ip("10.255.255.1"), start + Duration::from_secs(120));
        assert_eq!(attempts.lock().len(), 1, "the others are forgiven");
    }
}
