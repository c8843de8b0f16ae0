//! Sends one connection through the rules of one family, and checks that it arrives at the capture
//! port.

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

/// A connection to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// The user that sends it.
    pub(super) user: Uid,
    /// Its destination.
    pub(super) to: SocketAddr,
    /// Where it has to arrive.
    pub(super) capture: SocketAddr,
    /// The limit for the whole probe.
    pub(super) timeout: Duration,
}

/// A probe that was redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Redirected {
    /// The original destination.
    pub(crate) original: SocketAddr,
    /// The capture port at which it arrived.
    pub(crate) capture: u16,
}

/// A probe that was not redirected, or that could not be sent.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    /// The namespace has no address outside the loopback range.
    #[error("no {family} address outside the loopback range to which a probe can be sent")]
    NoAddress { family: Family },
    /// This program may not act as the proxy's user.
    #[error("cannot act as the proxy's user {user}")]
    User { user: Uid },
    /// The capture port is in use, or listening is not permitted.
    #[error("cannot listen on the capture port, {at}")]
    Listen {
        at: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// The connection failed.
    #[error("a connection of user {user} to {to} was not redirected to {at}")]
    Refused {
        user: Uid,
        to: SocketAddr,
        at: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// Another program accepted it.
    #[error("a connection of user {user} to {to} was accepted, but not at {at}: not redirected")]
    PastCapture {
        user: Uid,
        to: SocketAddr,
        at: SocketAddr,
    },
    /// It arrived with another original destination.
    #[error("a connection to {to} arrived at {at} with original destination {found}")]
    Altered {
        to: SocketAddr,
        at: SocketAddr,
        found: SocketAddr,
    },
    /// A system call failed.
    #[error("the probe failed")]
    System {
        #[from]
        source: io::Error,
    },
}

impl Probe {
    /// Sends it. The calling thread keeps the proxy's user, so it must end with the probe.
    pub(crate) fn send(&self) -> Result<Redirected, ProbeError> {
        let deadline = Instant::now() + self.timeout;
        self.become_user()?;
        // Without SO_REUSEPORT: fails if a proxy listens already.
        let listener = TcpListener::bind(self.capture).map_err(|source| ProbeError::Listen {
            at: self.capture,
            source,
        })?;
        listener.set_nonblocking(true)?;
        let sent = TcpStream::connect_timeout(&self.to, self.timeout)
            .map_err(|source| self.refused(source))?;
        let arrived = self.await_arrival(&listener, &sent, deadline)?;
        let original = original_destination(&arrived)?;
        // The side that closes first is left in TIME_WAIT: it must not be the proxy's port.
        drop(sent);
        drop(arrived);
        if original != self.to {
            return Err(ProbeError::Altered {
                to: self.to,
                at: self.capture,
                found: original,
            });
        }
        Ok(Redirected {
            original,
            capture: self.capture.port(),
        })
    }

    /// A socket's owner, which rules match, is the thread's filesystem user ID.
    fn become_user(&self) -> Result<(), ProbeError> {
        setfsuid(unistd::Uid::from_raw(self.user.0));
        // setfsuid(2) reports no errors; with an invalid ID it returns the current one.
        let current = setfsuid(unistd::Uid::from_raw(u32::MAX));
        if current.as_raw() == self.user.0 {
            Ok(())
        } else {
            Err(ProbeError::User { user: self.user })
        }
    }

    /// Accepts the probe's connection, and skips connections of others.
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

/// Whether a connection arrives before the deadline.
fn is_ready(listener: &TcpListener, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // The timeout is at most a day, which fits.
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut watched = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, timeout) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The original destination of a redirected connection.
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
