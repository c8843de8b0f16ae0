//! Install and uninstall with real files.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use mesh_cni_installer::{BinaryRemoval, UninstallOptions};
use mesh_cni_installer::{
    DiskError, Error, Progress, Refusal, Step, apply, error_chain, install, plan_install,
    read_node, uninstall,
};

use crate::fixture::{BRIDGE, CALICO, stand_alone};
use crate::node::{Node, PLUGIN, mode};

const UNINSTALL_ALL: UninstallOptions = UninstallOptions {
    binary: BinaryRemoval::Always,
    grace: Duration::ZERO,
    restore: BTreeSet::new(),
};

#[test]
fn installing_twice_does_nothing_the_second_time() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let first = install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    assert_eq!(first.steps.len(), 2);
    let files = node.files();
    let second = install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    assert_eq!(second.steps, []);
    assert_eq!(node.files(), files);
}

#[test]
fn a_binary_is_replaced_by_rename() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let binary = node.paths.binary();
    fs::write(&binary, "an older one").unwrap();
    let older = fs::metadata(&binary).unwrap().ino();
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    assert_eq!(fs::read_to_string(&binary).unwrap(), PLUGIN);
    assert_ne!(fs::metadata(&binary).unwrap().ino(), older);
    assert_eq!(mode(&binary), 0o755);
}

#[test]
fn a_binary_with_a_wrong_mode_is_repaired() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    fs::set_permissions(node.paths.binary(), Permissions::from_mode(0o644)).unwrap();
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    assert_eq!(mode(&node.paths.binary()), 0o755);
}

#[test]
fn temporary_files_and_directories_are_not_networks() {
    let node = Node::with(&[("10-calico.conflist", CALICO), (".mesh-cni-x.tmp", "{")]);
    fs::write(node.paths.bin_dir.join(".mesh-cni-y.tmp"), "half").unwrap();
    fs::create_dir(node.conf("00-dropins.conf")).unwrap();
    let outcome = install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    let removed = outcome
        .steps
        .iter()
        .filter(|step| step.name() == "remove-leftover");
    assert_eq!(removed.count(), 2);
    assert!(!node.conf(".mesh-cni-x.tmp").exists());
}

#[test]
fn a_stand_alone_network_is_installed_and_removed() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let before = node.files();
    let mut settings = node.settings();
    settings.chaining = stand_alone().chaining;
    install(&settings, Duration::ZERO, |_| ()).unwrap();
    assert!(
        node.read("YYY-mesh-cni.conflist")
            .contains("\"standalone\": true")
    );
    assert_eq!(node.read("10-calico.conflist"), CALICO);
    assert_eq!(
        install(&settings, Duration::ZERO, |_| ()).unwrap().steps,
        []
    );
    uninstall(&node.paths, &UNINSTALL_ALL, |_| ()).unwrap();
    assert_eq!(node.files(), before);
}

#[test]
fn install_waits_for_a_list() {
    let node = Node::new();
    let mut reasons = Vec::new();
    let day = Duration::from_secs(86_400);
    install(&node.settings(), day, |event| {
        if let Progress::Waiting(refusal) = event {
            reasons.push(refusal.to_string());
            fs::write(node.conf("10-calico.conflist"), CALICO).unwrap();
        }
    })
    .unwrap();
    let [reason] = &reasons[..] else {
        panic!("the reason is reported once: {reasons:?}");
    };
    assert!(
        reason.contains("contains no network configuration"),
        "{reason}"
    );
    assert!(node.load().contains("mesh-cni"));
}

#[test]
fn install_waits_until_the_file_is_the_pods_network() {
    for (name, text, reason) in [
        (
            "10-aws.conflist",
            include_str!("../node-files/truncated-10-aws.conflist"),
            "EOF while parsing a string at line",
        ),
        ("10-aws.conflist", "", "EOF while parsing a value"),
        ("10-aws.conflist", r#"{"name": "aws"}"#, "has no `plugins`"),
        (
            "99-loopback.conf",
            include_str!("../node-files/loopback-only-99-loopback.conf"),
            "has no plugin but `loopback`",
        ),
        (
            "200-loopback.conf",
            include_str!("../node-files/late-primary-200-loopback.conf"),
            "has no plugin but `loopback`",
        ),
        (
            "99-lo.conflist",
            r#"{"name": "lo", "plugins": [{"type": "loopback"}]}"#,
            "has no plugin but `loopback`",
        ),
    ] {
        let node = Node::with(&[(name, text)]);
        let mut waited = Vec::new();
        let day = Duration::from_secs(86_400);
        install(&node.settings(), day, |event| {
            if let Progress::Waiting(refusal) = event {
                waited.push(error_chain(refusal));
                let network = node.conf("10-aws.conflist");
                fs::write(network, CALICO).unwrap();
            }
        })
        .unwrap();
        assert!(
            matches!(&waited[..], [why] if why.contains(reason)),
            "{waited:?}"
        );
        assert!(node.load().contains("mesh-cni"));
        if name != "10-aws.conflist" {
            assert_eq!(node.read(name), text);
        }
    }
}

#[test]
fn without_a_wait_a_file_that_is_not_loaded_is_refused() {
    let node = Node::with(&[("10-calico.conflist", "{")]);
    let error = install(&node.settings(), Duration::ZERO, |_| ()).unwrap_err();
    assert!(
        matches!(error, Error::Refused(Refusal::InvalidConf { .. })),
        "{error}"
    );
    assert!(!node.paths.binary().exists());
}

#[test]
fn a_concurrent_change_is_not_overwritten() {
    for (name, text) in [("10-calico.conflist", CALICO), ("10-lab.conf", BRIDGE)] {
        let node = Node::with(&[(name, text)]);
        let state = read_node(&node.paths, Some(&node.plugin_binary())).unwrap();
        let plan = plan_install(&node.settings(), &state).unwrap();
        fs::write(node.conf(name), "changed").unwrap();
        let error = apply(&plan.steps, |_| ()).unwrap_err();
        assert!(matches!(error, DiskError::Changed { .. }), "{error}");
        assert_eq!(node.read(name), "changed");
        let files = node.files();
        let temporary = files
            .iter()
            .filter(|(path, ..)| path.to_string_lossy().ends_with(".tmp"));
        assert_eq!(temporary.count(), 0);
    }
}

#[test]
fn the_binary_stays_while_another_program_restores_the_entry() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    install(&node.settings(), Duration::ZERO, |_| ()).unwrap();
    let chained = node.read("10-calico.conflist");
    let options = UninstallOptions {
        grace: Duration::from_millis(1),
        ..UNINSTALL_ALL
    };
    let error = uninstall(&node.paths, &options, |event| {
        if let Progress::Done(Step::WriteList { .. }) = event {
            fs::write(node.conf("10-calico.conflist"), &chained).unwrap();
        }
    })
    .unwrap_err();
    assert!(matches!(error, Error::Contested(_)), "{error}");
    assert!(node.load().contains("mesh-cni"));
}

#[test]
fn a_missing_plugin_binary_is_refused() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    fs::remove_file(node.plugin_binary()).unwrap();
    let before = node.files();
    let error = install(&node.settings(), Duration::ZERO, |_| ()).unwrap_err();
    assert!(
        matches!(error, Error::Refused(Refusal::NoPluginBinary { .. })),
        "{error}"
    );
    assert_eq!(node.files(), before);
}
