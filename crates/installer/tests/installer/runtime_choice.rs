//! The entry is in the list that the runtime loads; files that no runtime loads are passed over.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use mesh_cni_installer::{
    BinaryRemoval, Chaining, Installation, Note, Refusal, UninstallOptions, install, plan_install,
    status, uninstall,
};

use crate::fixture::{
    BRIDGE, CALICO, dropping_in, name_of, node, owned_first, settings, stand_alone,
};
use crate::node::Node;

const UNINSTALL_ALL: UninstallOptions = UninstallOptions {
    binary: BinaryRemoval::Always,
    grace: Duration::ZERO,
    restore: BTreeSet::new(),
};

const LATE_PRIMARY: &str = include_str!("../node-files/late-primary-200-loopback.conf");

fn installation(node: &Node) -> Installation {
    let plugin = node.plugin_binary();
    status(&node.paths, None, Some(&plugin))
        .unwrap()
        .installation
}

/// Installs, asks for the status, and uninstalls; the number of ignored files.
fn round_trip(node: &Node) -> usize {
    let is_ignored = |note: &&Note| matches!(note, Note::Ignored { .. });
    let installed = install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    assert_eq!(installation(node), Installation::Installed);
    assert!(node.read("10-calico.conflist").contains("mesh-cni"));
    uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
    assert_eq!(node.read("10-calico.conflist"), CALICO);
    installed.notes.iter().filter(is_ignored).count()
}

