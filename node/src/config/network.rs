//! A block of IP addresses, as lists of peers name them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// All addresses that begin with the same bits: `10.0.0.0/8` (RFC 4632 §3.1), `fd00::/8` (RFC 4291 §2.3), or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Network {
    first: IpAddr,
    prefix_bits: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no IP address and no network")]
pub(crate) struct NotANetwork;

impl Network {
    /// Whether `address` is one of these. An IPv4 address counts as itself where an IPv6 socket shows it as `::ffff:…`.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let host_bits = 32 - u32::from(self.prefix_bits);
                (u32::from(first) ^ u32::from(address))
                    .checked_shr(host_bits)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let host_bits = 128 - u32::from(self.prefix_bits);
                (u128::from(first) ^ u128::from(address))
                    .checked_shr(host_bits)
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }

    pub(crate) fn is_one_address(&self) -> bool {
        match self.first {
            IpAddr::V4(_) => self.prefix_bits == 32,
            IpAddr::V6(_) => self.prefix_bits == 128,
        }
    }

    fn first_of(address: IpAddr, prefix_bits: u8) -> IpAddr {
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits));
                IpAddr::V4((u32::from(address) & mask.unwrap_or(0)).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits));
                IpAddr::V6((u128::from(address) & mask.unwrap_or(0)).into())
            }
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    /// Bits beyond the prefix are refused: whoever wrote them meant one address, or another prefix.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        if address != address.to_canonical() {
            return Err(NotANetwork);
        }
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => bits_max,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        if prefix_bits > bits_max || Self::first_of(address, prefix_bits) != address {
            return Err(NotANetwork);
        }
        Ok(Self {
            first: address,
            prefix_bits,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.prefix_bits) {
            (IpAddr::V4(address), 32) => address.fmt(f),
            (IpAddr::V6(address), 128) => address.fmt(f),
            (first, prefix_bits) => write!(f, "{first}/{prefix_bits}"),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_or_refused() {
        for (text, shown) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.1/32", Some("10.0.0.1")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("FD00::/8", Some("fd00::/8")),
            ("::1", Some("::1")),
            ("10.0.0.1/8", None),
            ("fd00::1/64", None),
            ("10.0.0.0/33", None),
            ("::/129", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/256", None),
            ("10.0.0.0/8/8", None),
            ("10.0.0", None),
            ("010.0.0.0/8", None),
            ("::ffff:10.0.0.1", None),
            ("fe80::1%eth0", None),
            ("localhost", None),
            (" 10.0.0.1", None),
            ("", None),
        ] {
            let read = text.parse::<Network>().ok();
            assert_eq!(read.map(String::from).as_deref(), shown, "{text:?}");
        }
    }

    #[test]
    fn a_network_holds_the_addresses_with_its_bits() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "::10.1.2.3", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.0", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("::/0", "127.0.0.1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("2001:db8::/127", "2001:db8::1", true),
            ("2001:db8::/127", "2001:db8::2", false),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                expected,
                "{network} {address}"
            );
        }
    }
}
