//! Blocks of IP addresses: `10.0.0.0/24`, `2001:db8::/32`.
//!
//! An address belongs to a block of its own family only: `::ffff:10.0.0.1` is an IPv6 address.
//! Bits of the block's address beyond its length do not count: `10.0.0.5/24` is `10.0.0.0/24`.

use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cidr {
    v6: bool,
    network: u128,
    mask: u128,
}

impl Cidr {
    /// `None` for what is no block.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let (v6, bits) = bits_of(address)?;
        let width: u32 = if v6 { 128 } else { 32 };
        let plain = length.bytes().all(|b| b.is_ascii_digit())
            && (length.len() == 1 || !length.starts_with('0'));
        let length = length.parse::<u32>().ok().filter(|length| plain && *length <= width)?;
        // A shift by the whole width of the type is no shift; it means a mask of nothing.
        let mask = u128::MAX.checked_shl(width - length).unwrap_or(0);
        Some(Self { v6, network: bits & mask, mask })
    }

    pub(super) fn accepts(&self, text: &str) -> bool {
        bits_of(text).is_some_and(|(v6, bits)| v6 == self.v6 && bits & self.mask == self.network)
    }
}

fn bits_of(address: &str) -> Option<(bool, u128)> {
    match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => Some((false, u128::from(v4.to_bits()))),
        IpAddr::V6(v6) => Some((true, v6.to_bits())),
    }
}
