//! A thread in a namespace that opens sockets as any user.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender as RequestSender, channel};
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

/// A packet to send.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The owner of the socket.
    pub sender: Sender,
    /// The source address; if unspecified, the kernel chooses it.
    pub source: SocketAddr,
    /// The interface to which the socket is bound, if any.
    pub interface: Option<&'static str>,
    /// The destination.
    pub to: SocketAddr,
}

/// The purpose of a socket.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// It sends a packet.
    Send(Probe),
    /// It receives packets for an address.
    Listen {
        owner: Sender,
        at: SocketAddr,
        transparent: bool,
    },
}

/// The thread and its channels.
#[derive(Debug)]
pub(super) struct SocketThread {
    requests: RequestSender<(Protocol, Purpose)>,
    opened: Receiver<nix::Result<OwnedFd>>,
}

impl SocketThread {
    pub(super) fn start(netns: &NetNs) -> Self {
        let (requests, received) = channel::<(Protocol, Purpose)>();
        let (result, opened) = channel();
        let netns = NetNs::open(netns.path()).expect("the namespace exists");
        thread::spawn(move || {
            netns.run(|| {
                for (protocol, purpose) in received {
                    if result.send(open_socket(protocol, &purpose)).is_err() {
                        break;
                    }
                }
            })
        });
        Self { requests, opened }
    }

    pub(super) fn open(&self, protocol: Protocol, probe: Probe) -> OwnedFd {
        self.request(protocol, Purpose::Send(probe))
    }

    pub(super) fn request(&self, protocol: Protocol, purpose: Purpose) -> OwnedFd {
        let what = format!("{protocol} {purpose:?}");
        self.requests
            .send((protocol, purpose))
            .expect("the thread is running");
        let opened = self.opened.recv().expect("the thread is running");
        opened.unwrap_or_else(|errno| panic!("{what}: {}", io::Error::from(errno)))
    }
}

fn open_socket(protocol: Protocol, purpose: &Purpose) -> nix::Result<OwnedFd> {
    match purpose {
        Purpose::Send(probe) => send_from(protocol, probe),
        Purpose::Listen {
            owner,
            at,
            transparent,
        } => listen_at(protocol, *owner, *at, *transparent),
    }
}

fn send_from(protocol: Protocol, probe: &Probe) -> nix::Result<OwnedFd> {
    let fd = open_as(probe.sender, protocol, probe.to)?;
    if let Some(name) = probe.interface {
        setsockopt(&fd, sockopt::BindToDevice, &OsString::from(name))?;
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(probe.source))?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(probe.to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(errno) => return Err(errno),
    }
    if protocol == Protocol::Udp {
        match send(fd.as_raw_fd(), b"?", MsgFlags::empty()) {
            // A rule refuses or drops it.
            Ok(_) | Err(Errno::EPERM) => {}
            Err(errno) => return Err(errno),
        }
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

/// Opens a socket that belongs to a user and group: the filesystem ids of the thread determine it.
fn open_as(owner: Sender, protocol: Protocol, family_of: SocketAddr) -> nix::Result<OwnedFd> {
    let family = match family_of {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let kind = match protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
        Protocol::Icmpv6 => panic!("no test opens a socket of {protocol}"),
    };
    setfsgid(Gid::from_raw(owner.group));
    setfsuid(Uid::from_raw(owner.user));
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let opened = socket(family, kind, flags, None);
    setfsuid(Uid::from_raw(0));
    setfsgid(Gid::from_raw(0));
    opened
}
