//! The name servers that `/etc/resolv.conf` names, and what in it could not be read.

use std::net::{IpAddr, Ipv6Addr};

/// Where it is.
pub(super) const PATH: &str = "/etc/resolv.conf";

/// Lines that say something else (resolv.conf(5)).
const OTHER_KEYWORDS: [&str; 4] = ["domain", "search", "sortlist", "options"];

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NameServers {
    /// The servers of both families, each once, in their order.
    pub(super) servers: Vec<IpAddr>,
    /// What was odd, one line each.
    pub(super) warnings: Vec<String>,
}

/// Reads the `nameserver` lines.
pub(super) fn parse(file: &str) -> NameServers {
    let mut found = NameServers::default();
    for (line, number) in file.lines().zip(1..) {
        let (server, oddity) = match read(line) {
            Line::Other => continue,
            Line::Server(server) => (Some(server), None),
            Line::OddServer(server, oddity) => (Some(server), Some(oddity)),
            Line::Unreadable(oddity) => (None, Some(oddity)),
        };
        if let Some(server) = server.filter(|server| !found.servers.contains(server)) {
            found.servers.push(server);
        }
        if let Some(oddity) = oddity {
            let line = line.trim();
            let warning = format!("{PATH} line {number}, `{line}`: {oddity}");
            found.warnings.push(warning);
        }
    }
    found
}

/// What one line says.
enum Line {
    Other,
    Server(IpAddr),
    OddServer(IpAddr, String),
    Unreadable(String),
}

fn read(line: &str) -> Line {
    let mut words = line.split_whitespace();
    let keyword = words.next().unwrap_or("#");
    if keyword.starts_with(['#', ';']) || OTHER_KEYWORDS.contains(&keyword) {
        return Line::Other;
    }
    if keyword != "nameserver" {
        return Line::Unreadable(format!("`{keyword}` is no keyword, nothing is read here"));
    }
    let Some(word) = words.next() else {
        return Line::Unreadable("the address is missing, nothing is captured".to_owned());
    };
    let Some((server, oddity)) = address(word) else {
        return Line::Unreadable(format!(
            "`{word}` is not an address, its queries are not captured: \
             allowed are addresses such as 10.96.0.10 or fd00::a"
        ));
    };
    match (oddity, words.next()) {
        (Some(oddity), _) => Line::OddServer(server, oddity),
        (None, Some(word)) if !word.starts_with(['#', ';']) => {
            let oddity = "one address is read, what follows it is not".to_owned();
            Line::OddServer(server, oddity)
        }
        (None, _) => Line::Server(server),
    }
}

/// An address, and what about it no rule can say. One of IPv4 in the guise of IPv6 is met by IPv4
/// packets.
fn address(word: &str) -> Option<(IpAddr, Option<String>)> {
    let Some((address, zone)) = word.split_once('%') else {
        return Some((word.parse::<IpAddr>().ok()?.to_canonical(), None));
    };
    let address: Ipv6Addr = address.parse().ok().filter(|_| !zone.is_empty())?;
    let oddity = format!("rules know no zone: {address} is captured on every interface");
    Some((IpAddr::V6(address), Some(oddity)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn servers_are_read_in_their_order() {
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
    fn what_cannot_be_read_is_named_with_its_line() {
        let file = "nameserver fe80::1%eth0\nnameserver\nnameserver 10.0.0.300\n\
                    nameservers 10.0.0.1\nnameserver 10.0.0.2 10.0.0.3\nnameserver 10.0.0.4%eth0\n\
                    nameserver fe80::2%\n";
        let found = parse(file);
        let servers: Vec<_> = found.servers.iter().map(IpAddr::to_string).collect();
        assert_eq!(servers, ["fe80::1", "10.0.0.2"]);
        insta::assert_snapshot!(found.warnings.join("\n"), @"
        /etc/resolv.conf line 1, `nameserver fe80::1%eth0`: rules know no zone: fe80::1 is captured on every interface
        /etc/resolv.conf line 2, `nameserver`: the address is missing, nothing is captured
        /etc/resolv.conf line 3, `nameserver 10.0.0.300`: `10.0.0.300` is not an address, its queries are not captured: allowed are addresses such as 10.96.0.10 or fd00::a
        /etc/resolv.conf line 4, `nameservers 10.0.0.1`: `nameservers` is no keyword, nothing is read here
        /etc/resolv.conf line 5, `nameserver 10.0.0.2 10.0.0.3`: one address is read, what follows it is not
        /etc/resolv.conf line 6, `nameserver 10.0.0.4%eth0`: `10.0.0.4%eth0` is not an address, its queries are not captured: allowed are addresses such as 10.96.0.10 or fd00::a
        /etc/resolv.conf line 7, `nameserver fe80::2%`: `fe80::2%` is not an address, its queries are not captured: allowed are addresses such as 10.96.0.10 or fd00::a
        ");
    }

    proptest! {
        #[test]
        fn every_server_is_found_again(servers: Vec<IpAddr>) {
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

        /// Every `nameserver` line gives a server, or a warning that has it.
        #[test]
        fn no_line_is_dropped(rest in "[^\\r\\n]{0,20}") {
            let line = format!("nameserver {rest}");
            let found = parse(&line);
            let told = found.warnings.iter().any(|warning| warning.contains(line.trim()));
            prop_assert!(told || found.servers.len() == 1);
        }
    }

    #[test]
    fn an_empty_file_names_none() {
        assert_eq!(parse(""), NameServers::default());
    }
}
