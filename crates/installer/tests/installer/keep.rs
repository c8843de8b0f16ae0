//! `keep` repairs what other programs change.

use std::fs;

use mesh_cni_installer::ApiServer;

use crate::fixture::{CALICO, dropping_in, name_of, owned_first};
use crate::keeper::Keeper;
use crate::node::{Node, PLUGIN};

#[test]
fn changes_of_other_programs_are_repaired() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let keeper = Keeper::of(node.settings());
    keeper.until("in place");
    assert!(node.load().contains("mesh-cni"));

    fs::write(node.conf("10-calico.conflist"), CALICO).unwrap();
    keeper.until("write-list");
    keeper.until("in place");
    assert!(node.load().contains("mesh-cni"));

    fs::remove_file(node.paths.binary()).unwrap();
    keeper.until("write-binary");
    assert_eq!(fs::read_to_string(node.paths.binary()).unwrap(), PLUGIN);
    keeper.until("in place");

    let before = node.files();
    keeper.stop();
    assert_eq!(node.files(), before, "stopping changes nothing");
}

#[test]
fn a_recreated_list_gets_its_entry_again() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let keeper = Keeper::of(node.settings());
    keeper.until("in place");
    fs::remove_file(node.conf("10-calico.conflist")).unwrap();
    keeper.until("contains no network configuration");
    fs::write(node.conf("10-calico.conflist"), "{\"na").unwrap();
    keeper.until("cannot edit");
    fs::write(node.conf("10-calico.conflist"), CALICO).unwrap();
    keeper.until("write-list");
    assert!(node.load().contains("mesh-cni"));
    keeper.stop();
}

#[test]
fn a_directory_that_is_created_later_or_replaced_is_watched() {
    let node = Node::with(&[]);
    fs::remove_dir(&node.paths.conf_dir).unwrap();
    let keeper = Keeper::of(node.settings());
    keeper.until("does not exist");
    for _ in 0..2 {
        fs::create_dir(&node.paths.conf_dir).unwrap();
        fs::write(node.conf("10-calico.conflist"), CALICO).unwrap();
        keeper.until("in place");
        assert!(node.load().contains("mesh-cni"));
        fs::remove_dir_all(&node.paths.conf_dir).unwrap();
        keeper.until("does not exist");
    }
    keeper.stop();
}

#[test]
fn the_target_of_a_symbolic_link_is_watched() {
    let node = Node::with(&[]);
    let elsewhere = node.paths.run_dir.with_file_name("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.join("calico.conflist");
    fs::write(&target, CALICO).unwrap();
    std::os::unix::fs::symlink(&target, node.conf("10-calico.conflist")).unwrap();
    let keeper = Keeper::of(node.settings());
    keeper.until("in place");
    fs::write(&target, CALICO).unwrap();
    keeper.until("write-list");
    assert!(node.load().contains("mesh-cni"));
    keeper.stop();
}

#[test]
fn a_copy_is_updated_and_stays_if_its_original_is_removed() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let mut settings = node.settings();
    settings.chaining = owned_first().chaining;
    let keeper = Keeper::of(settings);
    keeper.until("in place");

    let changed = CALICO.replace("\"mtu\": 0", "\"mtu\": 1400");
    fs::write(node.conf("10-calico.conflist"), &changed).unwrap();
    keeper.until("write-list");
    assert!(node.read("02-mesh-cni.conflist").contains("1400"));
    keeper.until("in place");

    fs::remove_file(node.conf("10-calico.conflist")).unwrap();
    keeper.until("in place");
    assert!(node.load().contains("mesh-cni"));
    fs::write(node.conf("10-calico.conflist"), CALICO).unwrap();
    keeper.until("write-list");
    assert!(!node.read("02-mesh-cni.conflist").contains("1400"));
    assert_eq!(node.read("10-calico.conflist"), CALICO);
    keeper.stop();
}

#[test]
fn a_removed_drop_in_is_restored() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let mut settings = node.settings();
    settings.chaining = dropping_in().chaining;
    let keeper = Keeper::of(settings);
    keeper.until("in place");
    let drop_in = node.paths.drop_in("k8s-pod-network");
    fs::remove_file(&drop_in).unwrap();
    keeper.until("write-list");
    assert!(drop_in.exists());
    keeper.until("in place");
    // Removes the directory atomically: `keep` may write into it at any time.
    let removed = node.paths.run_dir.with_file_name("removed");
    fs::rename(drop_in.parent().unwrap(), removed).unwrap();
    keeper.until("write-list");
    assert!(drop_in.exists());
    keeper.stop();
}

#[test]
fn a_new_token_is_written_to_the_kubeconfig() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let mut settings = node.settings();
    settings.api_server = Some(ApiServer {
        host: "10.96.0.1".to_owned(),
        port: 443,
    });
    let account = settings.account_dir.clone();
    let mount = |version: &str| {
        // Like the kubelet: a directory per version, and a link that is replaced by rename.
        let data = account.join(version);
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("token"), version).unwrap();
        fs::write(data.join("ca.crt"), "ca").unwrap();
        let link = account.join("..data_tmp");
        std::os::unix::fs::symlink(version, &link).unwrap();
        fs::rename(&link, account.join("..data")).unwrap();
    };
    mount("..one");
    for name in ["token", "ca.crt"] {
        let to = format!("..data/{name}");
        std::os::unix::fs::symlink(to, account.join(name)).unwrap();
    }
    let keeper = Keeper::of(settings);
    keeper.until("in place");
    let kubeconfig = node.paths.kubeconfig();
    assert!(
        fs::read_to_string(&kubeconfig)
            .unwrap()
            .contains("\"..one\"")
    );
    mount("..two");
    keeper.until("write-kubeconfig");
    assert!(
        fs::read_to_string(&kubeconfig)
            .unwrap()
            .contains("\"..two\"")
    );
    keeper.until("in place");
    fs::remove_file(&kubeconfig).unwrap();
    keeper.until("write-kubeconfig");
    let events = keeper.stop();
    assert!(
        !events.iter().any(|line| line.contains("..two")),
        "{events:?}"
    );
}

/// Multus has a copy of the network without our entry: it calls the plugin only after it has read the
/// list again.
#[test]
fn a_stale_copy_of_multus_is_reported_until_it_is_written_again() {
    let multus =
        |network: &str| format!(r#"{{"name": "m", "type": "multus", "delegates": [{network}]}}"#);
    let node = Node::with(&[
        ("00-multus.conf", &multus(CALICO)),
        ("10-calico.conflist", CALICO),
    ]);
    let mut settings = node.settings();
    settings.conf_name = Some(name_of("10-calico.conflist"));
    let keeper = Keeper::of(settings);
    let seen = keeper.until("not called");
    assert!(!seen.contains(&"in place".to_owned()), "{seen:?}");
    let current = multus(&node.read("10-calico.conflist"));
    fs::write(node.conf("00-multus.conf"), current).unwrap();
    keeper.until("in place");
    fs::write(node.conf("00-multus.conf"), multus(CALICO)).unwrap();
    keeper.until("not called");
    keeper.stop();
}

#[test]
fn warnings_are_reported_when_they_change() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let keeper = Keeper::of(node.settings());
    keeper.until("in place");
    fs::write(node.conf("05-old.conflist"), "{").unwrap();
    keeper.until("1 warnings");
    fs::remove_file(node.paths.bin_dir.join("portmap")).unwrap();
    keeper.until("2 warnings");
    fs::write(node.paths.bin_dir.join("portmap"), "").unwrap();
    fs::remove_file(node.conf("05-old.conflist")).unwrap();
    keeper.until("0 warnings");
    keeper.stop();
}
