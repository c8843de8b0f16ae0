//! Many sandboxes at once: ADDs per second, and failures.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use mesh_cni_netns::NetNs;

use super::plugin;

/// The number of sandboxes, and how many start in parallel.
const SANDBOXES: usize = 200;
const AT_ONCE: usize = 16;

/// Runs the burst and describes the result.
pub(crate) fn burst(conf: &str) -> String {
    let made: Vec<_> = (0..SANDBOXES)
        .map(|_| NetNs::scratch().expect("the benchmark needs root: run `make bench`"))
        .collect();
    let queue = Mutex::new(made.iter());
    let start = Instant::now();
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| scope.spawn(|| work(&queue, conf)))
            .collect();
        let done = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"));
        done.flatten().collect()
    });
    words(start.elapsed(), &outcomes)
}

/// One ADD: how long it took, and the error if it failed.
struct Outcome {
    took: Duration,
    failure: Option<String>,
}

fn work<'ns>(queue: &Mutex<impl Iterator<Item = &'ns NetNs>>, conf: &str) -> Vec<Outcome> {
    let next = || queue.lock().expect("no worker panics").next();
    std::iter::from_fn(next)
        .map(|netns| add(netns, conf))
        .collect()
}

fn add(netns: &NetNs, conf: &str) -> Outcome {
    let start = Instant::now();
    let said = run(plugin(netns.path()), conf);
    Outcome {
        took: start.elapsed(),
        failure: said.err(),
    }
}

fn run(mut command: Command, conf: &str) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().expect("it is piped");
    let written = stdin.write_all(conf.as_bytes());
    drop(stdin);
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    match (written, output.status.success()) {
        (Ok(()), true) => Ok(()),
        (Err(error), true) => Err(error.to_string()),
        (_, false) => Err(String::from_utf8_lossy(&output.stdout).into_owned()),
    }
}

fn words(whole: Duration, outcomes: &[Outcome]) -> String {
    let mut took: Vec<_> = outcomes.iter().map(|outcome| outcome.took).collect();
    took.sort();
    let per_cent = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
    let failures: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.failure.as_deref())
        .collect();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let count = u32::try_from(outcomes.len()).expect("there are few");
    let rate = f64::from(count) / whole.as_secs_f64();
    let mut text = format!(
        "{count} ADDs, {AT_ONCE} at once, {cores} cores: {} failed, {rate:.0} ADDs per second; \
         one took {:.1} ms (median), {:.1} ms (99 %), {:.1} ms at most\n",
        failures.len(),
        per_cent(50).as_secs_f64() * 1e3,
        per_cent(99).as_secs_f64() * 1e3,
        per_cent(100).as_secs_f64() * 1e3,
    );
    if let Some(first) = failures.first() {
        writeln!(text, "the first failure: {first}").expect("writing to a string cannot fail");
    }
    text
}
