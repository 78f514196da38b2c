//! CPU time and memory as the kernel counts them (proc(5)).

use std::collections::HashMap;
use std::fs;

use anyhow::Context;

/// `/proc` counts in hundredths of a second on every architecture Rust has Linux for but Alpha.
const TICKS_PER_SECOND: f64 = 100.0;

/// Whose CPU time is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    /// A process and all its descendants.
    Tree(u32),
    /// One thread of this process.
    Thread(u32),
}

impl Subject {
    /// User and system time of everyone in it who still runs.
    pub(crate) fn cpu_s(self) -> anyhow::Result<f64> {
        let ticks = match self {
            Self::Tree(root) => tree(root)?.iter().map(|stat| stat.ticks).sum(),
            Self::Thread(thread) => read(&format!("/proc/self/task/{thread}/stat"))?.ticks,
        };
        Ok(seconds(ticks))
    }

    /// Resident memory; of a thread there is no such figure. Pages that processes of a tree share
    /// count once for each.
    pub(crate) fn rss_bytes(self) -> anyhow::Result<Option<u64>> {
        let Self::Tree(root) = self else {
            return Ok(None);
        };
        let mut kib = 0;
        for stat in tree(root)? {
            // A process without memory has just ended.
            let status = fs::read_to_string(format!("/proc/{}/status", stat.id));
            kib += status
                .ok()
                .and_then(|status| resident_kib(&status))
                .unwrap_or(0);
        }
        Ok(Some(kib * 1024))
    }
}

/// User and system time of this process, all its threads included.
pub(crate) fn own_cpu_s() -> anyhow::Result<f64> {
    Ok(seconds(read("/proc/self/stat")?.ticks))
}

/// Time all cores together were busy since the machine started, the time that a hypervisor took
/// away (steal) included.
pub(crate) fn machine_cpu_s() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat cannot be read")?;
    Ok(seconds(
        busy_ticks(&text).context("/proc/stat has no line for all cores")?,
    ))
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}

/// What a `stat` file of a process or thread says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    id: u32,
    parent: u32,
    /// User and system time.
    ticks: u64,
}

fn read(path: &str) -> anyhow::Result<Stat> {
    let text = fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))?;
    parse(&text).with_context(|| format!("{path} is not what proc(5) says"))
}

/// `id (command) state parent …`. A command may hold spaces, brackets and line ends, so the fields
/// behind it are counted from the last bracket.
fn parse(text: &str) -> Option<Stat> {
    let (id, rest) = text.split_once(" (")?;
    let (_command, fields) = rest.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?; // field 4
    let user: u64 = fields.nth(9)?.parse().ok()?; // field 14
    let system: u64 = fields.next()?.parse().ok()?; // field 15
    Some(Stat {
        id: id.parse().ok()?,
        parent,
        ticks: user + system,
    })
}

/// The process `root` and its descendants, as far as they still run.
pub(crate) fn tree_ids(root: u32) -> anyhow::Result<Vec<u32>> {
    Ok(tree(root)?.iter().map(|stat| stat.id).collect())
}

/// `root` and its descendants, as far as they still run.
fn tree(root: u32) -> anyhow::Result<Vec<Stat>> {
    let all = fs::read_dir("/proc").context("/proc is not mounted")?;
    let process = |entry: fs::DirEntry| {
        let id: u32 = entry.file_name().to_str()?.parse().ok()?;
        read(&format!("/proc/{id}/stat")).ok()
    };
    let all = all.flatten().filter_map(process);
    Ok(descendants(all.collect(), root))
}

fn descendants(all: Vec<Stat>, root: u32) -> Vec<Stat> {
    let mut children: HashMap<u32, Vec<Stat>> = HashMap::new();
    let mut found = Vec::new();
    for stat in all {
        match stat.id == root {
            true => found.push(stat),
            false => children.entry(stat.parent).or_default().push(stat),
        }
    }
    let mut looked_at = 0;
    while let Some(stat) = found.get(looked_at) {
        let more = children.remove(&stat.id);
        found.extend(more.into_iter().flatten());
        looked_at += 1;
    }
    found
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal; what follows is a part of
/// user and nice.
fn busy_ticks(text: &str) -> Option<u64> {
    const NOT_BUSY: [usize; 2] = [3, 4];
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let mut busy = 0;
    for (index, field) in line.split_ascii_whitespace().take(8).enumerate() {
        let ticks: u64 = field.parse().ok()?;
        if !NOT_BUSY.contains(&index) {
            busy += ticks;
        }
    }
    Some(busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "S 7 4242 4242 0 -1 4194304 100 0 0 0 31 11 5 6 20 0 3 0 99 1000 50";

    #[test]
    fn fields_are_counted_behind_any_command_name() {
        let expected = Some(Stat {
            id: 4242,
            parent: 7,
            ticks: 42,
        });
        for command in [
            "nginx",
            "",
            "a b",
            ") S 1 2 (",
            "((",
            "))",
            "a\nb",
            "nginx: worker",
        ] {
            let text = format!("4242 ({command}) {REST}\n");
            assert_eq!(parse(&text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_stat_is_none() {
        for text in [
            "",
            "4242",
            "4242 (a",
            "4242 (a) S 7",
            "x (a) S 7 1 1 1 1 1 1 1 1 1 1 1 1 1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_tree_is_the_root_and_all_below_whatever_the_order() {
        let stat = |(id, parent)| Stat {
            id,
            parent,
            ticks: 1,
        };
        let all = [(9, 5), (5, 2), (2, 1), (1, 0), (3, 1), (6, 5), (4, 0)];
        let ids = |root| {
            let mut ids: Vec<u32> = descendants(all.map(stat).into(), root)
                .iter()
                .map(|stat| stat.id)
                .collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(2), [2, 5, 6, 9]);
        assert_eq!(ids(4), [4]);
        assert_eq!(ids(1), [1, 2, 3, 5, 6, 9]);
        assert!(ids(77).is_empty());
    }

    #[test]
    fn memory_and_the_machines_time_are_read() {
        let status = "Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t    5120 kB\nThreads:\t1\n";
        assert_eq!(resident_kib(status), Some(5120));
        assert_eq!(resident_kib("Name:\tkthreadd\n"), None);
        let stat = "cpu  10 20 30 1000 2000 1 2 3 10 20\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_ticks(stat), Some(66));
        assert_eq!(busy_ticks("cpu0 1 1 1 1\n"), None);
    }

    #[test]
    fn this_process_is_found() {
        let me = std::process::id();
        assert_eq!(tree_ids(me).unwrap().first(), Some(&me));
        assert!(Subject::Tree(me).rss_bytes().unwrap().unwrap() > 0);
        assert!(machine_cpu_s().unwrap() >= own_cpu_s().unwrap());
    }
}
