//! One connection through the rules of one family, and whether it came by way of the capture port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::Uid;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{self, setfsuid};
use thiserror::Error;

/// A connection to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// Who sends it.
    pub(super) user: Uid,
    /// Where it knocks.
    pub(super) to: SocketAddr,
    /// Where it has to arrive.
    pub(super) capture: SocketAddr,
    /// How long all of it may take.
    pub(super) patience: Duration,
}

/// What was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Where the connection was to go.
    pub(crate) original: SocketAddr,
    /// The port by which it came.
    pub(crate) capture: u16,
}

/// A probe that proved nothing, or that nothing redirects.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    /// The namespace has no address that the rules would not take for loopback.
    #[error("no {family} address outside the loopback range: there is nothing to send a probe to")]
    NoAddress { family: Family },
    /// This program may not act as the proxy's user.
    #[error("cannot act as the proxy's user {user}")]
    User { user: Uid },
    /// The capture port is somebody else's.
    #[error("cannot listen on the capture port, {at}")]
    Listen {
        at: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// Nothing took the connection.
    #[error("a connection of user {user} to {to} was not redirected to {at}")]
    Refused {
        user: Uid,
        to: SocketAddr,
        at: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// Somebody else took it.
    #[error(
        "a connection of user {user} to {to} was taken, but not at {at}: nothing redirects it there"
    )]
    PastCapture {
        user: Uid,
        to: SocketAddr,
        at: SocketAddr,
    },
    /// The rules sent it to the right place and lost where it was to go.
    #[error("a connection to {to} came to {at} with the original destination {found}")]
    Altered {
        to: SocketAddr,
        at: SocketAddr,
        found: SocketAddr,
    },
    /// The system did not do its part.
    #[error("the probe was broken off")]
    Broken {
        #[from]
        source: io::Error,
    },
}

impl Probe {
    /// Sends it. The calling thread acts as the proxy's user from here on, so it has to be one that
    /// ends with the probe.
    pub(crate) fn send(&self) -> Result<Proof, ProbeError> {
        let deadline = Instant::now() + self.patience;
        self.become_user()?;
        // Not shared with anyone: where a proxy listens already, this fails.
        let listener = TcpListener::bind(self.capture).map_err(|source| ProbeError::Listen {
            at: self.capture,
            source,
        })?;
        listener.set_nonblocking(true)?;
        let sent = TcpStream::connect_timeout(&self.to, self.patience);
        let sent = sent.map_err(|source| self.refused(source))?;
        let arrived = self.await_arrival(&listener, &sent, deadline)?;
        let original = original_destination(&arrived)?;
        // Who hangs up first keeps the port busy for a while: not the one that the proxy needs.
        drop(sent);
        drop(arrived);
        if original != self.to {
            return Err(ProbeError::Altered {
                to: self.to,
                at: self.capture,
                found: original,
            });
        }
        Ok(Proof {
            original,
            capture: self.capture.port(),
        })
    }

    /// Sockets belong to the user that the thread has for files, by which rules know their owner.
    fn become_user(&self) -> Result<(), ProbeError> {
        setfsuid(unistd::Uid::from_raw(self.user.0));
        // It says nothing of success, but tells the present user when it is given none.
        let present = setfsuid(unistd::Uid::from_raw(u32::MAX));
        if present.as_raw() == self.user.0 {
            Ok(())
        } else {
            Err(ProbeError::User { user: self.user })
        }
    }

    /// The other end of the connection that was sent; strangers' connections are passed over.
    fn await_arrival(
        &self,
        listener: &TcpListener,
        sent: &TcpStream,
        deadline: Instant,
    ) -> Result<TcpStream, ProbeError> {
        let sender = sent.local_addr()?;
        loop {
            match listener.accept() {
                Ok((arrived, from)) if from == sender => return Ok(arrived),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !is_ready(listener, deadline)? {
                        return Err(ProbeError::PastCapture {
                            user: self.user,
                            to: self.to,
                            at: self.capture,
                        });
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn refused(&self, source: io::Error) -> ProbeError {
        ProbeError::Refused {
            user: self.user,
            to: self.to,
            at: self.capture,
            source,
        }
    }
}

/// Whether a connection has come before the deadline.
fn is_ready(listener: &TcpListener, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Up to a day, which fits.
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut watched = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, timeout) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Where a redirected connection was meant to go.
fn original_destination(arrived: &TcpStream) -> io::Result<SocketAddr> {
    Ok(match arrived.local_addr()? {
        SocketAddr::V4(_) => {
            let raw = getsockopt(arrived, sockopt::OriginalDst)?;
            let address = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
            SocketAddr::new(IpAddr::V4(address), u16::from_be(raw.sin_port))
        }
        SocketAddr::V6(_) => {
            let raw = getsockopt(arrived, sockopt::Ip6tOriginalDst)?;
            let address = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            SocketAddr::new(IpAddr::V6(address), u16::from_be(raw.sin6_port))
        }
    })
}
