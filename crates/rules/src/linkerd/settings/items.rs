//! The items of Linkerd's lists.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::value::{InvalidValue, network};
use mesh_cni_netfilter::{Gid, PortRange, Uid};

const EXPECTED_PORT: &str = "a port or a range of ports: allowed are whole numbers from 0 to 65535, \
    and ranges such as `8000-8100`";

/// A port, or a range such as `8000-8100`. Port 0 is allowed.
pub fn port(text: &str) -> Result<PortRange, InvalidValue> {
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_number)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = number(first).zip(number(last));
    range
        .and_then(|(first, last)| PortRange::new(first, last))
        .ok_or(InvalidValue {
            expected: EXPECTED_PORT,
        })
}

/// A CIDR. Its host bits are kept: the comment of its rule has them.
pub fn subnet(text: &str) -> Result<IpNetwork, InvalidValue> {
    let masked = network(text)?;
    Ok(text.parse().unwrap_or(masked))
}

/// The user of the proxy; 0 and less mean that no rule is written.
pub fn user(text: &str) -> Result<Option<Uid>, InvalidValue> {
    id(text, Uid::EXPECTED).map(|id| id.map(Uid))
}

/// The group of the proxy; 0 and less mean that no rule is written.
pub fn group(text: &str) -> Result<Option<Gid>, InvalidValue> {
    id(text, Gid::EXPECTED).map(|id| id.map(Gid))
}

fn id(text: &str, expected: &'static str) -> Result<Option<u32>, InvalidValue> {
    match text.parse::<i64>() {
        Ok(id) if id <= 0 => Ok(None),
        Ok(id) => u32::try_from(id)
            .ok()
            .filter(|id| *id != u32::MAX)
            .map(Some)
            .ok_or(InvalidValue { expected }),
        Err(_) => Err(InvalidValue { expected }),
    }
}
