//! Lists that another plugin's configuration contains, as Multus writes them.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use mesh_cni_installer::{
    Binary, BinaryRemoval, Chaining, ConfName, Installation, NestedEntry, NodePaths, NodeState,
    Note, Problem, Progress, Refusal, Sandboxes, Step, UninstallOptions, assess, install,
    plan_binary_repair, plan_install, plan_uninstall, status, uninstall,
};
use serde_json::{Value, json};

use crate::assert_snapshot;
use crate::fixture::{
    CALICO, dropping_in, node, owned_first, settings, uninstalling_as, with_binary, with_drop_in,
    written,
};
use crate::node::Node;

/// The network's list with our entry.
pub(crate) const CHAINED: &str = r#"{"name": "k8s-pod-network", "cniVersion": "0.3.1",
  "plugins": [{"type": "calico"}, {"type": "mesh-cni"}]}"#;

/// As [`CHAINED`], without our entry.
pub(crate) const CLEAN: &str = r#"{"name": "k8s-pod-network", "cniVersion": "0.3.1",
  "plugins": [{"type": "calico"}]}"#;

pub(crate) const ENTRY: &str = r#"{"type": "mesh-cni"}"#;

/// Files that Multus wrote.
const MULTUS: &str = include_str!("../inputs/multus-nests-our-entry.conf");
const STALE_MULTUS: &str = include_str!("../inputs/multus-without-our-entry.conf");

/// What a meta-plugin's file contains, and where it names us.
pub(crate) fn nesting_files() -> [(&'static str, String, Option<&'static str>); 7] {
    let network: Value = serde_json::from_str(CHAINED).unwrap();
    let multus = json!({"type": "multus", "name": "m", "delegates": [network]});
    let list = json!({"name": "m", "cniVersion": "1.0.0", "plugins": [multus]});
    // Multus in a list that has its own entry at the end.
    let second = json!({"name": "m", "plugins": [multus, {"type": "mesh-cni"}]});
    // One delegate, as flannel and others have it; Go accepts keys in any case.
    let single = json!({"name": "m", "type": "flannel", "delegate": {"Type": "mesh-cni"}});
    let twice = json!({"name": "m", "plugins": [{"type": "multus", "delegates": [{
        "type": "multus", "name": "inner", "delegates": [network]}]}]});
    [
        (
            "00-multus.conf",
            multus.to_string(),
            Some("delegates[0].plugins[1]"),
        ),
        (
            "00-multus.conflist",
            list.to_string(),
            Some("plugins[0].delegates[0].plugins[1]"),
        ),
        (
            "00-a.conflist",
            second.to_string(),
            Some("plugins[0].delegates[0].plugins[1]"),
        ),
        ("00-flannel.conf", single.to_string(), Some("delegate")),
        (
            "00-twice.conflist",
            twice.to_string(),
            Some("plugins[0].delegates[0].delegates[0].plugins[1]"),
        ),
        (
            "00-real.conf",
            MULTUS.to_owned(),
            Some("delegates[0].plugins[2]"),
        ),
        (
            "00-broken.conflist",
            CHAINED[..90].to_owned() + "mesh-cni",
            None,
        ),
    ]
}

/// Without sandboxes.
fn unused(confs: &[(&str, &str)]) -> NodeState {
    NodeState {
        sandboxes: Sandboxes::Counted(0),
        ..with_binary(node(confs))
    }
}

#[test]
fn the_binary_stays_as_a_pass_through_while_another_plugin_names_it() {
    let paths = NodePaths::default();
    for (name, text, at) in nesting_files() {
        let state = unused(&[(name, &text), ("10-calico.conflist", CHAINED)]);
        for binary in [BinaryRemoval::WhenUnused, BinaryRemoval::Always] {
            let options = UninstallOptions {
                binary,
                ..UninstallOptions::default()
            };
            let plan = plan_uninstall(&paths, &state, &options);
            let names: Vec<_> = plan.steps.iter().map(Step::name).collect();
            assert_eq!(names.first(), Some(&"write-list"), "{name}");
            assert_eq!(names[names.len() - 2..], ["await-reload", "write-mark"]);
            let by = NestedEntry {
                conf: paths.conf(&ConfName::new(name).unwrap()),
                at: at.map(str::to_owned),
            };
            let path = paths.binary();
            let is_ignored = |note: &Note| matches!(note, Note::Ignored { .. });
            let notes: Vec<_> = plan
                .notes
                .into_iter()
                .filter(|note| !is_ignored(note))
                .collect();
            assert_eq!(notes, [Note::BinaryNamed { path, by }]);
        }
    }
}

#[test]
fn an_uninstallation_beside_multus() {
    let [(name, text, _), ..] = nesting_files();
    assert_snapshot!(
        "uninstall-nested",
        "the network's own list is edited, Multus's file is not; the binary stays as a pass-through, and a note names the file and the position",
        uninstalling_as(
            &unused(&[(name, &text), ("10-calico.conflist", CHAINED)]),
            &UninstallOptions::default()
        )
    );
}

