//! The header of the PROXY protocol, version 2, as a trusted proxy sends it before a client's own bytes.

use isocast_access::proxy::{Malformed, REST_BYTES_MAX, START_BYTES, start};

/// `waiting` for the rest of it, `told` an address, `untold`, or `refused`.
pub fn target(data: &[u8]) -> &'static str {
    let Some((first, rest)) = data.split_first_chunk::<START_BYTES>() else {
        return "waiting";
    };
    let started = match start(first) {
        Ok(started) => started,
        Err(error) => return refused(error),
    };
    assert!(started.rest_bytes() <= REST_BYTES_MAX);
    let Some((rest, behind)) = rest.split_at_checked(started.rest_bytes()) else {
        assert!(started.client(rest).is_err(), "a part is no whole");
        return "waiting";
    };
    let client = started
        .client(rest)
        .expect("the start has the length of its addresses");
    assert_eq!(rest.len() + behind.len(), data.len() - START_BYTES);
    match client {
        Some(client) => {
            assert_eq!(client.ip(), client.ip().to_canonical());
            "told"
        }
        None => "untold",
    }
}

fn refused(error: Malformed) -> &'static str {
    assert!(error.reason().starts_with("proxy_header_"));
    "refused"
}
