//! Which addresses a project's message may be sent to. Pure.
//!
//! Whoever may set a destination could otherwise have this machine knock at doors that only this
//! machine can reach: its own services, its neighbours', the cloud's metadata. What is allowed is the
//! public internet and nothing else, unless the operator says so. It is asked about the address that
//! is connected to, after the name was looked up: neither a name that changes its mind nor another
//! spelling of an address gets past it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => is_public_v4(it),
        IpAddr::V6(it) => is_public_v6(it),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // This host, private, and this network.
        [0 | 10 | 127, ..]
            // Shared by a provider's customers.
            | [100, 64..=127, ..]
            // Link-local, where clouds have their metadata.
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // Protocol assignments, documentation, the old 6to4 relays.
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            // Benchmarks and documentation.
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // Multicast, reserved, broadcast.
            | [224..=255, ..]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // An address of version 4 that is reached by translation is what it is there.
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] => is_public_v4(of_segments(a, b)),
        [0x2002, a, b, ..] => is_public_v4(of_segments(a, b)),
        // Protocol assignments (Teredo among them), documentation, which is in global space.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast; all else is local, mapped, multicast or not in use.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

fn of_segments(a: u16, b: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(a) << 16) | u32::from(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_is_public_and_nothing_else_is() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.215.14",
            "100.63.255.255",
            "100.128.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::200e",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
