//! The TCP ports on which processes listen in a network namespace.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// The sockets of the calling thread's network namespace, one line each. The second file is missing without
/// IPv6.
const TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];

/// The most bytes of one table that are read, about 100,000 sockets. Listening sockets come first.
const MAX_BYTES: u64 = 16 << 20;

/// The state of a listening socket.
const LISTEN: &str = "0A";

/// The TCP ports on which any process listens in the calling thread's network namespace.
pub fn listening_ports() -> io::Result<BTreeSet<u16>> {
    let mut ports = BTreeSet::new();
    for table in TABLES {
        let file = match File::open(table) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        for line in BufReader::new(file.take(MAX_BYTES)).lines() {
            ports.extend(listening(&line?));
        }
    }
    Ok(ports)
}

/// The port of a line such as `0: 0100007F:3A99 00000000:0000 0A …`, if the socket listens.
fn listening(line: &str) -> Option<u16> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, _remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (_, port) = local.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == LISTEN).then_some(port)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_listening_sockets_count() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let ports = listening_ports().unwrap();
        assert!(ports.contains(&address.port()));
        assert!(!ports.contains(&client.local_addr().unwrap().port()));
        if let Ok(listener) = TcpListener::bind("[::1]:0") {
            let port = listener.local_addr().unwrap().port();
            assert!(listening_ports().unwrap().contains(&port));
        }
    }

    #[test]
    fn other_lines_are_ignored() {
        for line in [
            "",
            "  sl  local_address rem_address   st",
            "0: 0100007F 0:0 0A",
            "0: 0:GG 0:0 0A",
        ] {
            assert_eq!(listening(line), None, "{line}");
        }
        assert_eq!(
            listening("0: 0100007F:3A99 00000000:0000 0A 0"),
            Some(15001)
        );
        assert_eq!(listening("0: 0100007F:3A99 0100007F:0050 01 0"), None);
    }
}
