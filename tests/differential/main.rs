//! Compares the packet walk with the kernel, for random settings and packets and all back ends.
//!
//! The environment variables `SEED`, `SETTINGS`, `PACKETS` and `WORKERS` select another or a longer
//! run (`make differential`); `TURN` repeats a single one of its settings. A disagreement is reported
//! with its seed and turn; when it is understood, add it as a scenario.
//!
//! This is a separate test program: other tests would start programs, which inherit its sockets until
//! they call `exec`. Requires root, and fails without it.
#![expect(clippy::unwrap_used, reason = "tests fail on errors")]

mod case;
mod outcome_counts;
mod random;
mod settings;
mod test_packet;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;

use mesh_cni_netns::{BackendChoice, Change, Xtables, apply, remove};
use mesh_cni_tests::{PodGuestNet, must};

use case::Case;
use outcome_counts::OutcomeCounts;
use random::Random;
use test_packet::TestPacket;

/// The number of settings after which the namespaces are recreated, so that they are fresh and have
/// unused ports.
const TURNS_PER_NET: u64 = 64;

/// The number of settings after which a check for remaining rules follows.
const TURNS_PER_CHECK: u64 = 8;

/// The number of packets from which on a run must reach every outcome.
const ENOUGH_PACKETS: u64 = 300;

/// A whole run.
#[derive(Clone, Copy, Debug)]
struct Run {
    seed: u64,
    settings: u64,
    packets: u16,
}

/// The state that the workers share.
#[derive(Default)]
struct Shared {
    /// The next turn.
    turns: AtomicU64,
    counts: OutcomeCounts,
    disagreements: Mutex<Vec<Disagreement>>,
    /// Locked for writing while an address must become free: a program that is being started still has
    /// every socket of this process.
    programs: RwLock<()>,
}

/// The description of a packet for which walk and kernel disagree.
type Disagreement = String;

impl Run {
    fn of_environment() -> Self {
        let packets = number("PACKETS").unwrap_or(15);
        Self {
            seed: number("SEED").unwrap_or(1),
            settings: number("SETTINGS").unwrap_or(40),
            packets: u16::try_from(packets).expect("fewer packets than ports"),
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let given = env::var(name).ok().filter(|text| !text.is_empty());
    given.map(|text| text.parse().expect("a whole number"))
}

impl Shared {
    fn new_net(&self) -> PodGuestNet {
        let _programs = self.programs.read();
        PodGuestNet::new()
    }
}

/// Runs one turn, until the first disagreement.
fn run_turn(
    run: Run,
    turn: u64,
    net: &mut PodGuestNet,
    shared: &Shared,
) -> Result<(), Disagreement> {
    let mut random = Random::of(run.seed, turn);
    let case = Case::random(&mut random);
    let xtables = Xtables::search(env::var_os("PATH").as_deref());
    let choice = BackendChoice::Only(case.backend);
    let what = format!("{run:?} TURN={turn} {:?}", case.interception);
    {
        let _programs = shared.programs.read();
        let applied = apply(&net.pod, &xtables, choice, case.mesh(), &case.rules);
        assert_eq!(applied.expect(&what).change, Change::Created, "{what}");
    }
    {
        let _no_programs = shared.programs.write();
        net.resolve_as(case.proxy());
    }
    for _ in 0..run.packets {
        let packet = TestPacket::random(&mut random, &case);
        let compared = compare(&case, &packet, net, shared);
        compared.map_err(|description| format!("{run:?} TURN={turn} {description}"))?;
    }
    let _programs = shared.programs.read();
    remove(&net.pod, &xtables, choice, case.mesh()).unwrap();
    if turn.is_multiple_of(TURNS_PER_CHECK) {
        assert_eq!(remaining(net), Vec::<String>::new(), "{what}");
    }
    Ok(())
}

/// Sends one packet, and compares where it arrives with its walk.
fn compare(
    case: &Case,
    packet: &TestPacket,
    net: &mut PodGuestNet,
    shared: &Shared,
) -> Result<(), Disagreement> {
    let walk = case.walk(&packet.packet());
    let mut expected = case.expected(&walk, packet);
    let is_expected = expected.is_some();
    let received = net.send(packet.origin, packet.protocol, packet.probe(), is_expected);
    if let (Some(expected), Some(received), None) = (&mut expected, &received, packet.source) {
        // The walk does not determine the source address that the kernel chooses.
        expected.from = received.from;
    }
    shared.counts.count(&walk.outcome, packet);
    if received == expected {
        return Ok(());
    }
    let _programs = shared.programs.read();
    let ruleset = must(&net.pod, "nft list ruleset");
    let description = case.describe(&walk);
    Err(format!(
        "{description}\n{ruleset}\nreceived: {received:?}\nexpected: {expected:?}\n"
    ))
}

/// The rules of all back ends and the policy routing that should have been removed.
fn remaining(net: &PodGuestNet) -> Vec<String> {
    let native = must(&net.pod, "nft -s list ruleset");
    let frame = ["table ", "chain ", "type ", "}", "#"];
    let native = native.lines().map(str::trim);
    let native = native.filter(|line| !frame.iter().any(|start| line.starts_with(start)));
    let mut remaining: Vec<_> = native.map(str::to_owned).collect();
    for program in ["iptables-legacy-save", "ip6tables-legacy-save"] {
        let saved = must(&net.pod, program);
        let rules = saved.lines().filter(|line| line.starts_with("-A"));
        remaining.extend(rules.map(str::to_owned));
    }
    for program in ["ip -4 rule list", "ip -6 rule list"] {
        let listed = must(&net.pod, program);
        let marked = listed.lines().filter(|line| line.contains("fwmark"));
        remaining.extend(marked.map(str::to_owned));
    }
    remaining.retain(|line| !line.is_empty());
    remaining
}

/// Runs turns until all are done.
fn work(run: Run, shared: &Shared) {
    let mut net = shared.new_net();
    let mut turns = 0;
    loop {
        let turn = shared.turns.fetch_add(1, Ordering::Relaxed);
        if turn >= run.settings {
            return;
        }
        if turns == TURNS_PER_NET || !net.has_ports_for(run.packets) {
            net = shared.new_net();
            turns = 0;
        }
        turns += 1;
        if let Err(disagreement) = run_turn(run, turn, &mut net, shared) {
            shared.disagreements.lock().unwrap().push(disagreement);
            turns = TURNS_PER_NET;
        }
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "prints the figures of a long run with --nocapture"
)]
fn the_walk_agrees_with_the_kernel() {
    let run = Run::of_environment();
    let shared = Shared::default();
    if let Some(turn) = number("TURN") {
        let result = run_turn(run, turn, &mut PodGuestNet::new(), &shared);
        return result.unwrap_or_else(|description| panic!("{description}"));
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = number("WORKERS").map_or(cores, |workers| workers.try_into().unwrap());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(run, &shared));
        }
    });
    let disagreements = shared.disagreements.into_inner().unwrap();
    let count = disagreements.len();
    println!("{run:?}, {}: {count} turns disagree", shared.counts);
    assert_eq!(count, 0, "{}", disagreements.join("\n"));
    if run.settings * u64::from(run.packets) >= ENOUGH_PACKETS {
        assert_eq!(shared.counts.missing(), Vec::<&str>::new());
    }
}
