//! Another program that keeps writing the same list, and a runtime that keeps reading it, never see an
//! incomplete list, two entries or a missing binary.

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

/// A writer writes more often than this, also on a busy machine.
const LEAST: usize = 50;

/// A runtime that reads the network as fast as possible.
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

    /// The number of reads, and of reads without our entry.
    fn end(self) -> (usize, usize) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (count(&self.reads), count(&self.without_us))
    }
}

/// A program that replaces its list a hundred times a second until it is dropped.
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
            while ticks.recv_timeout(GAP) == Err(RecvTimeoutError::Timeout) || written <= LEAST {
                let temporary = path.with_extension("theirs");
                let text = CALICO.replace("\"mtu\": 0", &format!("\"mtu\": {written}"));
                fs::write(&temporary, text).unwrap();
                fs::rename(&temporary, &path).unwrap();
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
fn a_runtime_always_reads_a_complete_list() {
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
fn a_contested_list_is_reported_and_backed_off_from() {
    let node = Arc::new(Node::with(&[("10-calico.conflist", CALICO)]));
    let reader = Reader::of(&node);
    let writer = Writer::of(&node.conf("10-calico.conflist"));
    let keeper = Keeper::of(node.settings());
    let mut events = Vec::new();
    for _ in 0..2 {
        events.extend(keeper.until("contested: "));
    }
    let contested = events.last().unwrap();
    assert!(contested.ends_with("10-calico.conflist"), "{contested}");
    let foreign_writes = writer.end();
    let our_writes = events.iter().filter(|line| line.starts_with("write-list"));
    assert!(
        our_writes.count() <= 5 && foreign_writes > LEAST,
        "{foreign_writes}: {events:?}"
    );

    keeper.until("in place");
    reader.end();
    assert!(node.load().contains("mesh-cni"));
    // On a slow machine the last write of the other program may be repaired only now.
    let conflicts: Vec<_> = keeper
        .stop()
        .into_iter()
        .filter(|event| event != "in place")
        .collect();
    assert_eq!(conflicts, [] as [String; 0], "no more conflicts");
}

#[test]
fn a_copy_exists_whatever_is_written_to_the_original() {
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
    assert_eq!(without_us, 0, "no pod starts without the plugin");
    keeper.stop();
}

#[test]
fn a_missing_binary_is_restored_while_the_list_is_contested() {
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
    let events = keeper.until("write-binary");
    assert!(
        !events.iter().any(|line| line.starts_with("write-list")),
        "{events:?}"
    );
    assert!(node.paths.binary().exists());
    keeper.until("in place");
    keeper.stop();
}

#[test]
fn a_list_that_is_written_in_place_gets_the_entry() {
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
