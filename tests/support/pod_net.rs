//! A pod's namespace and a peer, joined by a cable; senders with a user and a group; listeners that
//! say where a connection really was for.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use mesh_cni_netns::NetNs;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, getsockopt, setsockopt, socket, sockopt,
};

use crate::{must, run};

/// Two namespaces: the pod at 10.99.0.2, the peer at 10.99.0.3 and at 192.168.0.1.
#[derive(Debug)]
pub struct PodNet {
    /// The pod's namespace.
    pub pod: NetNs,
    /// Everything that is not the pod.
    pub peer: NetNs,
}

/// Who opens a connection.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The user of its process.
    pub user: u32,
    /// The group of its process.
    pub group: u32,
}

/// Where a connection arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Which namespace: `pod` or `peer`.
    pub side: String,
    /// The port on which it was accepted.
    pub port: u16,
    /// Where it was for before anything rewrote it.
    pub original: SocketAddr,
    /// Where it is for by its own account.
    pub local: SocketAddr,
    /// Whence it comes by its own account.
    pub from: IpAddr,
}

impl Sender {
    /// The application of bookinfo.
    pub const APP: Self = Self {
        user: 1000,
        group: 1000,
    };
    /// A process that may take any port.
    pub const ROOT: Self = Self { user: 0, group: 0 };
    /// The sidecar proxy.
    pub const PROXY: Self = Self {
        user: 1337,
        group: 1337,
    };
    /// A process that shares the proxy's group alone.
    pub const PROXY_GROUP: Self = Self {
        user: 2000,
        group: 1337,
    };
}

impl PodNet {
    /// The pod's address.
    pub const POD: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
    /// The peer's address.
    pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 3);
    /// The peer's address in the range that the documented pod excludes.
    pub const EXCLUDED: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);

    /// Makes both namespaces; they are gone with this value.
    pub fn new() -> Self {
        Self::of(NetNs::scratch().expect("this test needs root: run `make test`"))
    }

    /// The same, with a namespace for the pod that has no more than a loopback interface.
    pub fn of(pod: NetNs) -> Self {
        let peer = NetNs::scratch().expect("this test needs root: run `make test`");
        let other = peer.path().display();
        must(
            &pod,
            &format!("ip link add eth0 type veth peer name eth0 netns {other}"),
        );
        for (netns, address) in [(&pod, Self::POD), (&peer, Self::PEER)] {
            must(netns, &format!("ip address add {address}/24 dev eth0"));
            must(netns, "ip link set eth0 up");
            must(netns, "ip link set lo up");
        }
        must(
            &peer,
            &format!("ip address add {}/32 dev eth0", Self::EXCLUDED),
        );
        must(&pod, &format!("ip route add default via {}", Self::PEER));
        Self { pod, peer }
    }

    /// Listens on these ports of the pod and of the peer, each connection on a thread that ends
    /// with this process.
    pub fn listen(&self, on_pod: &[u16], on_peer: &[u16]) {
        for (netns, side, ports) in [(&self.pod, "pod", on_pod), (&self.peer, "peer", on_peer)] {
            for port in ports {
                listen(netns, side, *port, Listening::Plain);
            }
        }
    }

    /// Listens on a port of the pod for connections to any address (`IP_TRANSPARENT`), as a proxy
    /// does under TPROXY.
    pub fn listen_transparently(&self, port: u16) {
        listen(&self.pod, "pod", port, Listening::Transparent);
    }

    /// Opens a connection from a namespace and says where it arrived; none where it was refused.
    ///
    /// The process is matched by its user and group.
    pub fn connect(&self, from: &NetNs, sender: Sender, to: (Ipv4Addr, u16)) -> Option<Arrival> {
        let mut command = Command::new("env");
        command.uid(sender.user).gid(sender.group);
        self.connect_by(command, from, to)
    }

    /// The same, by a program that starts the one which its arguments name.
    pub fn connect_by(
        &self,
        mut command: Command,
        from: &NetNs,
        to: (Ipv4Addr, u16),
    ) -> Option<Arrival> {
        let script = "exec 3<>\"/dev/tcp/$0/$1\" && timeout 10 cat <&3";
        let (address, port) = (to.0.to_string(), to.1.to_string());
        command.args(["bash", "-c", script, &address, &port]);
        parse(&run(from, &mut command, "").stdout)
    }
}

impl Default for PodNet {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Copy)]
enum Listening {
    Plain,
    Transparent,
}

fn listen(netns: &NetNs, side: &'static str, port: u16, how: Listening) {
    let bind = || -> nix::Result<TcpListener> {
        let (family, kind) = (AddressFamily::Inet, SockType::Stream);
        let fd = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        if matches!(how, Listening::Transparent) {
            setsockopt(&fd, sockopt::IpTransparent, &true)?;
        }
        let anywhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        nix::sys::socket::bind(fd.as_raw_fd(), &SockaddrIn::from(anywhere))?;
        nix::sys::socket::listen(&fd, Backlog::new(16)?)?;
        Ok(TcpListener::from(fd))
    };
    let listener = netns.run(bind).expect("the namespace can be entered");
    let listener = listener.expect("the port is free in a fresh namespace");
    thread::spawn(move || serve(&listener, side, port));
}

fn serve(listener: &TcpListener, side: &str, port: u16) {
    for stream in listener.incoming() {
        let answered = stream.and_then(|stream| answer(stream, side, port));
        // A connection that was given up meanwhile is the client's business.
        drop(answered);
    }
}

fn answer(mut stream: TcpStream, side: &str, port: u16) -> std::io::Result<()> {
    let local = stream.local_addr()?;
    let original = match getsockopt(&stream, sockopt::OriginalDst) {
        Ok(address) => SocketAddrV4::new(
            Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)),
            u16::from_be(address.sin_port),
        )
        .into(),
        // Without connection tracking nothing was rewritten.
        Err(_) => local,
    };
    let from = stream.peer_addr()?.ip();
    writeln!(stream, "{side} {port} {original} {local} {from}")
}

fn parse(line: &str) -> Option<Arrival> {
    let mut words = line.split_whitespace();
    Some(Arrival {
        side: words.next()?.to_owned(),
        port: words.next()?.parse().ok()?,
        original: words.next()?.parse().ok()?,
        local: words.next()?.parse().ok()?,
        from: words.next()?.parse().ok()?,
    })
}
