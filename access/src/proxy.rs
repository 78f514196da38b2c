//! Who a connection is from, as the proxy before us tells it: the header of the PROXY protocol, version 2.
//!
//! Sections are those of HAProxy's proxy-protocol.txt. Whether the proxy is believed is decided elsewhere, before this is
//! asked: [`start`] with the first [`START_BYTES`], then [`Start::client`] with the [`Start::rest_bytes`] behind them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Signature, version and command, family, length (§2.2).
pub const START_BYTES: usize = 16;
/// Addresses take up to 216 bytes, the rest is for the proxy's own additions, of which none is read.
pub const REST_BYTES_MAX: usize = 2048;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// How version 1, a line of text, starts (§2.1).
const VERSION_1: &[u8] = b"PROXY ";

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the connection does not start with a header of the PROXY protocol")]
    Missing,
    #[error("the header is of version 1 of the PROXY protocol: have the proxy send version 2")]
    Version1,
    #[error("the header is of a version of the PROXY protocol that is not known")]
    Version,
    #[error("the header's command or family is none of those for TCP")]
    Kind,
    #[error("the header is shorter than its addresses")]
    Short,
    #[error("the header is longer than {REST_BYTES_MAX} bytes")]
    Long,
}

impl Malformed {
    /// A constant word for metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "proxy_header_missing",
            Self::Version1 => "proxy_header_version_1",
            Self::Version => "proxy_header_version",
            Self::Kind => "proxy_header_kind",
            Self::Short => "proxy_header_short",
            Self::Long => "proxy_header_long",
        }
    }
}

/// A header whose first bytes are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    tells: Tells,
    rest_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// The proxy speaks for itself, or of a client without an address that means something here.
    Nothing,
    Ipv4,
    Ipv6,
}

pub fn start(bytes: &[u8; START_BYTES]) -> Result<Start, Malformed> {
    let Some(&[version_command, family, high, low]) = bytes.strip_prefix(SIGNATURE) else {
        return Err(match bytes.starts_with(VERSION_1) {
            true => Malformed::Version1,
            false => Malformed::Missing,
        });
    };
    if version_command >> 4 != 2 {
        return Err(Malformed::Version);
    }
    let tells = match (version_command & 0xf, family) {
        // LOCAL, whose family is to be ignored.
        (0, _) => Tells::Nothing,
        // PROXY: unspecified, TCP over IPv4, TCP over IPv6, UNIX stream.
        (1, 0x00 | 0x31) => Tells::Nothing,
        (1, 0x11) => Tells::Ipv4,
        (1, 0x21) => Tells::Ipv6,
        _ => return Err(Malformed::Kind),
    };
    let rest_bytes = usize::from(u16::from_be_bytes([high, low]));
    match (tells, rest_bytes) {
        _ if rest_bytes > REST_BYTES_MAX => Err(Malformed::Long),
        (Tells::Ipv4, ..12) | (Tells::Ipv6, ..36) => Err(Malformed::Short),
        _ => Ok(Start { tells, rest_bytes }),
    }
}

impl Start {
    /// What still belongs to the header, and is none of the client's bytes.
    #[must_use]
    pub fn rest_bytes(&self) -> usize {
        self.rest_bytes
    }

