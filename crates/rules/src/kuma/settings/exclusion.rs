//! `[PROTOCOLS:][PORTS:]USERS`: outbound traffic of users that is not captured.

use mesh_cni_netfilter::value::IdRange;
use mesh_cni_netfilter::{PortRange, Protocol, Uid};

use crate::kuma::interception::UserExclusion;
use crate::value::{InvalidItem, invalid};

const EXPECTED: &str = "an exclusion for users: allowed are USERS, PORTS:USERS and PROTOCOLS:PORTS:USERS, such as \
    1000, 443:1000-1005 and tcp,udp:53,3000-5000:1000";
const EXPECTED_PROTOCOL: &str = "a protocol: allowed are `tcp` and `udp`";
const EXPECTED_PORTS: &str = "a port or a range of ports: allowed are whole numbers from 0 to 65535, such as 80 and 3000-5000";
const EXPECTED_USERS: &str = "a user id or a range of user ids: Kuma allows whole numbers from 0 to 65535, such as 1000 and 1000-1005";
const EXPECTED_FEWER: &str = "within the limit of one rule: at most 15 ports, and a range counts as two; divide them among several \
     exclusions";

/// The most ports of one rule (`XT_MULTI_PORTS`).
const MAX_PORTS: usize = 15;

/// The exclusions that `item` configures, one for each protocol. `item` must be a slice of `text`.
pub(super) fn exclusions(text: &str, item: &str) -> Result<Vec<UserExclusion>, InvalidItem> {
    let fields: Vec<_> = item.split(':').collect();
    let (protocols, ports, users) = match fields[..] {
        [users] => ("*", "*", users),
        [ports, users] => ("*", ports, users),
        [protocols, ports, users] => (protocols, ports, users),
        _ => return Err(invalid(text, item, EXPECTED)),
    };
    let users = range(users)
        .and_then(|(first, last)| IdRange::new(Uid(first.into()), Uid(last.into())))
        .ok_or_else(|| invalid(text, users, EXPECTED_USERS))?;
    let ports = ports_of(text, ports)?;
    let exclusion = |protocol| UserExclusion {
        protocol,
        ports: ports.clone(),
        users,
    };
    let protocols = protocols_of(text, protocols)?;
    Ok(protocols.into_iter().map(exclusion).collect())
}

fn protocols_of(text: &str, protocols: &str) -> Result<Vec<Protocol>, InvalidItem> {
    if matches!(protocols, "" | "*") {
        return Ok(vec![Protocol::Tcp, Protocol::Udp]);
    }
    let protocol = |name: &str| match name {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        _ => Err(invalid(text, name, EXPECTED_PROTOCOL)),
    };
    let mut found = protocols
        .split(',')
        .map(protocol)
        .collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn ports_of(text: &str, ports: &str) -> Result<Vec<PortRange>, InvalidItem> {
    if matches!(ports, "" | "*") {
        return Ok(PortRange::new(1, u16::MAX).into_iter().collect());
    }
    let parse = |item: &str| {
        let ports = range(item).and_then(|(first, last)| PortRange::new(first, last));
        ports.ok_or_else(|| invalid(text, item, EXPECTED_PORTS))
    };
    let found = ports.split(',').map(parse).collect::<Result<Vec<_>, _>>()?;
    let slots = found
        .iter()
        .map(|ports| if ports.first() == ports.last() { 1 } else { 2 });
    if slots.sum::<usize>() > MAX_PORTS {
        return Err(invalid(text, ports, EXPECTED_FEWER));
    }
    Ok(found)
}

/// A number, or two with `-` between them.
fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_plain)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((number(first)?, number(last)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(item: &str) -> Result<Vec<String>, (String, usize)> {
        let shown = |it: UserExclusion| {
            let ports: Vec<_> = it.ports.iter().map(ToString::to_string).collect();
            format!("{} {} {}", it.protocol, ports.join(","), it.users)
        };
        exclusions(item, item)
            .map(|all| all.into_iter().map(shown).collect())
            .map_err(|error| (error.item, error.position))
    }

    #[test]
    fn protocols_and_ports_can_be_left_out() {
        for (item, expected) in [
            ("1000", &["tcp 1:65535 1000", "udp 1:65535 1000"][..]),
            ("443:1000-1005", &["tcp 443 1000-1005", "udp 443 1000-1005"]),
            ("tcp:80,443:1000", &["tcp 80,443 1000"]),
            ("udp::2000-2001", &["udp 1:65535 2000-2001"]),
            ("*:*:0", &["tcp 1:65535 0", "udp 1:65535 0"]),
            (
                "udp,tcp:53,3000-5000:106-108",
                &["tcp 53,3000:5000 106-108", "udp 53,3000:5000 106-108"],
            ),
            (
                "tcp:1,2,3,4,5,6,7,8,9,10,11,12,13,14-15:1",
                &["tcp 1,2,3,4,5,6,7,8,9,10,11,12,13,14:15 1"],
            ),
        ] {
            let expected = expected.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(parsed(item), Ok(expected), "{item}");
        }
    }

    #[test]
    fn the_invalid_part_is_named_with_its_position() {
        for (item, part, position) in [
            ("", "", 1),
            ("*", "*", 1),
            ("tcp:80:1:2", "tcp:80:1:2", 1),
            ("sctp:80:1", "sctp", 1),
            ("tcp,sctp:80:1", "sctp", 5),
            ("tcp:80,http:1", "http", 8),
            ("80-79:1", "80-79", 1),
            ("tcp:80:root", "root", 8),
            ("tcp:80:1,2", "1,2", 8),
            ("80:65536", "65536", 4),
            ("80:9-8", "9-8", 4),
            ("tcp:+80:1", "+80", 5),
            (
                "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16:1",
                "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
                1,
            ),
            (
                "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15-16:1",
                "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15-16",
                1,
            ),
        ] {
            assert_eq!(parsed(item), Err((part.to_owned(), position)), "{item}");
        }
    }
}
