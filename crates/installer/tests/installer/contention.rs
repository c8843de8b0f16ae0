//! Beside a program that writes the same list on and on, and before a runtime that reads it on and
//! on: never half a list, never two entries, never a binary that is not there.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use mesh_cni_installer::{install, uninstall};

use crate::fixture::{BRIDGE, CALICO, options, owned_first};
use crate::keeper::Keeper;
use crate::node::Node;

/// A hundred times a second.
const GAP: Duration = Duration::from_millis(10);

/// A runtime that reads the network as fast as it can, and what it has seen.
struct Reader {
    ended: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
    without_us: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn of(node: &Arc<Node>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let reads = Arc::new(AtomicUsize::new(0));
        let without_us = Arc::new(AtomicUsize::new(0));
        let (node, stop) = (Arc::clone(node), Arc::clone(&ended));
        let (count, missed) = (Arc::clone(&reads), Arc::clone(&without_us));
        let thread = spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if !node.load().contains("mesh-cni") {
                    missed.fetch_add(1, Ordering::Relaxed);
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self {
            ended,
            reads,
            without_us,
            thread,
        }
    }

    /// How often it read, and how often of that without our entry.
    fn end(self) -> (usize, usize) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (count(&self.reads), count(&self.without_us))
    }
}

/// A program that writes its list a hundred times a second, whole each time, until it is dropped.
struct Writer {
    running: Sender<()>,
    thread: JoinHandle<usize>,
}

impl Writer {
    fn of(path: &Path) -> Self {
        let path = path.to_owned();
        let (running, ticks) = channel::<()>();
        let thread = spawn(move || {
            let mut written = 0;
            while ticks.recv_timeout(GAP) == Err(RecvTimeoutError::Timeout) {
                let beside = path.with_extension("theirs");
                let text = CALICO.replace("\"mtu\": 0", &format!("\"mtu\": {written}"));
                fs::write(&beside, text).unwrap();
                fs::rename(&beside, &path).unwrap();
                written += 1;
            }
            written
        });
        Self { running, thread }
    }

    fn end(self) -> usize {
        drop(self.running);
        self.thread.join().unwrap()
    }
}

#[test]
fn a_runtime_never_reads_anything_but_a_whole_list() {
    for network in [
        ("10-calico.conflist", CALICO),
        ("10-lab.conf", BRIDGE),
        ("10-lab.json", BRIDGE),
    ] {
        let node = Arc::new(Node::with(&[network]));
        let reader = Reader::of(&node);
        let mut at_once = options();
        at_once.grace = Duration::ZERO;
        let mut copying = node.settings();
        copying.chaining = owned_first().chaining;
        for _ in 0..10 {
            install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
            install(&copying, Duration::ZERO, |_| ()).unwrap();
            uninstall(&node.paths, &at_once, |_| ()).unwrap();
        }
        let (reads, _) = reader.end();
        assert!(reads > 10, "{reads} reads");
    }
}

#[test]
fn two_writers_of_one_list_are_told_and_the_fight_ends() {
    let node = Arc::new(Node::with(&[("10-calico.conflist", CALICO)]));
    let reader = Reader::of(&node);
    let writer = Writer::of(&node.conf("10-calico.conflist"));
    let keeper = Keeper::of(node.settings());
    let mut told = Vec::new();
    for _ in 0..2 {
        told.extend(keeper.until("contested: "));
    }
    let contested = told.last().unwrap();
    assert!(contested.ends_with("10-calico.conflist"), "{contested}");
    let written = writer.end();
    let worked = told.iter().filter(|line| line.starts_with("write-list"));
    assert!(worked.count() <= 5 && written > 50, "{written}: {told:?}");

    keeper.until("in place");
    reader.end();
    assert!(node.load().contains("mesh-cni"));
    assert_eq!(keeper.stop(), [] as [String; 0], "the fight is over");
}

#[test]
fn a_copy_is_there_whatever_is_written_to_the_original() {
    let node = Arc::new(Node::with(&[("10-calico.conflist", CALICO)]));
    let mut settings = node.settings();
    settings.chaining = owned_first().chaining;
    install(&settings, Duration::ZERO, |_| ()).unwrap();
    let reader = Reader::of(&node);
    let writer = Writer::of(&node.conf("10-calico.conflist"));
    let keeper = Keeper::of(settings);
    keeper.until("contested: ");
    writer.end();
    keeper.until("in place");
    let (reads, without_us) = reader.end();
    assert!(reads > 0);
    assert_eq!(without_us, 0, "no pod starts without us");
    keeper.stop();
}

#[test]
fn a_binary_that_goes_during_a_fight_over_the_list_comes_back() {
    let node = Arc::new(Node::with(&[("10-calico.conflist", CALICO)]));
    let writer = Writer::of(&node.conf("10-calico.conflist"));
    let keeper = Keeper::of(node.settings());
    keeper.until("contested: ");
    keeper.until("contested: ");
    keeper.until("contested: ");
    writer.end();
    // The agent gives way for four seconds now; a list with the entry and without the binary must
    // not wait for that.
    let list = CALICO.replace(
        r#"{"type": "portmap""#,
        r#"{"type": "mesh-cni"}, {"type": "portmap""#,
    );
    fs::write(node.conf("10-calico.conflist"), list).unwrap();
    fs::remove_file(node.paths.binary()).unwrap();
    let told = keeper.until("write-binary");
    assert!(
        !told.iter().any(|line| line.starts_with("write-list")),
        "{told:?}"
    );
    assert!(node.paths.binary().exists());
    keeper.until("in place");
    keeper.stop();
}

#[test]
fn a_writer_that_writes_in_place_ends_in_a_list_with_us() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let keeper = Keeper::of(node.settings());
    keeper.until("in place");
    for half in [0, 10, 60, CALICO.len()] {
        fs::write(node.conf("10-calico.conflist"), &CALICO[..half]).unwrap();
    }
    keeper.until("in place");
    assert!(node.load().contains("mesh-cni"));
    keeper.stop();
}
