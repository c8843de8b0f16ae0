//! What the rules cost a new connection, by the length of the list of excluded ports, and what they cost
//! a connection that is open.
//!
//! Connections over the loopback interface of the benchmark's own namespaces, each accepted and reset
//! at once. Back ends and lengths take turns.

use std::fmt::{self, Write as _};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netns::{Backend, BackendChoice, NetNs, Xtables, apply};
use mesh_cni_rules::Mesh;
use mesh_cni_tests::{must, rules_with_annotation};
use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt::Linger};

const LENGTHS: [u16; 3] = [10, 100, 1_000];
const BACKENDS: [Backend; 2] = [Backend::Netlink, Backend::NftNative];
/// The listener's port, which no list contains.
const PORT: u16 = 9_080;
/// How many bytes an open connection sends per measurement, and in which pieces.
const BYTES: usize = 32 << 20;
const PIECE: usize = 64 << 10;
/// How often an open connection sends a byte and receives one per measurement.
const ROUND_TRIPS: u32 = 1_000;
/// The number of connections per measurement.
const CONNECTIONS: u32 = 100;

/// A namespace with rules, or without any.
struct Place {
    netns: NetNs,
    rounds: Vec<Duration>,
    /// Of an open connection, the time to send all bytes, and the time of the round trips.
    open: Vec<[Duration; 2]>,
}

/// The table after that many rounds.
pub(crate) fn connections(rounds: usize) -> String {
    let mut bare = Place::new(None);
    let mut places: Vec<Vec<Place>> = BACKENDS
        .into_iter()
        .map(|backend| {
            let of_length = |length| Place::new(Some((backend, &excluding(length))));
            LENGTHS.into_iter().map(of_length).collect()
        })
        .collect();
    for _ in 0..rounds {
        bare.measure();
        for place in places.iter_mut().flatten() {
            place.measure();
        }
    }
    table(&bare, &places)
}

/// The documented rules with that many excluded outbound ports.
fn excluding(length: u16) -> RuleSet {
    let ports: Vec<_> = (0..length)
        .map(|index| (20_000 + index).to_string())
        .collect();
    let key = "traffic.sidecar.istio.io/excludeOutboundPorts";
    rules_with_annotation((key, &ports.join(",")))
}

impl Place {
    fn new(rules: Option<(Backend, &RuleSet)>) -> Self {
        let netns = NetNs::scratch().expect("the benchmark needs root: run `make bench`");
        must(&netns, "ip link set lo up");
        if let Some((backend, rules)) = rules {
            let none = Xtables::in_directories(Vec::new());
            let choice = BackendChoice::Only(backend);
            let rules = std::slice::from_ref(rules);
            apply(&netns, &none, choice, Mesh::Istio, rules).expect("the rules can be applied");
        }
        Self {
            netns,
            rounds: Vec::new(),
            open: Vec::new(),
        }
    }

    fn measure(&mut self) {
        let measured = self.netns.run(round);
        let measured = measured.expect("the namespace can be entered");
        self.rounds
            .push(measured.expect("loopback connections work"));
        let measured = self.netns.run(open_connection);
        let measured = measured.expect("the namespace can be entered");
        self.open.push(measured.expect("loopback connections work"));
    }

    /// Of an open connection, GiB in a second, and microseconds of a round trip.
    fn open(&self) -> [f64; 2] {
        let fastest = |which: usize| {
            let times = self.open.iter().map(|times| times[which]);
            times.min().unwrap_or_default().as_secs_f64()
        };
        let gib = f64::from(u32::try_from(BYTES >> 20).unwrap_or(u32::MAX)) / 1024.0;
        [gib / fastest(0), fastest(1) * 1e6 / f64::from(ROUND_TRIPS)]
    }

    /// Microseconds for one connection, in the fastest round: other work only adds time.
    fn fastest(&self) -> f64 {
        let fastest = self.rounds.iter().min().copied().unwrap_or_default();
        fastest.as_secs_f64() * 1e6 / f64::from(CONNECTIONS)
    }
}

/// The time to open the connections, without closing them.
fn round() -> io::Result<Duration> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let address: SocketAddr = listener.local_addr()?;
    let reset = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let mut whole = Duration::ZERO;
    for _ in 0..CONNECTIONS {
        let start = Instant::now();
        let client = TcpStream::connect(address)?;
        whole += start.elapsed();
        let (server, _) = listener.accept()?;
        setsockopt(&client, Linger, &reset)?;
        drop((client, server));
    }
    Ok(whole)
}

/// On one connection, the time to send the bytes, and the time of the round trips.
fn open_connection() -> io::Result<[Duration; 2]> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let answers = thread::spawn(move || -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        for _ in 0..BYTES / PIECE {
            server.read_exact(&mut piece)?;
        }
        server.write_all(&[0])?;
        for _ in 0..ROUND_TRIPS {
            server.read_exact(&mut [0])?;
            server.write_all(&[0])?;
        }
        Ok(())
    });
    let (start, piece) = (Instant::now(), vec![0; PIECE]);
    for _ in 0..BYTES / PIECE {
        client.write_all(&piece)?;
    }
    client.read_exact(&mut [0])?;
    let all_bytes = start.elapsed();
    let start = Instant::now();
    for _ in 0..ROUND_TRIPS {
        client.write_all(&[0])?;
        client.read_exact(&mut [0])?;
    }
    let round_trips = start.elapsed();
    answers
        .join()
        .unwrap_or_else(|_panic| Err(io::Error::other("the thread that answers panicked")))?;
    Ok([all_bytes, round_trips])
}

fn table(bare: &Place, places: &[Vec<Place>]) -> String {
    let mut text = String::new();
    let mut add = |part: fmt::Arguments<'_>| {
        text.write_fmt(part)
            .expect("writing to a string cannot fail");
    };
    let without = bare.fastest();
    add(format_args!("{:<38}", "a new connection"));
    for length in LENGTHS {
        add(format_args!(" {:>14}", format!("{length} ports")));
    }
    for (backend, places) in BACKENDS.into_iter().zip(places) {
        add(format_args!("\n{:<38}", backend.as_str()));
        for place in places {
            let more = place.fastest() - without;
            add(format_args!(" {:>14}", format!("{more:.2} µs")));
        }
    }
    add(format_args!(
        "\n(more than the {without:.2} µs that a connection takes without rules)\n\n"
    ));
    add(format_args!(
        "{:<38} {:>14} {:>14}\n",
        "a connection that is open", "GiB/s", "round trip"
    ));
    let longest = BACKENDS
        .into_iter()
        .zip(places)
        .filter_map(|(backend, places)| Some((backend.as_str(), places.last()?)));
    for (name, place) in [("without rules", bare)].into_iter().chain(longest) {
        let [throughput, round_trip] = place.open();
        let round_trip = format!("{round_trip:.2} µs");
        add(format_args!(
            "{name:<38} {throughput:>14.2} {round_trip:>14}\n"
        ));
    }
    text
}
