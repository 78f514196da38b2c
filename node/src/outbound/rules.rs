//! Which addresses may be called: public ones, and those that the operator has listed. A URL that
//! came over the API must not reach what only this machine's network can.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Network;

/// What an address that is not public is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    Unspecified,
    Loopback,
    LinkLocal,
    /// Where clouds hand credentials to the machines they run.
    Metadata,
    Private,
    /// Between a carrier and its customers (RFC 6598).
    Shared,
    Multicast,
    Broadcast,
    Documentation,
    Benchmarking,
    /// For the IETF's use, or not given to anyone.
    Unassigned,
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "no address of one host",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the metadata service of a cloud",
            Self::Private => "a private address",
            Self::Shared => "an address inside of a carrier's network",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for benchmarks",
            Self::Unassigned => "a reserved address",
        })
    }
}

/// The operator's list, and all that is public.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    listed: Vec<Network>,
}

impl Rules {
    pub(crate) fn new(listed: Vec<Network>) -> Self {
        Self { listed }
    }

    /// Whether this address may be called, and if not, what it is.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Reserved> {
        match reserved(address) {
            Some(_) if self.lists(address) => Ok(()),
            Some(reserved) => Err(reserved),
            None => Ok(()),
        }
    }

    /// Whether a node of this cluster may be called there. Pods have private addresses, and nodes on one machine
    /// its own. What is no place for a node, a cloud's metadata above all, is none because a record says so.
    pub(crate) fn check_peer(&self, address: IpAddr) -> Result<(), Reserved> {
        match self.check(address) {
            Err(Private | Shared | Loopback) => Ok(()),
            checked => checked,
        }
    }

    /// Whether the operator has listed it. A cloud's metadata has to be listed by itself: nobody
    /// who lists a private network means to hand out the machine's credentials.
    pub(crate) fn lists(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_metadata = reserved(address) == Some(Reserved::Metadata);
        let mut listed = self.listed.iter();
        listed
            .any(|network| network.contains(address) && (!is_metadata || network.is_one_address()))
    }
}

/// What an address is for, unless it is public.
fn reserved(address: IpAddr) -> Option<Reserved> {
    match address.to_canonical() {
        IpAddr::V4(address) => reserved_v4(address),
        IpAddr::V6(address) => reserved_v6(address),
    }
}

use Reserved::{
    Benchmarking, Broadcast, Documentation, LinkLocal, Loopback, Metadata, Multicast, Private,
    Shared, Unassigned, Unspecified,
};

/// The IANA IPv4 special-purpose registry (RFC 6890) and what clouds added to it: first match.
const V4: &[([u8; 4], u32, Reserved)] = &[
    ([169, 254, 169, 254], 32, Metadata),
    ([169, 254, 170, 2], 32, Metadata), // containers' credentials
    ([169, 254, 170, 23], 32, Metadata),
    ([100, 100, 100, 200], 32, Metadata),
    ([168, 63, 129, 16], 32, Metadata), // public by its number, the machine's host by its use
    ([192, 0, 0, 192], 32, Metadata),
    ([0, 0, 0, 0], 8, Unspecified),
    ([10, 0, 0, 0], 8, Private),
    ([100, 64, 0, 0], 10, Shared),
    ([127, 0, 0, 0], 8, Loopback),
    ([169, 254, 0, 0], 16, LinkLocal),
    ([172, 16, 0, 0], 12, Private),
    ([192, 0, 0, 0], 24, Unassigned),
    ([192, 0, 2, 0], 24, Documentation),
    ([192, 88, 99, 0], 24, Unassigned), // 6to4 relays, withdrawn (RFC 7526)
    ([192, 168, 0, 0], 16, Private),
    ([198, 18, 0, 0], 15, Benchmarking),
    ([198, 51, 100, 0], 24, Documentation),
    ([203, 0, 113, 0], 24, Documentation),
    ([224, 0, 0, 0], 4, Multicast),
    ([255, 255, 255, 255], 32, Broadcast),
    ([240, 0, 0, 0], 4, Unassigned),
];

fn reserved_v4(address: Ipv4Addr) -> Option<Reserved> {
    let bits = address.to_bits();
    let within = |(network, length, _): &&([u8; 4], u32, Reserved)| {
        let mask = u32::MAX << (32 - length);
        bits & mask == u32::from_be_bytes(*network) & mask
    };
    V4.iter().find(within).map(|(_, _, reserved)| *reserved)
}

