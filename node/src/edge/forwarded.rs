//! Whose request it is that comes through a proxy: `X-Forwarded-For`.
//!
//! It has no specification; each proxy adds the address that it was asked from at the right. What stands left of the last
//! address that is no proxy of ours is the client's own words. `Forwarded` (RFC 7239) is not read: a proxy that writes
//! one of the two passes the other on as the client wrote it.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::HeaderName;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub address: IpAddr,
    /// It is one of ours, and comes for others.
    pub is_proxy: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Client {
    /// Whom a request with these headers is from.
    pub(super) fn of_request(
        self,
        headers: &HeaderMap,
        is_proxy: impl Fn(IpAddr) -> bool,
    ) -> Result<IpAddr, Malformed> {
        let mut client = self.address;
        if !self.is_proxy {
            return Ok(client);
        }
        for value in headers.get_all(X_FORWARDED_FOR).iter().rev() {
            for entry in value.as_bytes().rsplit(|byte| *byte == b',') {
                client = address(entry).ok_or(Malformed)?;
                if !is_proxy(client) {
                    return Ok(client);
                }
            }
        }
        Ok(client)
    }
}

/// Some proxies write the port too, and brackets around IPv6.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let ip = match bare {
        Some(ip) => ip.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    };
    let ip = ip.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_clients() {
        let proxies = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
        let is_proxy = |address| {
            proxies
                .iter()
                .any(|it: &crate::config::Network| it.contains(address))
        };
        for (values, expected) in [
            (&[][..], Some("10.0.0.1")),
            (&["192.0.2.1"], Some("192.0.2.1")),
            (&["192.0.2.9, 192.0.2.1"], Some("192.0.2.1")),
            (&["192.0.2.9", "192.0.2.1"], Some("192.0.2.1")),
            (&["192.0.2.1, 10.0.0.2"], Some("192.0.2.1")),
            (&["192.0.2.1,10.0.0.2", "fd00::1"], Some("192.0.2.1")),
            (&["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            (&["2001:db8::1"], Some("2001:db8::1")),
            (&["[2001:db8::1]"], Some("2001:db8::1")),
            (&["[2001:db8::1]:443"], Some("2001:db8::1")),
            (&["192.0.2.1:443"], Some("192.0.2.1")),
            (&["::ffff:192.0.2.1"], Some("192.0.2.1")),
            (&["nonsense, 192.0.2.1"], Some("192.0.2.1")),
            (&["\u{fc}, 192.0.2.1"], Some("192.0.2.1")),
            (&["\u{fc}", "192.0.2.1"], Some("192.0.2.1")),
            (&["nonsense"], None),
            (&["192.0.2.1, nonsense"], None),
            (&["192.0.2.1, "], None),
            (&["unknown"], None),
            (&["[192.0.2.1]"], None),
            (&[""], None),
            (&["\u{fc}"], None),
            (&["192.0.2.1, \u{fc}"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                headers.append(X_FORWARDED_FOR, value);
            }
            let proxy = Client {
                address: [10, 0, 0, 1].into(),
                is_proxy: true,
            };
            let client = proxy.of_request(&headers, is_proxy).ok();
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(client, expected, "{values:?}");
            let stranger = Client {
                address: [192, 0, 2, 7].into(),
                is_proxy: false,
            };
            assert_eq!(
                stranger.of_request(&headers, is_proxy),
                Ok(stranger.address)
            );
        }
    }
}
