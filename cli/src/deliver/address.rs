//! Which addresses a webhook may reach: public ones, and those that the operator allowed.
//!
//! The tables are those of IANA's registries of special-purpose addresses, without the few special
//! ones that are public services of the Internet's own (AS112, for example).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that share their first bits: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(first: u16, second: u16, third: u16, bits: u8) -> Self {
        let address = Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0);
        Self { address: IpAddr::V6(address), bits }
    }

    /// Returns true for an address of this network.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unreadable =
            || format!("{text:?} is not a network: write 10.1.0.0/16, fd00::/8 or 10.1.2.3");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| unreadable())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(unreadable)?,
            None => most,
        };
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

/// IPv4 addresses that are not public, and their kinds.
const CLOSED_V4: [(Network, &str); 17] = [
    (Network::v4(0, 0, 0, 0, 8), "of this network"),
    (Network::v4(10, 0, 0, 0, 8), "private"),
    (Network::v4(100, 64, 0, 0, 10), "shared by a carrier"),
    (Network::v4(127, 0, 0, 0, 8), "loopback"),
    // Metadata services of clouds, most of all.
    (Network::v4(169, 254, 0, 0, 16), "link-local"),
    (Network::v4(172, 16, 0, 0, 12), "private"),
    (Network::v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (Network::v4(192, 0, 2, 0, 24), "for documentation"),
    (Network::v4(192, 88, 99, 0, 24), "a relay of 6to4"),
    (Network::v4(192, 168, 0, 0, 16), "private"),
    (Network::v4(198, 18, 0, 0, 15), "for benchmarks"),
    (Network::v4(198, 51, 100, 0, 24), "for documentation"),
    (Network::v4(203, 0, 113, 0, 24), "for documentation"),
    // Public by its number, but answered by the host of an Azure machine.
    (Network::v4(168, 63, 129, 16, 32), "a cloud's own"),
    (Network::v4(224, 0, 0, 0, 4), "multicast"),
    (Network::v4(255, 255, 255, 255, 32), "broadcast"),
    (Network::v4(240, 0, 0, 0, 4), "reserved"),
];

/// The IPv6 addresses that are public: global unicast …
const OPEN_V6: Network = Network::v6(0x2000, 0, 0, 3);

/// … without these, and the kinds of some others.
const CLOSED_V6: [(Network, &str); 14] = [
    (Network::v6(0, 0, 0, 128), "unspecified"),
    (Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), bits: 128 }, "loopback"),
    (
        Network { address: IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)), bits: 96 },
        "IPv4-mapped",
    ),
    (Network::v6(0, 0, 0, 96), "IPv4-compatible"),
    (Network::v6(0x64, 0xff9b, 0, 96), "IPv4 through NAT64"),
    (Network::v6(0x64, 0xff9b, 1, 48), "IPv4 through NAT64"),
    // With Teredo, ORCHID and benchmarks.
    (Network::v6(0x2001, 0, 0, 23), "reserved for protocols"),
    (Network::v6(0x2001, 0xdb8, 0, 32), "for documentation"),
    (Network::v6(0x2002, 0, 0, 16), "IPv4 through 6to4"),
    (Network::v6(0x3fff, 0, 0, 20), "for documentation"),
    (Network::v6(0xfc00, 0, 0, 7), "unique local"),
    (Network::v6(0xfe80, 0, 0, 10), "link-local"),
    (Network::v6(0xfec0, 0, 0, 10), "site-local"),
    (Network::v6(0xff00, 0, 0, 8), "multicast"),
];

/// Returns the kind of an address that is not public.
fn kind(address: IpAddr) -> Option<&'static str> {
    let closed = if address.is_ipv4() { &CLOSED_V4[..] } else { &CLOSED_V6[..] };
    match closed.iter().find(|(network, _)| network.contains(address)) {
        Some((_, kind)) => Some(kind),
        None if address.is_ipv6() && !OPEN_V6.contains(address) => Some("reserved"),
        None => None,
    }
}

/// Returns the kind of an address that may not be reached: it is not public, and in none of the
/// networks that the operator allowed.
pub(crate) fn forbidden(address: IpAddr, allowed: &[Network]) -> Option<&'static str> {
    kind(address).filter(|_| !allowed.iter().any(|network| network.contains(address)))
}
