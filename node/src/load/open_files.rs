use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What else is open: listeners, the store, the runtime's own.
const OTHERS: usize = 64;

/// Asks for as many open files as the system lets this process have, one for each connection;
/// says so where the configuration allows more connections than that.
pub(crate) fn raise_open_files(connections_max: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        )
    {
        tracing::warn!(%error, "the limit on open files cannot be raised");
    }
    let allowed = getrlimit(Resource::Nofile).current;
    let wanted = connections_max + OTHERS;
    if allowed.is_some_and(|allowed| allowed < wanted as u64) {
        tracing::warn!(
            allowed,
            wanted,
            "fewer files may be open than the configuration allows connections: raise the hard limit (ulimit -Hn)"
        );
    }
}
