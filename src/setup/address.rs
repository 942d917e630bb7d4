//! Address ranges that clients may come from, in CIDR notation.

use std::net::IpAddr;

use ipnet::IpNet;

/// Reads a range as it goes into `pg_hba.conf`, or says what is wrong with it and what was probably meant.
///
/// PostgreSQL takes host bits in silence (`10.0.0.5/8` lets 10.0.0.0/8 in) and reads `127.1/8` as a number
/// (<https://www.postgresql.org/docs/current/auth-pg-hba-conf.html>): neither is let through here.
pub(super) fn parse(text: &str) -> Result<IpNet, (String, String)> {
    let refuse = |reason: String, remedy: String| Err((reason, remedy));
    if text == "all" {
        return refuse(
            "\"all\" is a keyword of pg_hba.conf, no address range".to_owned(),
            "for every address give 0.0.0.0/0 and ::/0".to_owned(),
        );
    }
    let Some((address, prefix)) = text.split_once('/') else {
        return match text.parse::<IpAddr>() {
            Ok(ip) => refuse(
                "an address range needs its prefix length".to_owned(),
                format!("for that address alone give {}", IpNet::from(ip)),
            ),
            Err(_) => refuse(
                "this is no address range".to_owned(),
                "give one in CIDR notation, such as 10.0.0.0/8 or 2001:db8::/32".to_owned(),
            ),
        };
    };
    let Ok(ip) = address.parse::<IpAddr>() else {
        return refuse(
            format!("{} is no IP address", super::problem::quote(address)),
            "give all four numbers of an IPv4 address, or an IPv6 address, as in 10.0.0.0/8 or 2001:db8::/32"
                .to_owned(),
        );
    };
    let (family, bits) = match ip {
        IpAddr::V4(_) => ("IPv4", 32),
        IpAddr::V6(_) => ("IPv6", 128),
    };
    let length = match prefix.parse::<u8>() {
        Ok(length) if length <= bits && prefix.bytes().all(|b| b.is_ascii_digit()) => length,
        Ok(length) if length <= 128 => {
            return refuse(
                format!("/{length} is a prefix length for IPv6, and {address} is an {family} address"),
                format!("give a prefix length from 0 to {bits}"),
            );
        }
        _ => {
            return refuse(
                format!("{} is no prefix length", super::problem::quote(prefix)),
                format!("give a prefix length from 0 to {bits}"),
            );
        }
    };
    if let IpAddr::V6(v6) = ip
        && v6.to_ipv4_mapped().is_some()
    {
        return refuse(
            "PostgreSQL never sees IPv4 clients under IPv4-mapped addresses, so this range would match nobody"
                .to_owned(),
            "give the IPv4 range".to_owned(),
        );
    }
    let net = IpNet::new_assert(ip, length);
    if net.addr() != net.network() {
        return refuse(
            format!("{address} has bits set beyond its /{length} prefix"),
            format!(
                "for that network give {}, for that address alone {}",
                net.trunc(),
                IpNet::from(ip)
            ),
        );
    }
    Ok(net)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_both_families_are_read() {
        for text in [
            "127.0.0.1/32",
            "::1/128",
            "10.0.0.0/8",
            "2001:db8::/32",
            "0.0.0.0/0",
            "::/0",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn host_bits_say_which_network_was_probably_meant() {
        let (reason, remedy) = parse("10.0.0.5/8").unwrap_err();
        assert_eq!(reason, "10.0.0.5 has bits set beyond its /8 prefix");
        assert_eq!(
            remedy,
            "for that network give 10.0.0.0/8, for that address alone 10.0.0.5/32"
        );
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0.0/33",
            "::1/129",
            "10.0.0.0/64",
            "127.1/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "all",
            "localhost",
            "::ffff:10.0.0.0/104",
            "fe80::1%eth0/64",
            "10.0.0.0/8 ",
            "127.000.000.001/32",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
