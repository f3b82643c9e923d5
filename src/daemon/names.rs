//! What this machine is called by its neighbours: its name and its addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Returns the names and addresses by which a browser may reach a listener of ours.
pub(super) fn own_names(listen: SocketAddr) -> Vec<String> {
    let hostname = hostname();
    let mut names: Vec<String> = [hostname.clone(), format!("{hostname}.local")].into();
    names.retain(|name| is_dns(name));
    names.push("localhost".to_owned());
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if listen.ip().is_unspecified() {
        addresses.extend(addresses_of_this_machine());
    } else {
        addresses.push(listen.ip());
    }
    addresses.sort_unstable();
    addresses.dedup();
    names.extend(addresses.iter().map(ToString::to_string));
    names
}

/// Returns the machine's name.
pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A machine without a name is called `(none)`.
fn is_dns(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(fits)
}

/// As the kernel's own tables tell them: asking it by netlink is more than the unit may do.
fn addresses_of_this_machine() -> Vec<IpAddr> {
    // Without the file there is no such protocol.
    let table = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let mut addresses = v4(&table("/proc/net/fib_trie"));
    addresses.extend(v6(&table("/proc/net/if_inet6")));
    addresses
}

/// The routing table tells an address, and in the line below that it is ours.
fn v4(fib_trie: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let mut leaf = None;
    for line in fib_trie.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            leaf = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.trim() == "/32 host LOCAL" {
            addresses.extend(leaf.filter(|address| !address.is_loopback()).map(IpAddr::V4));
        }
    }
    addresses
}

/// Addresses that are good on one wire only need its name too, so nobody writes them.
fn v6(if_inet6: &str) -> Vec<IpAddr> {
    let addresses = if_inet6.lines().filter_map(|line| {
        let digits = line.split_whitespace().next()?;
        u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
    });
    addresses
        .filter(|address| !address.is_loopback() && !address.is_unicast_link_local())
        .map(IpAddr::V6)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_tell_the_addresses_others_reach_us_by() {
        let fib = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                   \x20    +-- 192.168.7.0/24 2 0 1\n        |-- 192.168.7.0\n           /24 link UNICAST\n\
                   \x20       |-- 192.168.7.20\n           /32 host LOCAL\n        |-- 127.0.0.1\n\
                   \x20          /32 host LOCAL\n        |-- 192.168.7.255\n           /32 link BROADCAST\n";
        assert_eq!(v4(fib), ["192.168.7.20".parse::<IpAddr>().unwrap()]);
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fe80000000000000021122fffe334455 02 40 20 80     eth0\n\
                     fd000000000000000000000000000020 02 40 00 80     eth0\n";
        assert_eq!(v6(inet6), ["fd00::20".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_listener_on_one_address_goes_by_that_one_and_by_the_machines_names() {
        let names = own_names("192.0.2.7:8080".parse().unwrap());
        assert!(names.contains(&"192.0.2.7".to_owned()) && names.contains(&"localhost".to_owned()));
        assert!(names.iter().all(|name| is_dns(name) || name.parse::<IpAddr>().is_ok()));
        assert!(!is_dns("(none)") && !is_dns(".local") && is_dns("depot-7.local"));
    }
}
