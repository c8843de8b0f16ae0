//! The name servers in `/etc/resolv.conf`, and warnings about lines that cannot be used.

use std::net::{IpAddr, Ipv6Addr};

pub(super) const PATH: &str = "/etc/resolv.conf";

/// Other valid keywords (resolv.conf(5)).
const OTHER_KEYWORDS: [&str; 4] = ["domain", "search", "sortlist", "options"];

/// The content of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NameServers {
    /// The servers of both families, without duplicates, in the order of the file.
    pub(super) servers: Vec<IpAddr>,
    /// One line for each warning.
    pub(super) warnings: Vec<String>,
}

/// Reads the `nameserver` lines.
pub(super) fn parse(file: &str) -> NameServers {
    let mut found = NameServers::default();
    for (line, number) in file.lines().zip(1..) {
        let Line { server, warning } = read(line);
        if let Some(server) = server.filter(|server| !found.servers.contains(server)) {
            found.servers.push(server);
        }
        if let Some(warning) = warning {
            let line = line.trim();
            let warning = format!("{PATH} line {number}, `{line}`: {warning}");
            found.warnings.push(warning);
        }
    }
    found
}

/// The content of one line; both fields are none for a comment or another keyword.
#[derive(Default)]
struct Line {
    server: Option<IpAddr>,
    warning: Option<String>,
}

fn read(line: &str) -> Line {
    let mut words = line.split_whitespace();
    let keyword = words.next().unwrap_or("#");
    if keyword.starts_with(['#', ';']) || OTHER_KEYWORDS.contains(&keyword) {
        return Line::default();
    }
    let unusable = |warning: String| Line {
        server: None,
        warning: Some(warning),
    };
    if keyword != "nameserver" {
        return unusable(format!("unknown keyword `{keyword}`, the line is ignored"));
    }
    let Some(word) = words.next() else {
        return unusable("the address is missing, the line is ignored".to_owned());
    };
    let Some((server, zone_warning)) = address(word) else {
        return unusable(format!(
            "`{word}` is not an address, its queries are not captured: \
             allowed are addresses such as 10.96.0.10 or fd00::a"
        ));
    };
    let ignored = words.next().filter(|word| !word.starts_with(['#', ';']));
    let ignored = ignored.map(|word| format!("`{word}` after the address is ignored"));
    Line {
        server: Some(server),
        warning: zone_warning.or(ignored),
    }
}

/// An address, and a warning if it has a zone, which rules cannot match. IPv4-mapped IPv6 addresses
/// become IPv4, as the packets do.
fn address(word: &str) -> Option<(IpAddr, Option<String>)> {
    let Some((address, zone)) = word.split_once('%') else {
        return Some((word.parse::<IpAddr>().ok()?.to_canonical(), None));
    };
    let address: Ipv6Addr = address.parse().ok().filter(|_| !zone.is_empty())?;
    let warning = format!("rules cannot match a zone: {address} is captured on every interface");
    Some((IpAddr::V6(address), Some(warning)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn servers_keep_the_order_of_the_file() {
        let file = "# nameserver 1.1.1.1\n; nameserver 1.1.1.1\nsearch a.svc b.svc\n\
                    nameserver 10.96.0.10\nnameserver\tfd00::a  # ours\noptions ndots:5\n\
                    domain nameserver\nsortlist 1.2.3.4\n\n nameserver ::ffff:10.0.0.1\n\
                    nameserver 10.96.0.10\r\n";
        let found = parse(file);
        let servers: Vec<_> = found.servers.iter().map(IpAddr::to_string).collect();
        assert_eq!(servers, ["10.96.0.10", "fd00::a", "10.0.0.1"]);
        assert_eq!(found.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_warning_has_the_line_and_its_number() {
        let file = "nameserver fe80::1%eth0\nnameserver\nnameserver 10.0.0.300\n\
                    nameservers 10.0.0.1\nnameserver 10.0.0.2 10.0.0.3\nnameserver 10.0.0.4%eth0\n\
                    nameserver fe80::2%\n";
        let found = parse(file);
        let servers: Vec<_> = found.servers.iter().map(IpAddr::to_string).collect();
        assert_eq!(servers, ["fe80::1", "10.0.0.2"]);
        insta::assert_snapshot!(found.warnings.join("\n"), @"
        /etc/resolv.conf line 1, `nameserver fe80::1%eth0`: rules cannot match a zone: fe80::1 is captured on every interface
        /etc/resolv.conf line 2, `nameserver`: the address is missing, the line is ignored
        /etc/resolv.conf line 3, `nameserver 10.0.0.300`: `10.0.0.300` is not an address, its queries are not captured: allowed are addresses such as 10.96.0.10 or fd00::a
        /etc/resolv.conf line 4, `nameservers 10.0.0.1`: unknown keyword `nameservers`, the line is ignored
        /etc/resolv.conf line 5, `nameserver 10.0.0.2 10.0.0.3`: `10.0.0.3` after the address is ignored
        /etc/resolv.conf line 6, `nameserver 10.0.0.4%eth0`: `10.0.0.4%eth0` is not an address, its queries are not captured: allowed are addresses such as 10.96.0.10 or fd00::a
        /etc/resolv.conf line 7, `nameserver fe80::2%`: `fe80::2%` is not an address, its queries are not captured: allowed are addresses such as 10.96.0.10 or fd00::a
        ");
    }

    proptest! {
        #[test]
        fn every_server_is_found(servers: Vec<IpAddr>) {
            let lines = servers.iter().map(|server| format!("nameserver {server}\n"));
            let found = parse(&lines.collect::<String>());
            let mut wanted = Vec::new();
            for server in servers.iter().map(IpAddr::to_canonical) {
                if !wanted.contains(&server) {
                    wanted.push(server);
                }
            }
            prop_assert_eq!(found.servers, wanted);
            prop_assert_eq!(found.warnings, Vec::<String>::new());
        }

        /// Every `nameserver` line gives a server, or a warning that contains the line.
        #[test]
        fn no_line_is_dropped(rest in "[^\\r\\n]{0,20}") {
            let line = format!("nameserver {rest}");
            let found = parse(&line);
            let has_warning = found.warnings.iter().any(|warning| warning.contains(line.trim()));
            prop_assert!(has_warning || found.servers.len() == 1);
        }
    }

    #[test]
    fn an_empty_file_has_no_servers() {
        assert_eq!(parse(""), NameServers::default());
    }
}