#[test]
fn a_file_that_no_runtime_loads_changes_nothing() {
    for before in ["05", "99"] {
        for (name, content) in [
            ("empty.conflist", &b""[..]),
            (
                "truncated.conflist",
                include_bytes!("../node-files/truncated-10-aws.conflist"),
            ),
            (
                "number.conflist",
                include_bytes!("../node-files/unloadable-cniVersion-number-10-x.conflist"),
            ),
            ("a-list.conf", CALICO.as_bytes()),
            ("image.json", b"\x89PNG\x00\xff"),
        ] {
            let node = Node::with(&[("10-calico.conflist", CALICO)]);
            let path = node.conf(&format!("{before}-{name}"));
            fs::write(&path, content).unwrap();
            assert_eq!(round_trip(&node), 1, "{before}-{name}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }
}

#[test]
fn a_path_that_cannot_be_read_changes_nothing() {
    for name in ["05-a.conf", "99-a.conflist"] {
        let node = Node::with(&[("10-calico.conflist", CALICO)]);
        symlink("missing", node.conf(name)).unwrap();
        assert_eq!(round_trip(&node), 1);
        fs::remove_file(node.conf(name)).unwrap();
        symlink(&node.paths.bin_dir, node.conf(name)).unwrap();
        assert_eq!(round_trip(&node), 1);
        fs::remove_file(node.conf(name)).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(node.conf(name)).unwrap();
        assert_eq!(round_trip(&node), 1);
        drop(socket);
        fs::remove_file(node.conf(name)).unwrap();
        fs::write(node.conf(name), vec![b' '; (2 << 20) + 1]).unwrap();
        assert_eq!(round_trip(&node), 1);
    }
}

#[test]
fn a_file_that_is_not_utf8_is_loaded() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let old = include_bytes!("../node-files/bystander-99-old.conf");
    fs::write(node.conf("99-old.conf"), old).unwrap();
    assert_eq!(round_trip(&node), 0);
    assert_eq!(fs::read(node.conf("99-old.conf")).unwrap(), old);
}

#[test]
fn the_entry_moves_to_the_list_that_the_runtime_loads_now() {
    let podman = BRIDGE.replace("\"lab\"", "\"podman\"");
    let bridges = r#"{"name":"podman","plugins":[{"type":"bridge"},{"type":"portmap"}]}"#;
    for (name, text) in [
        ("87-podman.conflist", bridges),
        ("87-podman.conf", podman.as_str()),
        ("87-podman.json", podman.as_str()),
    ] {
        let node = Node::with(&[(name, text)]);
        install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
        assert!(node.load().contains("mesh-cni"));
        fs::write(node.conf("10-calico.conflist"), CALICO).unwrap();
        install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
        assert!(node.read("10-calico.conflist").contains("mesh-cni"));
        assert_eq!(node.read(name), text);
        uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
        let clean = Node::with(&[(name, text), ("10-calico.conflist", CALICO)]);
        assert_eq!(node.files().len(), clean.files().len());
        assert_eq!(node.read("10-calico.conflist"), CALICO);
    }
}

#[test]
fn loopback_is_not_the_network_of_pods() {
    let node = Node::with(&[("200-loopback.conf", LATE_PRIMARY)]);
    let refusal = install(&node.settings(), Duration::ZERO, |_| ()).unwrap_err();
    assert!(
        refusal.to_string().contains("no plugin but `loopback`"),
        "{refusal}"
    );
    fs::write(node.conf("10-calico.conflist"), CALICO).unwrap();
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    assert_eq!(node.read("200-loopback.conf"), LATE_PRIMARY);
    assert!(node.load().contains("mesh-cni"));
}

#[test]
fn a_linked_directory_of_a_network_is_used_and_kept() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let elsewhere = node.paths.run_dir.with_file_name("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let linked = node.conf("k8s-pod-network");
    symlink(&elsewhere, &linked).unwrap();
    let mut settings = node.settings();
    settings.chaining = Chaining::DropIn;
    install(&settings, Duration::ZERO, |_| ()).unwrap();
    assert_eq!(installation(&node), Installation::Installed);
    assert!(elsewhere.join("99-mesh-cni.conf").exists());
    assert_eq!(
        install(&settings, Duration::ZERO, |_| ()).unwrap().steps,
        []
    );
    uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert!(linked.is_symlink());
}

#[test]
fn what_a_runtime_would_not_load_is_not_installed() {
    for (text, field) in [
        (
            include_str!("../node-files/unloadable-cniVersion-number-10-x.conflist"),
            "cniVersion",
        ),
        (r#"{"name":1,"plugins":[{"type":"a"}]}"#, "name"),
        (
            r#"{"name":"x","disableCheck":0,"plugins":[{"type":"a"}]}"#,
            "disableCheck",
        ),
        (
            r#"{"name":"x","plugins":[{"type":"a","ipam":"b"}]}"#,
            "plugins[0].ipam",
        ),
    ] {
        let node = Node::with(&[("10-x.conflist", text)]);
        let refusal = install(&node.settings(), Duration::ZERO, |_| ()).unwrap_err();
        let message = mesh_cni_installer::error_chain(&refusal);
        assert!(message.contains(&format!("field `{field}`")), "{message}");
        let status = status(&node.paths, None, None).unwrap();
        assert_ne!(status.installation, Installation::Installed);
        assert!(status.problems[1].to_string().contains(field), "{status:?}");
        assert_eq!(node.read("10-x.conflist"), text);
    }
}

#[test]
fn a_closed_list_gets_no_drop_in() {
    let given = include_str!("../node-files/inlined-True-10-x.conflist");
    for value in [r#""True""#, "true", r#""tRuE""#] {
        let text = given.replace(r#""True""#, value);
        let refusal = plan_install(&dropping_in(), &node(&[("10-x.conflist", &text)])).unwrap_err();
        assert!(
            matches!(refusal, Refusal::DropInsUnsupported { .. }),
            "{refusal}"
        );
    }
    let open = given.replace(r#""True""#, r#""False""#);
    plan_install(&dropping_in(), &node(&[("10-x.conflist", &open)])).unwrap();
}

/// Whoever follows the remedy of a refusal has the plugin in the list that the runtime loads.
#[test]
fn following_a_remedy_installs_the_plugin() {
    let list = [("10-lab.conf", BRIDGE), ("10-lab.conflist", CALICO)];
    let refusal = plan_install(&settings(), &node(&list)).unwrap_err();
    assert!(matches!(refusal, Refusal::ListExists { .. }), "{refusal}");
    plan_install(&settings(), &node(&list[..1])).unwrap();

    let taken = [("02-mesh-cni.conflist", CALICO), ("10-a.conflist", CALICO)];
    let refusal = plan_install(&owned_first(), &node(&taken)).unwrap_err();
    assert!(matches!(refusal, Refusal::NotOurs { .. }), "{refusal}");
    let mut other = owned_first();
    other.owned_name = name_of("01-mesh-cni.conflist");
    plan_install(&other, &node(&taken)).unwrap();
    let mut taken = stand_alone();
    taken.conf_name = Some(name_of("10-a.conflist"));
    let network = node(&[("10-a.conflist", CALICO)]);
    plan_install(&taken, &network).unwrap_err();
    taken.conf_name = Some(name_of("20-a.conflist"));
    plan_install(&taken, &network).unwrap();

    let directory = node(&[("10-a.conflist", r#"{"name":"a"}"#)]);
    let refusal = plan_install(&settings(), &directory).unwrap_err();
    assert_eq!(refusal.remedy(), "use --mode drop-in");
    plan_install(&dropping_in(), &directory).unwrap();

    let single = node(&[("10-lab.conf", BRIDGE)]);
    let refusal = plan_install(&dropping_in(), &single).unwrap_err();
    assert_eq!(refusal.remedy(), "use --mode chained or --mode owned-first");
    for mode in [settings(), owned_first()] {
        plan_install(&mode, &single).unwrap();
    }
}

/// A list with this many levels of nested values.
pub(crate) fn nested(depth: usize) -> String {
    let inner = depth - 3;
    let deep = format!("{}{}", "[".repeat(inner), "]".repeat(inner));
    format!(r#"{{"name":"deep","plugins":[{{"type":"a","x":{deep}}}]}}"#)
}

/// Runtimes load it, so the entry must not go into a later file.
#[test]
fn a_first_list_that_is_nested_too_deeply_is_refused() {
    for depth in [128, 1000, 10_000] {
        let node = Node::with(&[
            ("05-deep.conflist", &nested(depth)),
            ("10-calico.conflist", CALICO),
        ]);
        let refusal = install(&node.settings(), Duration::ZERO, |_| ()).unwrap_err();
        let text = refusal.to_string();
        assert!(
            text.contains("05-deep.conflist` is nested deeper"),
            "{text}"
        );
        assert_eq!(
            refusal.remedy(),
            "remove the deeply nested value from the file"
        );
        assert_eq!(node.read("10-calico.conflist"), CALICO);
        let plugin = node.plugin_binary();
        let status = status(&node.paths, None, Some(&plugin)).unwrap();
        assert_ne!(status.installation, Installation::Installed);
        assert!(
            status.problems[1].to_string().contains("nested deeper"),
            "{status:?}"
        );
        assert_eq!(status.notes, []);
    }
    // Neither a deeper one nor a later one concerns the runtime's choice.
    for (name, depth) in [
        ("05-deep.conflist", 10_001),
        ("20-deep.conflist", 128),
        ("05-flat.conflist", 127),
    ] {
        let node = Node::with(&[(name, &nested(depth)), ("10-calico.conflist", CALICO)]);
        install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
        let edited = if depth == 127 {
            name
        } else {
            "10-calico.conflist"
        };
        assert!(node.read(edited).contains("mesh-cni"), "{name} {depth}");
    }
}

/// Multus reads the files of its directory in name order, up to the requested network.
#[test]
fn a_broken_file_before_a_network_of_our_own_is_a_warning() {
    let broken = include_str!("../node-files/truncated-10-aws.conflist");
    for (name, warned) in [("10-aws.conflist", true), ("ZZZ.conflist", false)] {
        let node = Node::with(&[(name, broken)]);
        let mut settings = node.settings();
        settings.chaining = Chaining::StandAlone;
        let installed = install(&settings, Duration::ZERO, |_| ()).unwrap();
        let notes = installed.notes.into_iter();
        let notes = notes.chain(status(&node.paths, None, None).unwrap().notes);
        let warnings: Vec<_> = notes.filter(Note::is_warning).collect();
        assert_eq!(warnings.len(), if warned { 2 } else { 0 }, "{warnings:?}");
        for warning in warnings {
            let text = warning.to_string();
            assert!(
                text.contains("pods that request that network do not start"),
                "{text}"
            );
        }
    }
}
