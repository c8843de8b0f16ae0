//! What the rules cost a new connection, by the length of the list of excluded ports.
//!
//! Connections over the loopback interface of the benchmark's own namespaces, each accepted and reset
//! at once. Back ends and lengths take turns.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
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
/// The number of connections per measurement.
const CONNECTIONS: u32 = 100;

/// A namespace with rules, or without any.
struct Place {
    netns: NetNs,
    rounds: Vec<Duration>,
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
        let rounds = Vec::new();
        Self { netns, rounds }
    }

    fn measure(&mut self) {
        let measured = self.netns.run(round);
        let measured = measured.expect("the namespace can be entered");
        self.rounds
            .push(measured.expect("loopback connections work"));
    }

    /// Microseconds for one connection.
    fn median(&self) -> f64 {
        let mut rounds = self.rounds.clone();
        rounds.sort();
        rounds[rounds.len() / 2].as_secs_f64() * 1e6 / f64::from(CONNECTIONS)
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

fn table(bare: &Place, places: &[Vec<Place>]) -> String {
    let without = bare.median();
    let mut text = format!("{:<38}", "");
    for length in LENGTHS {
        write!(text, " {:>14}", format!("{length} ports"))
            .expect("writing to a string cannot fail");
    }
    writeln!(text).expect("writing to a string cannot fail");
    for (backend, places) in BACKENDS.into_iter().zip(places) {
        write!(text, "{:<38}", backend.as_str()).expect("writing to a string cannot fail");
        for place in places {
            let more = place.median() - without;
            write!(text, " {:>14}", format!("{more:.2} µs"))
                .expect("writing to a string cannot fail");
        }
        writeln!(text).expect("writing to a string cannot fail");
    }
    text + &format!("(more than the {without:.2} µs that a connection takes without rules)\n")
}
