//! Whom a connection comes from, and which proxies may say so.

use std::net::IpAddr;

/// A network in CIDR notation.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    base: u128,
    prefix: u32,
}

/// IPv4 as IPv4-mapped IPv6, so that one comparison serves both (RFC 4291 section 2.5.5.2).
fn widened(address: IpAddr) -> u128 {
    let six = match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    };
    six.to_bits()
}

impl Network {
    /// `10.0.0.0/8`, `::1`, `127.0.0.1`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.trim().parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u32 = prefix.map_or(Some(width), |prefix| prefix.parse().ok())?;
        (prefix <= width).then(|| Self {
            base: widened(address),
            prefix: 128 - width + prefix,
        })
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shift = 128 - self.prefix;
        shift == 128 || (widened(address) >> shift) == (self.base >> shift)
    }
}

/// The client behind trusted proxies: the last address of `X-Forwarded-For` that is no proxy.
pub fn client_of(peer: IpAddr, forwarded_for: Option<&str>, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return peer;
    }
    let mut client = peer;
    for hop in forwarded_for.unwrap_or_default().rsplit(',') {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        // One client is counted once, however its proxy writes the address.
        let address = address.to_canonical();
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> Vec<Network> {
        ["127.0.0.1", "10.0.0.0/8"]
            .iter()
            .filter_map(|text| Network::parse(text))
            .collect()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let stranger: IpAddr = [9, 9, 9, 9].into();
        assert_eq!(client_of(stranger, Some("1.2.3.4"), &trusted()), stranger);
        let proxy: IpAddr = [127, 0, 0, 1].into();
        let client: IpAddr = [1, 2, 3, 4].into();
        assert_eq!(
            client_of(proxy, Some("6.6.6.6, 1.2.3.4, 10.1.1.1"), &trusted()),
            client
        );
        assert_eq!(client_of(proxy, Some("::ffff:1.2.3.4"), &trusted()), client);
        assert_eq!(client_of(proxy, None, &trusted()), proxy);
        assert_eq!(client_of(proxy, Some("nonsense"), &trusted()), proxy);
    }

    #[test]
    fn networks_are_judged_by_their_prefix() {
        assert!(Network::parse("10.0.0.0/33").is_none() && Network::parse("x").is_none());
        let six = Network::parse("fd00::/8");
        assert!(six.is_some_and(|it| it.contains([0xfd00, 1, 0, 0, 0, 0, 0, 1].into())));
        let all = Network::parse("::/0");
        assert!(all.is_some_and(|it| it.contains([0xfd00, 1, 0, 0, 0, 0, 0, 1].into())));
    }
}
