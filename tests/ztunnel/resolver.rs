//! Answers DNS queries: no name exists.

use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};

use crate::pod::Connections;

/// A response with recursion and the code NXDOMAIN, RFC 1035 section 4.1.1.
const FLAGS: [u8; 2] = [0x81, 0x83];
const MAX_QUERY: usize = 512;

pub(crate) fn answer_datagrams(socket: &UdpSocket) {
    let mut buffer = [0; MAX_QUERY];
    // Nothing is received after the socket is shut down.
    while let Ok((length @ 1.., from)) = socket.recv_from(&mut buffer) {
        if let Some(answer) = answer(&buffer[..length]) {
            drop(socket.send_to(&answer, from));
        }
    }
}

/// By TCP, a message follows its length, RFC 1035 section 4.2.2.
pub(crate) fn answer_stream(mut client: TcpStream, _connections: &Connections) -> io::Result<()> {
    let mut length = [0; 2];
    client.read_exact(&mut length)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(length)).min(MAX_QUERY)];
    client.read_exact(&mut query)?;
    let answer = answer(&query).unwrap_or_default();
    client.write_all(&length)?;
    client.write_all(&answer)
}

fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut answer = query.to_vec();
    answer.get_mut(2..4)?.copy_from_slice(&FLAGS);
    Some(answer)
}
