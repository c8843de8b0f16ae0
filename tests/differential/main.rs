//! Random settings and random packets: the walk against the kernel, over every back end.
//!
//! `SEED`, `SETTINGS`, `PACKETS` and `WORKERS` of the environment choose another or a longer run
//! (`make differential`); `TURN` repeats one of its settings alone. A case that disagrees is told
//! with its seed and turn; once understood it becomes a scenario.
//!
//! A program of its own: other tests in it would start programs, which hold its sockets for a
//! moment. Needs root; without it this fails, it does not skip.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod case;
mod errand;
mod random;
mod settings;
mod tally;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;

use mesh_cni_netns::{BackendChoice, Change, Xtables, apply, remove};
use mesh_cni_tests::{PodGuestNet, must};

use case::Case;
use errand::Errand;
use random::Random;
use tally::Tally;

/// After how many settings the namespaces are made anew: they are never far from fresh, and never
/// short of ports.
const TURNS_A_WORLD: u64 = 64;

/// After how many settings it is looked whether anything was left behind.
const TURNS_A_LOOK: u64 = 8;

/// From how many packets on a run must come to every end.
const ENOUGH: u64 = 300;

/// A whole run.
#[derive(Clone, Copy, Debug)]
struct Run {
    seed: u64,
    settings: u64,
    packets: u16,
}

/// What the workers of a run have in common.
#[derive(Default)]
struct Shared {
    /// The next turn.
    turns: AtomicU64,
    tally: Tally,
    disagreements: Mutex<Vec<Disagreement>>,
    /// Held for writing where an address must be free again: a program that is just being started
    /// still holds every socket of this process.
    programs: RwLock<()>,
}

/// The story of a packet that did not end as its walk says.
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
    fn world(&self) -> PodGuestNet {
        let _programs = self.programs.read();
        PodGuestNet::new()
    }
}

/// Plays one turn; the first packet that does not end as its walk says ends it.
fn play(run: Run, turn: u64, world: &mut PodGuestNet, shared: &Shared) -> Result<(), Disagreement> {
    let mut random = Random::of(run.seed, turn);
    let case = Case::random(&mut random);
    let xtables = Xtables::search(env::var_os("PATH").as_deref());
    let choice = BackendChoice::Only(case.backend);
    let what = format!("{run:?} TURN={turn} {:?}", case.interception);
    {
        let _programs = shared.programs.read();
        let applied = apply(&world.pod, &xtables, choice, &case.rules);
        assert_eq!(applied.expect(&what).change, Change::Created, "{what}");
    }
    {
        let _no_programs = shared.programs.write();
        world.resolve_as(case.proxy());
    }
    for _ in 0..run.packets {
        let errand = Errand::random(&mut random, &case);
        let compared = compare(&case, &errand, world, shared);
        compared.map_err(|story| format!("{run:?} TURN={turn} {story}"))?;
    }
    let _programs = shared.programs.read();
    remove(&world.pod, &xtables, choice).unwrap();
    if turn.is_multiple_of(TURNS_A_LOOK) {
        assert_eq!(left(world), Vec::<String>::new(), "{what}");
    }
    Ok(())
}

/// Sends one packet to where its walk says.
fn compare(
    case: &Case,
    errand: &Errand,
    world: &mut PodGuestNet,
    shared: &Shared,
) -> Result<(), Disagreement> {
    let walk = case.walk(&errand.packet());
    let mut told = case.foretold(&walk, errand);
    let awaited = told.is_some();
    let met = world.send(errand.origin, errand.protocol, errand.probe(), awaited);
    if let (Some(told), Some(met), None) = (&mut told, &met, errand.source) {
        // What the kernel chose to send from is not the walk's to say.
        told.from = met.from;
    }
    shared.tally.count(&walk.outcome, errand);
    if met == told {
        return Ok(());
    }
    let _programs = shared.programs.read();
    let stands = must(&world.pod, "nft list ruleset");
    let story = case.story(&walk);
    Err(format!(
        "{story}\n{stands}\nmet:  {met:?}\ntold: {told:?}\n"
    ))
}

/// Rules, of whatever back end, and policy routing that should be gone.
fn left(world: &PodGuestNet) -> Vec<String> {
    let native = must(&world.pod, "nft -s list ruleset");
    let frame = ["table ", "chain ", "type ", "}", "#"];
    let native = native.lines().map(str::trim);
    let native = native.filter(|line| !frame.iter().any(|start| line.starts_with(start)));
    let mut left: Vec<_> = native.map(str::to_owned).collect();
    for program in ["iptables-legacy-save", "ip6tables-legacy-save"] {
        let saved = must(&world.pod, program);
        let rules = saved.lines().filter(|line| line.starts_with("-A"));
        left.extend(rules.map(str::to_owned));
    }
    for program in ["ip -4 rule list", "ip -6 rule list"] {
        let listed = must(&world.pod, program);
        let marked = listed.lines().filter(|line| line.contains("fwmark"));
        left.extend(marked.map(str::to_owned));
    }
    left.retain(|line| !line.is_empty());
    left
}

/// Takes turns until none is left.
fn work(run: Run, shared: &Shared) {
    let mut world = shared.world();
    let mut played = 0;
    loop {
        let turn = shared.turns.fetch_add(1, Ordering::Relaxed);
        if turn >= run.settings {
            return;
        }
        if played == TURNS_A_WORLD || !world.has_ports_for(run.packets) {
            world = shared.world();
            played = 0;
        }
        played += 1;
        if let Err(disagreement) = play(run, turn, &mut world, shared) {
            shared.disagreements.lock().unwrap().push(disagreement);
            played = TURNS_A_WORLD;
        }
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "a long run is asked for its figures, and shows them with --nocapture"
)]
fn the_walk_agrees_with_the_kernel_on_whatever_comes() {
    let run = Run::of_environment();
    let shared = Shared::default();
    if let Some(turn) = number("TURN") {
        let played = play(run, turn, &mut PodGuestNet::new(), &shared);
        return played.unwrap_or_else(|story| panic!("{story}"));
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
    println!("{run:?}, {}: {count} turns disagree", shared.tally);
    assert_eq!(count, 0, "{}", disagreements.join("\n"));
    if run.settings * u64::from(run.packets) >= ENOUGH {
        assert_eq!(shared.tally.missing(), Vec::<&str>::new());
    }
}