#[test]
fn a_copy_that_is_removed_needs_no_binary() {
    let [(_, text, _), ..] = nesting_files();
    let mut copy: Value = serde_json::from_str(&text).unwrap();
    copy["mesh-cni/copy-of"] = "10-calico.conflist".into();
    copy["plugins"] = json!([{"type": "calico"}, {"type": "mesh-cni"}]);
    let state = unused(&[
        ("02-mesh-cni.conflist", &copy.to_string()),
        ("10-calico.conflist", CLEAN),
    ]);
    let plan = plan_uninstall(&NodePaths::default(), &state, &UninstallOptions::default());
    assert_eq!(plan.steps.last().unwrap().name(), "remove-binary");
}

#[test]
fn a_missing_binary_that_another_plugin_names_is_written_at_once() {
    for (name, text, _) in nesting_files() {
        let state = NodeState {
            binary: Binary::Missing,
            ..node(&[(name, &text)])
        };
        let steps = plan_binary_repair(&settings(), &state).steps;
        let names: Vec<_> = steps.iter().map(Step::name).collect();
        assert_eq!(names, ["write-binary"], "{name}");
    }
}

#[test]
fn multus_may_write_its_file_again_during_the_pause() {
    let [(name, text, _), ..] = nesting_files();
    let node = Node::with(&[(name, &text), ("10-calico.conflist", CHAINED)]);
    fs::write(node.paths.binary(), "").unwrap();
    fs::create_dir(node.paths.cache_dir.join("results")).unwrap();
    let options = UninstallOptions {
        grace: Duration::from_millis(1),
        ..UninstallOptions::default()
    };
    let outcome = uninstall(&node.paths, &options, |event| {
        if let Progress::Done(Step::WriteList { .. }) = event {
            let again = text.replace(r#",{"type":"mesh-cni"}"#, "");
            assert_ne!(again, text);
            fs::write(node.conf(name), again).unwrap();
        }
    })
    .unwrap();
    assert!(!node.paths.binary().exists());
    assert_eq!(outcome.notes, []);
}

#[test]
fn installing_again_ends_the_pass_through() {
    let [(name, text, _), ..] = nesting_files();
    let node = Node::with(&[(name, &text), ("10-calico.conflist", CLEAN)]);
    let mark = node.paths.uninstalled_mark();
    let mut settings = node.settings();
    settings.conf_name = Some(ConfName::new("10-calico.conflist").unwrap());
    install(&settings, Duration::ZERO, |_| ()).unwrap();
    let options = UninstallOptions {
        grace: Duration::ZERO,
        ..UninstallOptions::default()
    };
    uninstall(&node.paths, &options, |_| ()).unwrap();
    assert!(mark.exists() && node.paths.binary().exists());
    let stopped = status(&node.paths, None, None).unwrap();
    assert_eq!(stopped.installation, Installation::Partly);
    assert_eq!(stopped.problems, [Problem::Uninstalled(mark.clone())]);
    install(&settings, Duration::ZERO, |_| ()).unwrap();
    assert!(!mark.exists());
    // Multus has written its file again, so nothing is left.
    uninstall(&node.paths, &options, |_| ()).unwrap();
    fs::write(node.conf(name), CLEAN).unwrap();
    fs::create_dir(node.paths.cache_dir.join("results")).unwrap();
    uninstall(&node.paths, &options, |_| ()).unwrap();
    assert!(!mark.exists() && !node.paths.binary().exists());
}

#[test]
fn status_says_whether_the_runtime_reaches_the_entry() {
    let multus = |network: &str| {
        let network: Value = serde_json::from_str(network).unwrap();
        json!({"type": "multus", "name": "m", "delegates": [network]}).to_string()
    };
    let (nesting, outdated, other) = (multus(CHAINED), multus(CLEAN), multus(CALICO));
    let by_file =
        r#"{"type": "multus", "name": "m", "clusterNetwork": "/host/etc/cni/net.d/10.conflist"}"#;
    let by_name = r#"{"type": "multus", "name": "m", "clusterNetwork": "k8s-pod-network"}"#;
    let cases: [(&str, &str, &str); 6] = [
        ("Multus nests our entry", &nesting, CHAINED),
        (
            "Multus nests our entry, the list was rewritten",
            &nesting,
            CLEAN,
        ),
        ("Multus has an outdated copy", &outdated, CHAINED),
        (
            "Multus has an outdated copy, not ours to update",
            &other,
            CLEAN,
        ),
        ("Multus reads the list by file", by_file, CHAINED),
        ("Multus reads the list by name", by_name, CHAINED),
    ];
    let mut text = String::new();
    let named = ConfName::new("10.conflist").unwrap();
    for (case, first, second) in cases {
        for requested in [None, Some(&named)] {
            let state = with_binary(node(&[("00-multus.conf", first), ("10.conflist", second)]));
            let suffix = requested.map_or("", |_| ", 10.conflist requested");
            write_status(&mut text, &format!("{case}{suffix}"), requested, &state);
        }
    }
    let dropped = |first: &str| {
        let confs = node(&[("00-multus.conf", first), ("10.conflist", CLEAN)]);
        with_binary(with_drop_in(confs, "k8s-pod-network", Some(ENTRY)))
    };
    let real = with_binary(node(&[
        ("00-multus.conf", STALE_MULTUS),
        ("10.conflist", CHAINED),
    ]));
    write_status(&mut text, "a real file with a stale copy", None, &real);
    write_status(
        &mut text,
        "a drop-in beside a stale copy",
        None,
        &dropped(&outdated),
    );
    write_status(
        &mut text,
        "a drop-in that Multus reads",
        None,
        &dropped(by_file),
    );
    assert_snapshot!(
        "status-nested",
        "where Multus nests or reads our entry: installed, and nested entries are listed. Where it has a copy without: `not redirecting`",
        text
    );
}

fn write_status(text: &mut String, case: &str, requested: Option<&ConfName>, state: &NodeState) {
    let status = assess(&NodePaths::default(), requested, state);
    writeln!(text, "{case}: {}", status.installation).unwrap();
    for problem in status.problems {
        writeln!(text, "  {problem}").unwrap();
    }
    for entry in status.nested {
        writeln!(text, "  nested: {entry}").unwrap();
    }
}

/// A copy of the network's list, as Multus has it where it found the copy first.
#[test]
fn a_copy_that_multus_calls_stays_installed() {
    let clean = node(&[("10-calico.conflist", CLEAN)]);
    let copy = written(&owned_first(), &clean, "02-mesh-cni.conflist");
    let nested: Value = serde_json::from_str(&copy).unwrap();
    let multus = json!({"type": "multus", "name": "m", "delegates": [nested]}).to_string();
    let state = with_binary(node(&[
        ("00-multus.conf", &multus),
        ("02-mesh-cni.conflist", &copy),
        ("10-calico.conflist", CLEAN),
    ]));
    assert_eq!(plan_install(&owned_first(), &state).unwrap().steps, []);
    let status = assess(&NodePaths::default(), None, &state);
    assert_eq!(status.installation, Installation::Installed, "{status:?}");
    // The copy still follows the network's list, not Multus's.
    let mut changed = state.clone();
    changed.confs[2].text = CLEAN.replace("0.3.1", "1.0.0").into();
    let copy = written(&owned_first(), &changed, "02-mesh-cni.conflist");
    assert!(copy.contains("1.0.0") && !copy.contains("multus"), "{copy}");
}

#[test]
fn a_copy_beside_multus_needs_a_name_that_multus_ignores() {
    let network: Value = serde_json::from_str(CLEAN).unwrap();
    let multus = json!({"type": "multus", "name": "m", "delegates": [network]}).to_string();
    let by_name = r#"{"type": "multus", "name": "m", "clusterNetwork": "k8s-pod-network"}"#;
    let list = format!(r#"{{"name": "m", "plugins": [{multus}]}}"#);
    for (file, text) in [
        ("00-multus.conf", multus.as_str()),
        ("00-multus.conflist", list.as_str()),
        ("05-other.conf", by_name),
    ] {
        let state = with_binary(node(&[(file, text), ("10-calico.conflist", CLEAN)]));
        for name in [
            "02-mesh-cni.conflist",
            "00-a.conflist",
            "00-multus.a.conflist",
        ] {
            let mut settings = owned_first();
            settings.owned_name = ConfName::new(name).unwrap();
            let refusal = plan_install(&settings, &state).unwrap_err();
            assert!(
                matches!(refusal, Refusal::CopyBesideMultus { .. }),
                "{file} {name}: {refusal}"
            );
        }
        let mut settings = owned_first();
        settings.owned_name = ConfName::new("00-multus.conf-mesh-cni.conflist").unwrap();
        let plan = plan_install(&settings, &state);
        // It sorts after this one, so no name is suitable.
        assert_eq!(plan.is_err(), file == "00-multus.conf", "{plan:?}");
    }
}

#[test]
fn an_installation_beside_a_stale_copy_says_that_nothing_is_redirected() {
    let stale = json!({"name": "m", "type": "multus", "delegates": [
        {"name": "k8s-pod-network", "plugins": [{"type": "calico"}]}]});
    let confs = node(&[
        ("00-multus.conf", &stale.to_string()),
        ("10-calico.conflist", CLEAN),
    ]);
    let mut chained = settings();
    chained.chaining = Chaining::Chained;
    for mut settings in [chained, dropping_in()] {
        settings.conf_name = Some(ConfName::new("10-calico.conflist").unwrap());
        let plan = plan_install(&settings, &with_binary(confs.clone())).unwrap();
        let is_stale = |note: &Note| matches!(note, Note::StaleNetwork { .. });
        assert!(plan.notes.iter().any(is_stale), "{:?}", plan.notes);
        settings.conf_name = None;
        let plan = plan_install(&settings, &with_binary(confs.clone()));
        assert!(!plan.is_ok_and(|plan| plan.notes.iter().any(is_stale)));
    }
}
