//! Sends requests to `NETLINK_ROUTE`, one at a time.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::routing_message::{Answer, Request};

/// More than the kernel puts into one datagram, in bytes (`NLMSG_GOODSIZE` in `linux/netlink.h` is
/// at most 32 KiB).
const DATAGRAM: usize = 64 * 1024;

/// A socket in the calling thread's network namespace.
pub(crate) struct Rtnetlink {
    socket: Socket,
    sequence: u32,
}

impl Rtnetlink {
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// Requests a change and waits for its acknowledgement.
    pub(crate) fn change(&mut self, request: Request, flags: u16) -> io::Result<()> {
        self.send(request, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        self.answers(|_answer: Answer| {})
    }

    /// Requests all objects of a kind.
    pub(crate) fn dump<A: NetlinkDeserializable>(
        &mut self,
        request: Request,
    ) -> io::Result<Vec<A>> {
        self.send(request, NLM_F_REQUEST | NLM_F_DUMP)?;
        let mut found = Vec::new();
        self.answers(|answer| found.push(answer))?;
        Ok(found)
    }

    fn send(&mut self, request: Request, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(request));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(|_sent| ())
    }

    /// Receives every answer to the last request, up to an acknowledgement, an error or the end.
    fn answers<A: NetlinkDeserializable>(&self, mut each: impl FnMut(A)) -> io::Result<()> {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let size = self.socket.recv(&mut &mut buffer[..], 0)?;
            let mut rest = &buffer[..size];
            while !rest.is_empty() {
                let answer = NetlinkMessage::<A>::deserialize(rest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                let length = usize::try_from(answer.header.length).unwrap_or(usize::MAX);
                // Messages begin at multiples of four (`NLMSG_ALIGN`).
                let next = length.next_multiple_of(4).min(rest.len());
                rest = &rest[next..];
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(error) if error.raw_code() == 0 => return Ok(()),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::InnerMessage(message) => each(message),
                    _ => {}
                }
            }
        }
    }
}
