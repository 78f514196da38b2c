use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, MutexGuard};

use tokio_util::sync::CancellationToken;

use crate::sync::Mutex;

/// At most so many at once, in all and from one address.
#[derive(Clone, Debug)]
pub(crate) struct Caps {
    total_max: usize,
    per_ip_max: usize,
    /// Whether a newcomer takes the place of one that has not shown yet what it is for.
    newcomers_win: bool,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
    /// Those whose place a newcomer may take, in that order.
    waiting: BTreeMap<Waiting, CancellationToken>,
    next_number: u64,
}

/// Who has come furthest keeps its place longest, and of equals who came last: a flood of
/// strangers crowds out strangers, while an encoder that goes on gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    step: Step,
    number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Handshake,
    Command,
}

/// One place under both caps, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    caps: Caps,
    ip: Option<IpAddr>,
    waiting: Option<Waiting>,
    crowded_out: CancellationToken,
}

impl Caps {
    pub(crate) fn new(total_max: usize, per_ip_max: usize) -> Self {
        Self {
            total_max,
            per_ip_max,
            newcomers_win: false,
            open: Arc::default(),
        }
    }

    /// The same, where a newcomer is let in although all places are taken, as long as some are
    /// taken by connections that have not shown yet what they are for.
    pub(crate) fn where_newcomers_win(total_max: usize, per_ip_max: usize) -> Self {
        Self {
            newcomers_win: true,
            ..Self::new(total_max, per_ip_max)
        }
    }

    /// A place for one more connection, whoever it is from, or the reason why there is none.
    pub(crate) fn admit(&self) -> Result<Permit, &'static str> {
        let mut open = self.open.lock();
        if open.total >= self.total_max {
            let (_, crowded_out) = open.waiting.pop_first().ok_or("connections_max")?;
            crowded_out.cancel();
            open.total -= 1;
        }
        open.total += 1;
        let crowded_out = CancellationToken::new();
        let waiting = self.newcomers_win.then(|| {
            let waiting = Waiting {
                step: Step::Handshake,
                number: open.next_number,
            };
            open.next_number += 1;
            open.waiting.insert(waiting, crowded_out.clone());
            waiting
        });
        Ok(Permit {
            caps: self.clone(),
            ip: None,
            waiting,
            crowded_out,
        })
    }
}

impl Permit {
    /// Cancelled once a newcomer has taken its place.
    pub(crate) fn crowded_out(&self) -> CancellationToken {
        self.crowded_out.clone()
    }

    /// Also counts under the address of its client, once that is known.
    pub(crate) fn enter_ip(&mut self, ip: IpAddr) -> Result<(), &'static str> {
        self.forget_ip();
        let ip = network(ip);
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

    /// It has shaken hands: those that have not go first.
    pub(crate) fn step_up(&mut self) {
        let Some(waiting) = self.waiting else { return };
        let mut open = self.open();
        if let Some(crowded_out) = open.waiting.remove(&waiting) {
            let further = Waiting {
                step: Step::Command,
                ..waiting
            };
            open.waiting.insert(further, crowded_out);
            drop(open);
            self.waiting = Some(further);
        }
    }

    /// It has shown what it is for: no longer counted under its address, still counted in all, and
    /// nobody takes its place; false where somebody has.
    #[must_use]
    pub(crate) fn leave_ip(&mut self) -> bool {
        self.forget_ip();
        let Some(waiting) = self.waiting else {
            return true;
        };
        let stays = self.open().waiting.remove(&waiting).is_some();
        if stays {
            self.waiting = None;
        }
        stays
    }

    fn forget_ip(&mut self) {
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

    fn open(&self) -> MutexGuard<'_, Open> {
        self.caps.open.lock()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.forget_ip();
        let waiting = self.waiting.take();
        let mut open = self.open();
        // Whoever took its place has counted it out.
        let was_crowded_out = waiting.is_some_and(|it| open.waiting.remove(&it).is_none());
        if !was_crowded_out {
            open.total -= 1;
        }
    }
}

/// What counts as one client: of IPv6 a /64, for that is what one subscriber has (RFC 6177).
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip => ip,
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
        assert!(second.leave_ip());
        assert_eq!(
            third.enter_ip(a),
            Ok(()),
            "and not under the other any more"
        );
        drop((first, second, third));
        assert!(caps.admit().is_ok());
        assert_eq!(caps.open.lock().total, 0);
        assert!(caps.open.lock().by_ip.is_empty());
    }

    #[test]
    fn newcomers_crowd_out_who_came_least_far() {
        let caps = Caps::where_newcomers_win(3, 9);
        let mut shaken = caps.admit().unwrap();
        shaken.step_up();
        let mut publisher = caps.admit().unwrap();
        assert!(publisher.leave_ip());
        let idle = caps.admit().unwrap();
        let is_out = |permit: &Permit| permit.crowded_out().is_cancelled();

        let mut newcomer = caps.admit().unwrap();
        assert!(is_out(&idle) && !is_out(&shaken));
        drop(idle);
        let next = caps.admit().unwrap();
        assert!(
            is_out(&newcomer) && !is_out(&shaken),
            "who still shakes hands goes first"
        );
        let mut last = caps.admit().unwrap();
        assert!(is_out(&next) && !is_out(&shaken));
        assert!(last.leave_ip());
        assert!(!newcomer.leave_ip(), "its place is another's");
        let one_more = caps.admit().unwrap();
        assert!(is_out(&shaken), "then who has only shaken hands");
        let mut one_more = one_more;
        assert!(one_more.leave_ip());
        assert_eq!(
            caps.admit().unwrap_err(),
            "connections_max",
            "and nobody else"
        );
        assert!(!is_out(&publisher) && !is_out(&last) && !is_out(&one_more));

        drop((newcomer, next, shaken, publisher, last, one_more));
        let open = caps.open.lock();
        assert_eq!((open.total, open.waiting.len()), (0, 0));
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        for (ip, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(network(ip).to_string(), expected);
        }
    }
}
