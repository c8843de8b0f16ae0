//! A thread that stays in a namespace and opens sockets there for whoever asks, as any user.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender as Orders, channel};
use std::thread;

use mesh_cni_netfilter::ruleset::Protocol;
use mesh_cni_netns::NetNs;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, listen,
    send, setsockopt, socket, sockopt,
};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use crate::Sender;

/// A packet to be sent.
#[derive(Clone, Debug)]
pub struct Opening {
    /// By whom.
    pub sender: Sender,
    /// From which address; the unspecified one leaves it to the kernel.
    pub source: SocketAddr,
    /// The interface to which the socket is bound, if any.
    pub interface: Option<&'static str>,
    /// To where.
    pub to: SocketAddr,
}

/// What a socket is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// A packet goes out from it.
    Send(Opening),
    /// It waits for packets to that address.
    Listen {
        owner: Sender,
        at: SocketAddr,
        transparent: bool,
    },
}

/// The thread.
#[derive(Debug)]
pub(super) struct Opener {
    orders: Orders<(Protocol, Purpose)>,
    opened: Receiver<nix::Result<OwnedFd>>,
}

impl Opener {
    pub(super) fn start(netns: &NetNs) -> Self {
        let (orders, taken) = channel::<(Protocol, Purpose)>();
        let (give, opened) = channel();
        let netns = NetNs::open(netns.path()).expect("the namespace is held open");
        thread::spawn(move || {
            netns.run(|| {
                for (protocol, purpose) in taken {
                    if give.send(carry_out(protocol, &purpose)).is_err() {
                        break;
                    }
                }
            })
        });
        Self { orders, opened }
    }

    pub(super) fn open(&self, protocol: Protocol, opening: Opening) -> OwnedFd {
        self.order(protocol, Purpose::Send(opening))
    }

    pub(super) fn order(&self, protocol: Protocol, purpose: Purpose) -> OwnedFd {
        let what = format!("{protocol} {purpose:?}");
        self.orders
            .send((protocol, purpose))
            .expect("the thread waits for orders");
        let opened = self.opened.recv().expect("the thread answers");
        opened.unwrap_or_else(|errno| panic!("{what}: {}", io::Error::from(errno)))
    }
}

fn carry_out(protocol: Protocol, purpose: &Purpose) -> nix::Result<OwnedFd> {
    match purpose {
        Purpose::Send(opening) => send_from(protocol, opening),
        Purpose::Listen {
            owner,
            at,
            transparent,
        } => listen_at(protocol, *owner, *at, *transparent),
    }
}

fn send_from(protocol: Protocol, opening: &Opening) -> nix::Result<OwnedFd> {
    let fd = open_as(opening.sender, protocol, opening.to)?;
    if let Some(name) = opening.interface {
        setsockopt(&fd, sockopt::BindToDevice, &OsString::from(name))?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(opening.source))?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(opening.to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(errno) => return Err(errno),
    }
    if protocol == Protocol::Udp {
        send(fd.as_raw_fd(), b"?", MsgFlags::empty())?;
    }
    Ok(fd)
}

fn listen_at(
    protocol: Protocol,
    owner: Sender,
    at: SocketAddr,
    transparent: bool,
) -> nix::Result<OwnedFd> {
    let fd = open_as(owner, protocol, at)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    if at.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    if transparent {
        setsockopt(&fd, sockopt::IpTransparent, &true)?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(at))?;
    if protocol == Protocol::Tcp {
        listen(&fd, Backlog::new(16)?)?;
    }
    Ok(fd)
}

/// A socket that belongs to that user and group: the file remembers who opened it.
fn open_as(owner: Sender, protocol: Protocol, family_of: SocketAddr) -> nix::Result<OwnedFd> {
    let family = match family_of {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let kind = match protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
    };
    setfsgid(Gid::from_raw(owner.group));
    setfsuid(Uid::from_raw(owner.user));
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let opened = socket(family, kind, flags, None);
    setfsuid(Uid::from_raw(0));
    setfsgid(Gid::from_raw(0));
    opened
}
