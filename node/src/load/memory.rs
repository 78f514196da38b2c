use std::path::{Path, PathBuf};

/// Memory in use against what this process may use: its own limit, and those of the control groups
/// that it is in (cgroups(7)), whose end is the kernel's killer.
#[derive(Debug)]
pub(super) struct Memory {
    /// 0: none of its own.
    bytes_max: u64,
    groups: Vec<Group>,
}

const OWN_GROUPS: &str = "/proc/self/cgroup";
const GROUPS: &str = "/sys/fs/cgroup";
const OWN_PAGES: &str = "/proc/self/statm";

impl Memory {
    pub(super) fn new(bytes_max: u64) -> Self {
        let own = std::fs::read_to_string(OWN_GROUPS).unwrap_or_default();
        Self {
            bytes_max,
            groups: groups(Path::new(GROUPS), &own),
        }
    }

    /// The highest share of any of the limits; 0 where there is none.
    pub(super) fn ratio(&self) -> f64 {
        let own = ratio(resident_bytes().unwrap_or(0), self.bytes_max);
        let groups = self.groups.iter().filter_map(Group::ratio);
        groups.fold(own, f64::max)
    }
}

/// The second field of statm: pages that are resident (proc(5)).
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string(OWN_PAGES).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// A group's folder, whose files tell about its memory. They are read anew each time: a limit may be
/// changed while the process runs.
#[derive(Debug, PartialEq)]
struct Group {
    folder: PathBuf,
    names: &'static Names,
}

/// What a version of control groups calls what counts.
#[derive(Debug, PartialEq)]
struct Names {
    limit: &'static str,
    used: &'static str,
    /// Of what is used, file pages that the kernel takes back before it kills anyone.
    reclaimable: &'static str,
}

const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file",
};

const V2: Names = Names {
    limit: "memory.max",
    used: "memory.current",
    reclaimable: "inactive_file",
};

impl Group {
    /// `None` where the folder is of no group.
    fn at(folder: &Path, names: &'static Names) -> Option<Self> {
        let folder = folder.to_owned();
        let is_group = folder.join(names.limit).exists();
        is_group.then_some(Self { folder, names })
    }

    fn ratio(&self) -> Option<f64> {
        // Version 2 writes "max" for no limit, version 1 a number near 2^63, of which nothing is used.
        let limit = number(&self.folder.join(self.names.limit))?;
        let stat = std::fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let reclaimable = stat.lines().find_map(|line| {
            let (name, bytes) = line.split_once(' ')?;
            (name == self.names.reclaimable).then(|| bytes.parse().ok())?
        });
        let used =
            number(&self.folder.join(self.names.used))?.saturating_sub(reclaimable.unwrap_or(0));
        Some(ratio(used, limit))
    }
}

/// The groups that `own`, lines of `<hierarchy>:<controllers>:<path>`, names, and all above them.
/// In a container the path may be the host's, and its top folder be the container's own group.
fn groups(root: &Path, own: &str) -> Vec<Group> {
    let mut found = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (top, names) = match controllers {
            "" => (root.to_owned(), &V2),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), &V1),
            _ => continue,
        };
        let lowest = top.join(path.trim_start_matches('/'));
        let folders = lowest.ancestors().take_while(|at| at.starts_with(&top));
        found.extend(folders.filter_map(|folder| Group::at(folder, names)));
    }
    found
}

fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn ratio(used: u64, limit: u64) -> f64 {
    match limit {
        0 => 0.0,
        _ => used as f64 / limit as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scratch::Scratch;

    fn write(scratch: &Scratch, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = scratch.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn share(scratch: &Scratch, own: &str) -> f64 {
        let memory = Memory {
            bytes_max: 0,
            groups: groups(scratch.path(), own),
        };
        memory.ratio()
    }

    #[test]
    fn the_tightest_group_counts_without_its_file_pages() {
        let scratch = Scratch::new();
        write(
            &scratch,
            &[
                ("memory.max", "max\n"),
                ("memory.current", "9000\n"),
                ("memory.stat", "anon 1\n"),
                ("pod/memory.max", "1000\n"),
                ("pod/memory.current", "700\n"),
                ("pod/memory.stat", "anon 1\ninactive_file 200\n"),
                ("pod/node/memory.max", "4000\n"),
                ("pod/node/memory.current", "400\n"),
                ("pod/node/memory.stat", ""),
            ],
        );
        assert_eq!(share(&scratch, "0::/pod/node\n"), 0.5);
        assert_eq!(share(&scratch, "0::/\n"), 0.0, "no limit");
        // The host's path, seen from within a container.
        write(&scratch, &[("memory.max", "10000\n")]);
        assert_eq!(share(&scratch, "0::/kubepods/b3\n"), 0.9);
    }

    #[test]
    fn the_older_groups_are_read_too() {
        let scratch = Scratch::new();
        write(
            &scratch,
            &[
                ("memory/a/memory.limit_in_bytes", "1000\n"),
                ("memory/a/memory.usage_in_bytes", "1100\n"),
                (
                    "memory/a/memory.stat",
                    "inactive_file 1\ntotal_inactive_file 300\n",
                ),
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/memory.usage_in_bytes", "5000\n"),
                ("memory/memory.stat", ""),
            ],
        );
        assert_eq!(
            share(&scratch, "9:name=systemd:/a\n4:memory:/a\n0::/\n"),
            0.8
        );
        assert!(share(&scratch, "4:cpu,memory:/\n") < 1e-9);
    }

    #[test]
    fn without_groups_only_its_own_limit_counts() {
        let scratch = Scratch::new();
        assert_eq!(share(&scratch, "4:memory:/a\n0::/\nnonsense\n"), 0.0);
        let own = Memory {
            bytes_max: 1,
            groups: Vec::new(),
        };
        assert!(own.ratio() > 1e5, "a process has more than 100 kB");
    }
}