    /// The client's address; `None` where the connection's own is the right one.
    pub fn client(&self, rest: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
        if rest.len() != self.rest_bytes {
            return Err(Malformed::Short);
        }
        match self.tells {
            Tells::Nothing => Ok(None),
            // Source and destination, then the ports of both.
            Tells::Ipv4 => match rest {
                &[a, b, c, d, _, _, _, _, high, low, ..] => {
                    let port = u16::from_be_bytes([high, low]);
                    Ok(Some((Ipv4Addr::new(a, b, c, d), port).into()))
                }
                _ => Err(Malformed::Short),
            },
            Tells::Ipv6 => match (rest.first_chunk::<16>(), rest.get(32..34)) {
                (Some(source), Some(&[high, low])) => {
                    let port = u16::from_be_bytes([high, low]);
                    let address = Ipv6Addr::from(*source).to_canonical();
                    Ok(Some((address, port).into()))
                }
                _ => Err(Malformed::Short),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Family and rest, behind the signature: version and command come first.
    fn header(version_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short");
        let fixed = [
            &SIGNATURE[..],
            &[version_command, family],
            &length.to_be_bytes(),
        ];
        [&fixed.concat(), rest].concat()
    }

    fn read(bytes: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
        let (first, rest) = bytes.split_first_chunk().expect("at least a start");
        let start = start(first)?;
        start.client(rest.get(..start.rest_bytes()).unwrap_or(rest))
    }

    const V4: &[u8] = b"\xc0\0\x02\x01\xc0\0\x02\x02\x10\x00\x07\x8f";
    const V6: &[u8] = b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\
        \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x10\x00\x07\x8f";
    const MAPPED: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x01\
        \0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x02\x10\x00\x07\x8f";
    /// PP2_TYPE_NOOP with three bytes (§2.2.4).
    const TLV: &[u8] = b"\x04\0\x03abc";

    #[test]
    fn headers_tell_an_address_or_none_or_are_refused() {
        let (v4, v6) = ("192.0.2.1:4096", "[2001:db8::1]:4096");
        for (name, bytes, expected) in [
            ("TCP over IPv4", header(0x21, 0x11, V4), Ok(Some(v4))),
            ("TCP over IPv6", header(0x21, 0x21, V6), Ok(Some(v6))),
            ("IPv4 in IPv6", header(0x21, 0x21, MAPPED), Ok(Some(v4))),
            (
                "additions",
                header(0x21, 0x11, &[V4, TLV].concat()),
                Ok(Some(v4)),
            ),
            (
                "additions that are none",
                header(0x21, 0x11, &[V4, b"\xff"].concat()),
                Ok(Some(v4)),
            ),
            (
                "the client's bytes behind",
                [header(0x21, 0x11, V4), b"\x03".to_vec()].concat(),
                Ok(Some(v4)),
            ),
            ("LOCAL", header(0x20, 0, b""), Ok(None)),
            ("LOCAL with addresses", header(0x20, 0x11, V4), Ok(None)),
            (
                "LOCAL of a family to be ignored",
                header(0x20, 0xff, b"x"),
                Ok(None),
            ),
            ("unspecified", header(0x21, 0, TLV), Ok(None)),
            ("UNIX", header(0x21, 0x31, &[0; 216]), Ok(None)),
            (
                "the longest",
                header(0x21, 0x11, &[V4, &[0; 2036]].concat()),
                Ok(Some(v4)),
            ),
            (
                "too long",
                header(0x21, 0x11, &[V4, &[0; 2037]].concat()),
                Err(Malformed::Long),
            ),
            (
                "64 KiB",
                header(0x20, 0, &[0; 65_535]),
                Err(Malformed::Long),
            ),
            ("UDP", header(0x21, 0x12, V4), Err(Malformed::Kind)),
            ("no transport", header(0x21, 0x10, V4), Err(Malformed::Kind)),
            (
                "an unknown family",
                header(0x21, 0x41, V4),
                Err(Malformed::Kind),
            ),
            (
                "an unknown command",
                header(0x22, 0x11, V4),
                Err(Malformed::Kind),
            ),
            (
                "version 1 in binary",
                header(0x11, 0x11, V4),
                Err(Malformed::Version),
            ),
            ("version 3", header(0x31, 0x11, V4), Err(Malformed::Version)),
            (
                "a short IPv4",
                header(0x21, 0x11, &V4[1..]),
                Err(Malformed::Short),
            ),
            (
                "a short IPv6",
                header(0x21, 0x21, &V6[1..]),
                Err(Malformed::Short),
            ),
            (
                "cut",
                header(0x21, 0x11, V4)[..27].to_vec(),
                Err(Malformed::Short),
            ),
            (
                "version 1",
                b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
                Err(Malformed::Version1),
            ),
            (
                "HTTP",
                b"GET / HTTP/1.1\r\n\r\n".to_vec(),
                Err(Malformed::Missing),
            ),
            ("RTMP", vec![3; 1537], Err(Malformed::Missing)),
            (
                "TLS",
                b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03abcdef".to_vec(),
                Err(Malformed::Missing),
            ),
            (
                "a broken signature",
                b"\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c".to_vec(),
                Err(Malformed::Missing),
            ),
        ] {
            let read = read(&bytes).map(|client| client.map(|client| client.to_string()));
            let expected = expected.map(|client| client.map(str::to_owned));
            assert_eq!(read, expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_address_comes_through(source: SocketAddr, additions in prop::collection::vec(any::<u8>(), 0..64)) {
            let port = source.port().to_be_bytes();
            let (family, rest) = match source {
                SocketAddr::V4(v4) => (0x11, [&v4.ip().octets()[..], &[0; 4], &port, &[0; 2]].concat()),
                SocketAddr::V6(v6) => (0x21, [&v6.ip().octets()[..], &[0; 16], &port, &[0; 2]].concat()),
            };
            let bytes = header(0x21, family, &[rest, additions].concat());
            let expected = SocketAddr::new(source.ip().to_canonical(), source.port());
            prop_assert_eq!(read(&bytes), Ok(Some(expected)));
        }

        #[test]
        fn any_bytes_get_an_answer(first: [u8; START_BYTES], rest in prop::collection::vec(any::<u8>(), 0..64)) {
            for bytes in [first, [&SIGNATURE[..], &first[12..]].concat().try_into().unwrap()] {
                if let Ok(start) = start(&bytes) {
                    prop_assert!(start.rest_bytes() <= REST_BYTES_MAX);
                    let _ = start.client(&rest);
                }
            }
        }
    }
}
