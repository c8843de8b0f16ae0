//! A pod's namespace connected to a peer; clients with a user and a group; listeners that report the
//! original destination of a connection.

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
    /// Everything outside the pod.
    pub peer: NetNs,
}

/// The user and group of a process that opens a connection.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
}

/// Where a connection arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The namespace: `pod` or `peer`.
    pub side: String,
    /// The port that accepted it.
    pub port: u16,
    /// Its original destination, before rules rewrote it.
    pub original: SocketAddr,
    /// Its destination, as the listener sees it.
    pub local: SocketAddr,
    /// Its source, as the listener sees it.
    pub from: IpAddr,
}

impl Sender {
    /// The application of bookinfo.
    pub const APP: Self = Self {
        user: 1000,
        group: 1000,
    };
    /// A process that may bind any port.
    pub const ROOT: Self = Self { user: 0, group: 0 };
    /// The sidecar proxy.
    pub const PROXY: Self = Self {
        user: 1337,
        group: 1337,
    };
    /// A process with the proxy's group and another user.
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

    /// Creates both namespaces, which exist as long as this value.
    pub fn new() -> Self {
        Self::of(NetNs::scratch().expect("this test needs root: run `make test`"))
    }

    /// As [`PodNet::new`], with an existing namespace that contains only a loopback interface.
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

    /// Listens on ports of the pod and the peer, in threads that run until the process exits.
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

    /// Opens a connection from a namespace as a user and group, and returns where it arrived; `None`
    /// if it was refused.
    pub fn connect(&self, from: &NetNs, sender: Sender, to: (Ipv4Addr, u16)) -> Option<Arrival> {
        let mut command = Command::new("env");
        command.uid(sender.user).gid(sender.group);
        self.connect_by(command, from, to)
    }

    /// As [`PodNet::connect`], with a command that runs the program in its arguments.
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
        let served = stream.and_then(|stream| report(stream, side, port));
        // The client may have closed the connection.
        drop(served);
    }
}

fn report(mut stream: TcpStream, side: &str, port: u16) -> std::io::Result<()> {
    let local = stream.local_addr()?;
    let original = match getsockopt(&stream, sockopt::OriginalDst) {
        Ok(address) => SocketAddrV4::new(
            Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)),
            u16::from_be(address.sin_port),
        )
        .into(),
        // Without connection tracking, nothing was rewritten.
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
