use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What else is open: listeners, the store, calls to others, the runtime's own.
const OTHERS: usize = 64;
/// Fewer places than this are given out in any case.
const PLACES_MIN: usize = 16;

/// Asks for as many open files as the system lets this process have, one for each connection; how
/// many that is, `None` without a limit.
pub(crate) fn raise_open_files() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let highest = Rlimit {
        current: maximum,
        maximum,
    };
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, highest)
    {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
    let allowed = getrlimit(Resource::Nofile).current;
    allowed.and_then(|allowed| usize::try_from(allowed).ok())
}

/// The connections that RTMP and HTTP may have: what is configured, or less, in the same
/// proportion, where fewer files may be open. With `kept` for operators, so that a flood of viewers
/// can take neither the files that the node itself needs nor theirs.
pub(crate) fn places(allowed: Option<usize>, configured: [usize; 2], kept: usize) -> [usize; 2] {
    let wanted: usize = configured.iter().sum();
    let free = allowed.map_or(wanted, |allowed| allowed.saturating_sub(kept + OTHERS));
    if free >= wanted {
        return configured;
    }
    let places = configured.map(|count| (count * free / wanted).max(PLACES_MIN));
    tracing::warn!(
        allowed,
        rtmp = places[0],
        http = places[1],
        "fewer files may be open than connections are configured: raise the hard limit (ulimit -Hn)"
    );
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_the_files_that_may_be_open() {
        for (allowed, configured, expected) in [
            (None, [10_000, 20_000], [10_000, 20_000]),
            (Some(1 << 20), [10_000, 20_000], [10_000, 20_000]),
            (Some(20_000), [10_000, 20_000], [6560, 13_120]),
            (Some(1024), [10_000, 20_000], [234, 469]),
            (Some(64), [10_000, 20_000], [16, 16]),
            (Some(1024), [100, 100], [100, 100]),
        ] {
            assert_eq!(places(allowed, configured, 256), expected, "{allowed:?}");
        }
    }

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows() {
        let allowed = raise_open_files();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(allowed.map(|files| files as u64), current);
    }
}
