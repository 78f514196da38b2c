use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;

/// Processor time of this process, against what the machine has.
#[derive(Debug)]
pub(crate) struct Cpu {
    cores: f64,
    last: Option<(Instant, Duration)>,
}

impl Cpu {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cores: cores as f64,
            last: None,
        }
    }

    /// The share since it was last asked; 0 the first time, and where the system does not tell.
    pub(crate) fn share(&mut self) -> f64 {
        let used = std::fs::read_to_string("/proc/self/stat");
        match used.ok().as_deref().and_then(used_of) {
            Some(used) => self.share_at(Instant::now(), used),
            None => 0.0,
        }
    }

    fn share_at(&mut self, now: Instant, used: Duration) -> f64 {
        let Some((at, before)) = self.last.replace((now, used)) else {
            return 0.0;
        };
        let took_s = now.saturating_duration_since(at).as_secs_f64();
        let used_s = used.saturating_sub(before).as_secs_f64();
        if took_s == 0.0 {
            return 0.0;
        }
        (used_s / took_s / self.cores).min(1.0)
    }
}

/// `utime` and `stime`, the fields 14 and 15 (proc(5)). The second, a name in brackets, may hold anything.
fn used_of(stat: &str) -> Option<Duration> {
    let (_, from_third) = stat.rsplit_once(") ")?;
    let mut fields = from_third.split(' ').skip(14 - 3);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()?.checked_add(ticks()?)?;
    let seconds = ticks as f64 / clock_ticks_per_second() as f64;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_a_share_of_all_cores() {
        let begun = Instant::now();
        let at = |s| begun + Duration::from_secs(s);
        let mut cpu = Cpu {
            cores: 4.0,
            last: None,
        };
        for (now, used_s, expected) in [
            (at(0), 100, 0.0),
            (at(2), 102, 0.25),
            (at(2), 102, 0.0),
            (at(4), 102, 0.0),
            (at(5), 112, 1.0),
            (at(6), 50, 0.0),
        ] {
            let share = cpu.share_at(now, Duration::from_secs(used_s));
            assert!((share - expected).abs() < 1e-9, "{share} {expected}");
        }
    }

    #[test]
    fn the_systems_word_is_read_whatever_the_process_is_called() {
        let ticks = clock_ticks_per_second();
        let line = format!("7 (a) b (c) S 1 7 7 0 -1 4 1 0 0 0 {ticks} {ticks} 0 0 20 0");
        assert_eq!(used_of(&line), Some(Duration::from_secs(2)));
        for garbage in [
            "",
            "7 (a",
            "7 (a) S 1",
            "7 (a) S 1 7 7 0 -1 4 1 0 0 0 x y 0",
        ] {
            assert_eq!(used_of(garbage), None, "{garbage:?}");
        }
        let own = std::fs::read_to_string("/proc/self/stat").expect("Linux");
        assert!(used_of(&own).is_some());
    }
}
