use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::caps::network;
use crate::sync::Mutex;

/// Clients remembered. An entry is some 60 bytes: 600 kB in all.
const CLIENTS_MAX: usize = 10_000;
/// A full table is searched for those who are forgiven no more often than this.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How often each client did something lately: a leaky bucket for each, of so many drops a minute.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// What a bucket holds, and what it loses in a minute. 0: as often as they like.
    per_min_max: u32,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_client: HashMap<IpAddr, Bucket>,
    swept_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// What is not forgiven yet.
    level: f64,
    at: Instant,
    shut_out: bool,
}

impl Buckets {
    pub(crate) fn new(per_min_max: u32) -> Self {
        Self {
            per_min_max,
            table: Mutex::default(),
        }
    }

    /// Counts once more, unless that is too often: then the seconds until it is not.
    pub(crate) fn take(&self, ip: IpAddr, now: Instant) -> Result<(), u32> {
        let max = f64::from(self.per_min_max);
        let mut table = self.table.lock();
        let Some(bucket) = self.bucket(&mut table, ip, now) else {
            return Ok(());
        };
        let above = bucket.level + 1.0 - max;
        if above <= 0.0 {
            bucket.level += 1.0;
            return Ok(());
        }
        Err((above * 60.0 / max).ceil() as u32)
    }

    /// Counts once more, however often that was. Who fills its bucket is shut out until it is half
    /// empty, which takes half a minute.
    pub(crate) fn add(&self, ip: IpAddr, now: Instant) {
        let mut table = self.table.lock();
        if let Some(bucket) = self.bucket(&mut table, ip, now) {
            bucket.level += 1.0;
            bucket.shut_out |= bucket.level >= f64::from(self.per_min_max);
        }
    }

    pub(crate) fn is_shut_out(&self, ip: IpAddr, now: Instant) -> bool {
        let bucket = self.table.lock().by_client.get(&network(ip)).copied();
        bucket.is_some_and(|bucket| self.leaked(bucket, now).shut_out)
    }

    /// `None` where nothing is counted.
    fn bucket<'t>(&self, table: &'t mut Table, ip: IpAddr, now: Instant) -> Option<&'t mut Bucket> {
        if self.per_min_max == 0 {
            return None;
        }
        let client = network(ip);
        if !table.by_client.contains_key(&client) && table.by_client.len() >= CLIENTS_MAX {
            self.sweep(table, now);
            // With so many at once they are not told apart further; those who are known are.
            if table.by_client.len() >= CLIENTS_MAX {
                return None;
            }
        }
        let bucket = table.by_client.entry(client).or_insert(Bucket {
            level: 0.0,
            at: now,
            shut_out: false,
        });
        *bucket = self.leaked(*bucket, now);
        Some(bucket)
    }

    fn sweep(&self, table: &mut Table, now: Instant) {
        let is_soon = |at: Instant| now.saturating_duration_since(at) < SWEEP_EVERY;
        if !table.swept_at.is_some_and(is_soon) {
            table.swept_at = Some(now);
            let by_client = &mut table.by_client;
            by_client.retain(|_, bucket| self.leaked(*bucket, now).level > 0.0);
        }
    }

    fn leaked(&self, bucket: Bucket, now: Instant) -> Bucket {
        let minutes = now.saturating_duration_since(bucket.at).as_secs_f64() / 60.0;
        let max = f64::from(self.per_min_max);
        let level = (bucket.level - minutes * max).max(0.0);
        Bucket {
            level,
            at: now,
            shut_out: bucket.shut_out && level > max / 2.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn so_many_are_taken_a_minute_and_the_next_is_told_when() {
        let buckets = Buckets::new(30);
        let (start, client) = (Instant::now(), ip("10.0.0.1"));
        let taken = |at| {
            (0..100)
                .filter(|_| buckets.take(client, at).is_ok())
                .count()
        };
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(taken(start), 30);
        assert_eq!(buckets.take(client, start), Err(2), "one every two seconds");
        assert_eq!(buckets.take(client, after(1500)), Err(1));
        assert_eq!(buckets.take(ip("10.0.0.2"), start), Ok(()));
        assert_eq!(taken(after(2001)), 1);
        assert_eq!(taken(after(22_001)), 10);
        let hour = (22_001..3_600_000).step_by(100).map(after);
        let all = hour.filter(|at| buckets.take(client, *at).is_ok()).count();
        assert!((1785..=1790).contains(&all), "30 a minute: {all}");
    }

    #[test]
    fn who_is_wrong_too_often_stays_out_for_half_a_minute() {
        let attempts = Buckets::new(10);
        let (start, client) = (Instant::now(), ip("10.0.0.1"));
        for _ in 0..9 {
            attempts.add(client, start);
        }
        assert!(!attempts.is_shut_out(client, start));
        attempts.add(client, start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(attempts.is_shut_out(client, after(29)));
        assert!(!attempts.is_shut_out(client, after(30)));
        assert!(!attempts.is_shut_out(ip("10.0.0.2"), start));
        // Wrong every ten seconds, as an encoder that retries: never.
        for seconds in (100..1000).step_by(10) {
            attempts.add(client, after(seconds));
            assert!(!attempts.is_shut_out(client, after(seconds)), "{seconds}");
        }
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_nothing_is_too_often_where_that_is_off() {
        let now = Instant::now();
        let (attempts, off) = (Buckets::new(2), Buckets::new(0));
        for address in ["2001:db8::1", "2001:db8::2"] {
            attempts.add(ip(address), now);
            off.add(ip(address), now);
        }
        assert!(attempts.is_shut_out(ip("2001:db8::3"), now));
        assert_eq!(attempts.take(ip("2001:db8::3"), now), Err(30));
        assert!(!off.is_shut_out(ip("2001:db8::3"), now));
        assert_eq!(off.take(ip("2001:db8::3"), now), Ok(()));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_who_is_known() {
        let attempts = Buckets::new(2);
        let start = Instant::now();
        let known = ip("192.0.2.1");
        attempts.add(known, start);
        for client in 0..2 * CLIENTS_MAX as u32 {
            let ip = std::net::Ipv4Addr::from_bits(0x0A00_0000 + client);
            attempts.add(ip.into(), start);
        }
        assert_eq!(attempts.table.lock().by_client.len(), CLIENTS_MAX);
        attempts.add(known, start);
        assert!(attempts.is_shut_out(known, start));
        attempts.add(ip("10.255.255.1"), start + Duration::from_secs(120));
        assert_eq!(
            attempts.table.lock().by_client.len(),
            1,
            "the others are forgiven"
        );
    }
}