/// The IANA IPv6 special-purpose registry, as the first 16-bit groups: first match. What is not
/// here and outside of 2000::/3, the only space given out, is unassigned.
const V6: &[([u16; 8], u32, Reserved)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Unspecified),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Loopback),
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, Metadata),
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128, Metadata),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, Metadata),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Private),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, LinkLocal),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Private), // site-local, withdrawn (RFC 3879)
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Multicast),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Benchmarking),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Documentation),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Documentation),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Unassigned), // but for Teredo, which is told apart before
];

fn reserved_v6(address: Ipv6Addr) -> Option<Reserved> {
    let bits = address.to_bits();
    if let Some(carried) = carried_v4(bits) {
        return carried.into_iter().flatten().find_map(reserved_v4);
    }
    let within = |(network, length, _): &&([u16; 8], u32, Reserved)| {
        let mask = u128::MAX << (128 - length);
        bits & mask == Ipv6Addr::from(*network).to_bits() & mask
    };
    let known = V6.iter().find(within).map(|(_, _, reserved)| *reserved);
    let is_global_unicast = bits >> 125 == 0b001;
    known.or((!is_global_unicast).then_some(Unassigned))
}

/// The IPv4 addresses that an IPv6 address stands for: packets to it may end up at any of them.
fn carried_v4(bits: u128) -> Option<[Option<Ipv4Addr>; 2]> {
    let v4 = |bits: u128| Some(Ipv4Addr::from_bits(bits as u32));
    match bits.to_be_bytes() {
        // IPv4-compatible (RFC 4291 §2.5.5.1), but for :: and ::1. IPv4-mapped ones are canonical
        // before they come here.
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ..] if bits > 1 => Some([v4(bits), None]),
        // NAT64's well-known prefix (RFC 6052 §2.1).
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ..] => Some([v4(bits), None]),
        // 6to4 (RFC 3056 §2).
        [0x20, 0x02, ..] => Some([v4(bits >> 80), None]),
        // Teredo: the server, and the client's address with its bits turned (RFC 4380 §4).
        [0x20, 0x01, 0, 0, ..] => Some([v4(bits >> 64), v4(!bits)]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every address as a URL could lead to it, and what it is.
    const ADDRESSES: &[(&str, Option<Reserved>)] = &[
        // Public.
        ("1.1.1.1", None),
        ("8.8.8.8", None),
        ("9.255.255.255", None),
        ("11.0.0.0", None),
        ("100.63.255.255", None),
        ("100.128.0.0", None),
        ("126.255.255.255", None),
        ("128.0.0.0", None),
        ("169.253.255.255", None),
        ("169.255.0.0", None),
        ("172.15.255.255", None),
        ("172.32.0.0", None),
        ("192.0.1.0", None),
        ("192.0.3.0", None),
        ("192.167.255.255", None),
        ("192.169.0.0", None),
        ("198.17.255.255", None),
        ("198.20.0.0", None),
        ("203.0.112.255", None),
        ("223.255.255.255", None),
        ("2606:4700:4700::1111", None),
        ("2a00:1450:4001:81b::200e", None),
        ("3ffe::1", None),
        // This host and this network.
        ("0.0.0.0", Some(Unspecified)),
        ("0.1.2.3", Some(Unspecified)),
        ("::", Some(Unspecified)),
        ("127.0.0.1", Some(Loopback)),
        ("127.255.255.254", Some(Loopback)),
        ("::1", Some(Loopback)),
        ("169.254.0.1", Some(LinkLocal)),
        ("169.254.255.255", Some(LinkLocal)),
        ("fe80::1", Some(LinkLocal)),
        ("febf:ffff::1", Some(LinkLocal)),
        // Metadata of clouds.
        ("169.254.169.254", Some(Metadata)),
        ("169.254.170.2", Some(Metadata)),
        ("100.100.100.200", Some(Metadata)),
        ("168.63.129.16", Some(Metadata)),
        ("192.0.0.192", Some(Metadata)),
        ("fd00:ec2::254", Some(Metadata)),
        ("fd20:ce::254", Some(Metadata)),
        // Private, shared.
        ("10.0.0.0", Some(Private)),
        ("10.255.255.255", Some(Private)),
        ("172.16.0.1", Some(Private)),
        ("172.31.255.255", Some(Private)),
        ("192.168.0.1", Some(Private)),
        ("fc00::1", Some(Private)),
        ("fdff:ffff::1", Some(Private)),
        ("fec0::1", Some(Private)),
        ("100.64.0.0", Some(Shared)),
        ("100.127.255.255", Some(Shared)),
        // Many hosts at once.
        ("224.0.0.1", Some(Multicast)),
        ("239.255.255.255", Some(Multicast)),
        ("ff02::1", Some(Multicast)),
        ("255.255.255.255", Some(Broadcast)),
        // Nobody.
        ("192.0.2.1", Some(Documentation)),
        ("198.51.100.7", Some(Documentation)),
        ("203.0.113.255", Some(Documentation)),
        ("2001:db8::1", Some(Documentation)),
        ("3fff:fff::1", Some(Documentation)),
        ("198.18.0.0", Some(Benchmarking)),
        ("198.19.255.255", Some(Benchmarking)),
        ("2001:2::1", Some(Benchmarking)),
        ("192.0.0.1", Some(Unassigned)),
        ("192.88.99.1", Some(Unassigned)),
        ("240.0.0.1", Some(Unassigned)),
        ("100::1", Some(Unassigned)),
        ("64:ff9b:1::1", Some(Unassigned)),
        ("2001:10::1", Some(Unassigned)),
        ("4000::1", Some(Unassigned)),
        ("5f00::1", Some(Unassigned)),
        // IPv4 in IPv6's clothes: mapped, compatible, NAT64, 6to4, Teredo (server, then client).
        ("::ffff:127.0.0.1", Some(Loopback)),
        ("::ffff:169.254.169.254", Some(Metadata)),
        ("::ffff:8.8.8.8", None),
        ("::127.0.0.1", Some(Loopback)),
        ("::169.254.169.254", Some(Metadata)),
        ("64:ff9b::10.0.0.1", Some(Private)),
        ("64:ff9b::a9fe:a9fe", Some(Metadata)),
        ("64:ff9b::8.8.8.8", None),
        ("2002:7f00:1::1", Some(Loopback)),
        ("2002:c0a8:101::1", Some(Private)),
        ("2002:808:808::1", None),
        ("2001:0:7f00:1::f7f7:f7f7", Some(Loopback)),
        ("2001:0:808:808:0:0:80ff:fffe", Some(Loopback)),
        ("2001:0:808:808:0:0:f7f7:f7f7", None),
    ];

    #[test]
    fn only_public_addresses_are_public() {
        for (text, expected) in ADDRESSES {
            let address = ip(text);
            assert_eq!(reserved(address), *expected, "{text}");
            let checked = Rules::default().check(address);
            assert_eq!(checked.err(), *expected, "{text}");
        }
        assert!(ADDRESSES.len() > 80);
    }

    #[test]
    fn what_is_listed_may_be_called() {
        let rules = rules(&["10.1.0.0/16", "127.0.0.1", "fd00::/8"]);
        for (text, expected) in [
            ("10.1.2.3", Ok(())),
            ("10.2.0.1", Err(Private)),
            ("127.0.0.1", Ok(())),
            ("::ffff:127.0.0.1", Ok(())),
            ("127.0.0.2", Err(Loopback)),
            ("fd12::1", Ok(())),
            ("fc12::1", Err(Private)),
            ("64:ff9b::10.1.2.3", Err(Private)),
        ] {
            assert_eq!(rules.check(ip(text)), expected, "{text}");
        }
        assert!(rules.lists(ip("10.1.2.3")));
        assert!(!rules.lists(ip("8.8.8.8")), "public, but not listed");
    }

    #[test]
    fn peers_are_where_nodes_can_be() {
        for (text, expected) in [
            ("10.1.2.3", Ok(())),
            ("100.64.0.1", Ok(())),
            ("127.0.0.1", Ok(())),
            ("::1", Ok(())),
            ("fd12::1", Ok(())),
            ("8.8.8.8", Ok(())),
            ("169.254.169.254", Err(Metadata)),
            ("::ffff:169.254.169.254", Err(Metadata)),
            ("fd00:ec2::254", Err(Metadata)),
            ("169.254.1.1", Err(LinkLocal)),
            ("0.0.0.0", Err(Unspecified)),
            ("224.0.0.1", Err(Multicast)),
        ] {
            assert_eq!(Rules::default().check_peer(ip(text)), expected, "{text}");
        }
    }

    #[test]
    fn metadata_is_listed_by_itself_or_not_at_all() {
        let wide = rules(&["0.0.0.0/0", "::/0"]);
        let exact = rules(&["169.254.169.254/32", "fd00:ec2::254"]);
        for text in ["169.254.169.254", "fd00:ec2::254"] {
            assert_eq!(wide.check(ip(text)), Err(Metadata), "{text}");
            assert_eq!(exact.check(ip(text)), Ok(()), "{text}");
        }
        assert_eq!(wide.check(ip("127.0.0.1")), Ok(()));
    }

    fn rules(listed: &[&str]) -> Rules {
        let network = |text: &&str| text.parse().expect("a network");
        Rules::new(listed.iter().map(network).collect())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }
}
