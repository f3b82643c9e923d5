//! The network as the client sees it: names, addresses, and who vouches for a host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::origin::LOCALHOST;

/// How names become addresses, which addresses lie outside, and whose certificates count.
#[derive(Clone)]
pub(super) struct World {
    /// Asked for every name.
    pub(super) names: Arc<dyn Resolve>,
    /// Says whether an address belongs to the public network.
    pub(super) is_outside: fn(IpAddr) -> bool,
    /// Authorities trusted besides the system's. Empty but in tests, which cannot have a
    /// certificate of Twilio's.
    pub(super) authorities: Vec<reqwest::Certificate>,
}

impl World {
    /// The machine's own names and certificates, and the addresses that are public.
    pub(super) fn real() -> Self {
        Self { names: Arc::new(SystemNames), is_outside, authorities: Vec::new() }
    }
}

/// The machine's own resolver, but for the one name that must mean this machine.
struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = if name.as_str() == LOCALHOST {
                vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()]
            } else {
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect()
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Says whether an address is a public one: not of this machine, this office, this provider, a
/// group, or a range set aside. What is set aside later counts as public; what is not global
/// unicast in IPv6 does not.
pub(super) fn is_outside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_outside_v4(address),
        IpAddr::V6(address) => is_outside_v6(address),
    }
}

fn is_outside_v4(address: Ipv4Addr) -> bool {
    let set_aside = matches!(
        address.octets(),
        // "This network", carriers' NAT, multicast and all above it; protocol assignments, 6to4
        // relays, benchmarks.
        [0 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [192, 0, 0, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
    );
    !(set_aside
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation())
}

fn is_outside_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // A network without IPv4 of its own reaches it under this prefix (NAT64).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
            is_outside_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Teredo and its neighbours, documentation, 6to4: all hide another address or none.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_lie_outside() {
        for public in [
            "3.5.140.2",
            "54.172.60.1",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "2600:1f18::1",
            "2a05:d018::1",
            "64:ff9b::305:8c02",
        ] {
            assert!(is_outside(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn every_other_address_is_refused_in_whatever_form() {
        for inside in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:3.5.140.2",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::305:8c02",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_outside(inside.parse().unwrap()), "{inside}");
        }
    }
}
