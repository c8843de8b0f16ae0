//! Which events a runtime gets that watches only the directory of network configurations.

use std::collections::BTreeSet;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use mesh_cni_installer::{
    BinaryRemoval, Chaining, Entry, Settings, UninstallOptions, install, uninstall,
};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use serde_json::{Map, Value};

use crate::fixture::CALICO;
use crate::node::Node;

const NETWORK: &str = "k8s-pod-network";
const DROP_IN: &str = "99-mesh-cni.conf";

/// What runtimes act on: CRI-O on a creation, a write or a rename, containerd on a write, a rename or a
/// removal. All of them act on a write.
const WRITE: ReadFlags = ReadFlags::MODIFY;

/// One inotify instance, so that the events of all directories are in order.
struct Events {
    inotify: OwnedFd,
    directories: Vec<(i32, &'static str)>,
}

/// An event: the directory, the name of the file, and what happened.
type Event = (&'static str, String, ReadFlags);

impl Events {
    fn of(directories: &[(&'static str, &Path)]) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK).unwrap();
        let watched = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE;
        let add = |path: &Path| inotify::add_watch(&inotify, path, watched).unwrap();
        let directories = directories.iter().map(|(name, path)| (add(path), *name));
        let directories = directories.collect();
        Self {
            inotify,
            directories,
        }
    }

    /// The events since the last call.
    fn read(&self) -> Vec<Event> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut events = Vec::new();
        while let Ok(event) = reader.next() {
            let mut directories = self.directories.iter();
            if let Some((_, directory)) = directories.find(|(watch, _)| *watch == event.wd()) {
                let name = event
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                events.push((*directory, name.unwrap_or_default(), event.events()));
            }
        }
        events
    }
}

fn position(events: &[Event], directory: &str, name: &str, what: ReadFlags) -> usize {
    let is_wanted =
        |event: &Event| event.0 == directory && event.1.starts_with(name) && event.2.contains(what);
    let last = events.iter().rposition(is_wanted);
    last.unwrap_or_else(|| panic!("no {what:?} of {directory}/{name}: {events:#?}"))
}

/// A node whose network has a directory, and the events of its directories.
fn watched() -> (Node, Events) {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let network = node.paths.drop_in_dir(NETWORK);
    fs::create_dir(&network).unwrap();
    let events = Events::of(&[
        ("net.d", &node.paths.conf_dir),
        ("network", &network),
        ("bin", &node.paths.bin_dir),
    ]);
    (node, events)
}

fn dropping_in(node: &Node) -> Settings {
    let mut settings = node.settings();
    settings.chaining = Chaining::DropIn;
    settings
}

fn uninstall_all(node: &Node) {
    let options = UninstallOptions {
        binary: BinaryRemoval::Always,
        grace: Duration::ZERO,
        restore: BTreeSet::new(),
    };
    uninstall(&node.paths, &options, |_| ()).unwrap();
}

#[test]
fn a_drop_in_is_written_before_the_event() {
    let (node, events) = watched();
    let own = fs::read_to_string(node.conf("10-calico.conflist")).unwrap();
    let fields = Map::from_iter([("exclude_namespaces".to_owned(), Value::from(vec!["lab"]))]);
    let mut changed = dropping_in(&node);
    changed.entry = Entry::new(fields).unwrap();
    for settings in [dropping_in(&node), changed] {
        install(&settings, Duration::ZERO, |_| ()).unwrap();
        let events = events.read();
        let written = position(&events, "network", DROP_IN, ReadFlags::MOVED_TO);
        assert!(
            written < position(&events, "net.d", ".mesh-cni-", WRITE),
            "{events:#?}"
        );
    }
    assert_eq!(
        fs::read_to_string(node.conf("10-calico.conflist")).unwrap(),
        own
    );
    assert_eq!(fs::read_dir(&node.paths.conf_dir).unwrap().count(), 2);
}

#[test]
fn a_drop_in_is_removed_before_the_event_and_the_binary_after_it() {
    let (node, events) = watched();
    install(&dropping_in(&node), Duration::ZERO, |_| ()).unwrap();
    events.read();
    uninstall_all(&node);
    let events = events.read();
    let removed = position(&events, "network", DROP_IN, ReadFlags::DELETE);
    let event = position(&events, "net.d", ".mesh-cni-", WRITE);
    let binary = position(&events, "bin", "mesh-cni", ReadFlags::DELETE);
    assert!(removed < event && event < binary, "{events:#?}");
}

/// The run was killed between the removal and the event.
#[test]
fn an_interrupted_removal_is_finished_before_the_binary_is_removed() {
    let (node, events) = watched();
    install(&dropping_in(&node), Duration::ZERO, |_| ()).unwrap();
    fs::remove_file(node.paths.drop_in(NETWORK)).unwrap();
    fs::write(node.conf(".mesh-cni-a1b2c3.tmp"), "").unwrap();
    events.read();
    uninstall_all(&node);
    let events = events.read();
    let event = position(&events, "net.d", ".mesh-cni-", WRITE);
    let binary = position(&events, "bin", "mesh-cni", ReadFlags::DELETE);
    assert!(event < binary, "{events:#?}");
}

#[test]
fn a_change_to_another_mode_ends_with_an_event() {
    let (node, events) = watched();
    install(&dropping_in(&node), Duration::ZERO, |_| ()).unwrap();
    events.read();
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    let events = events.read();
    let removed = position(&events, "network", DROP_IN, ReadFlags::DELETE);
    assert!(
        removed < position(&events, "net.d", ".mesh-cni-", WRITE),
        "{events:#?}"
    );
}
