//! The limits of the listeners.

use std::time::Duration;

/// The limits of the listeners.
///
/// A connection carries one request, so the four times together also limit the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long a client may take to send the head of its request, from the start of the connection.
    pub head: Duration,
    /// How long it may then take to send the body.
    pub body: Duration,
    /// How long the agent may take to respond. It may wait for a pod and request the pod from the
    /// API server, which takes up to 4 seconds.
    pub response: Duration,
    /// How long the client may take to read the response.
    pub read: Duration,
    /// The limits of the Unix socket. Only root can connect to it.
    pub socket: Places,
    /// The limits of each port. Every user of the node, and often of the network, can connect to it.
    pub port: Places,
}

/// How much one listener serves at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Places {
    /// The number of connections. Others get status 503 at once.
    pub connections: usize,
    /// The number of connections of one client address. All loopback addresses are one client.
    pub per_address: usize,
    /// The bytes of responses that clients have not read yet. A response that does not fit is
    /// replaced by status 503.
    pub unread_bytes: usize,
}

/// The largest head of a request, in bytes; the smallest value that hyper allows.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(5),
            body: Duration::from_secs(5),
            response: Duration::from_secs(8),
            read: Duration::from_secs(5),
            socket: Places {
                connections: 256,
                per_address: 256,
                unread_bytes: 16 * 1024 * 1024,
            },
            port: Places {
                connections: 32,
                per_address: 4,
                unread_bytes: 1024 * 1024,
            },
        }
    }
}

impl Limits {
    /// Limits that leave most of that many descriptors for files and for the API server: the socket
    /// uses at most a quarter of them, each port a sixteenth.
    pub(crate) fn with_descriptors(mut self, descriptors: usize) -> Self {
        let limit = |places: &mut Places, share: usize| {
            places.connections = places.connections.min(share.max(1));
        };
        limit(&mut self.socket, descriptors / 4);
        limit(&mut self.port, descriptors / 16);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_limit_ports_more_than_the_socket() {
        let limits = |descriptors| {
            let limits = Limits::default().with_descriptors(descriptors);
            (limits.socket.connections, limits.port.connections)
        };
        assert_eq!(limits(1 << 20), (256, 32));
        assert_eq!(limits(1024), (256, 32));
        assert_eq!(limits(256), (64, 16));
        assert_eq!(limits(3), (1, 1));
    }
}
