//! What happens to who follows the remedy of a refusal: the plugin is in the list that the runtime loads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use mesh_cni_installer::{
    ApiServer, Blocked, Chaining, Installation, Note, Peer, Settings, error_chain, install, status,
};

use crate::assert_snapshot;
use crate::fixture::{CALICO, name_of};
use crate::node::Node;
use crate::runtime_choice::nested;

/// A refusal: the files of the node, the change that causes it, part of its remedy, and what follows it.
struct Case {
    files: &'static [(&'static str, &'static str)],
    cause: fn(&Node, &mut Settings),
    remedy: &'static str,
    follow: fn(&Node, &mut Settings),
}

const LIST: &[(&str, &str)] = &[("10-calico.conflist", CALICO)];

const ISTIO: &[(&str, &str)] = &[(
    "10-a.conflist",
    r#"{"name":"k8s","plugins":[{"type":"calico"},{"type":"istio-cni"}]}"#,
)];

const CASES: &[Case] = &[
    Case {
        files: &[],
        cause: |node, _| fs::write(node.conf("10-a.conflist"), nested(200)).unwrap(),
        remedy: "remove the deeply nested value",
        follow: |node, _| fs::write(node.conf("10-a.conflist"), CALICO).unwrap(),
    },
    Case {
        files: LIST,
        cause: |_, settings| settings.plugin_binary = "/missing/mesh-cni".into(),
        remedy: "--plugin-binary",
        follow: |node, settings| settings.plugin_binary = node.plugin_binary(),
    },
    Case {
        files: LIST,
        cause: |_, settings| settings.paths.bin_dir = "/missing/bin".into(),
        remedy: "--cni-bin-dir",
        follow: |node, settings| settings.paths.bin_dir.clone_from(&node.paths.bin_dir),
    },
    Case {
        files: LIST,
        cause: |_, settings| settings.paths.conf_dir = "/missing/net.d".into(),
        remedy: "--cni-conf-dir",
        follow: |node, settings| settings.paths.conf_dir.clone_from(&node.paths.conf_dir),
    },
    Case {
        files: &[],
        cause: |_, _| (),
        remedy: "install the cluster's network plugin first",
        follow: |node, _| fs::write(node.conf("10-calico.conflist"), CALICO).unwrap(),
    },
    Case {
        files: LIST,
        cause: |_, settings| settings.conf_name = Some(name_of("20-other.conflist")),
        remedy: "install the cluster's network plugin first",
        follow: |node, _| fs::write(node.conf("20-other.conflist"), CALICO).unwrap(),
    },
    Case {
        files: &[("10-a.conflist", r#"{"name":"a","plugins":[{"type":"cal"#)],
        cause: |_, _| (),
        remedy: "fix or remove the file",
        follow: |node, _| fs::write(node.conf("10-a.conflist"), CALICO).unwrap(),
    },
    Case {
        files: &[],
        cause: |node, _| symlink("gone", node.conf("10-a.conflist")).unwrap(),
        remedy: "fix or remove the file",
        follow: |node, _| fs::write(node.paths.conf_dir.join("gone"), CALICO).unwrap(),
    },
    Case {
        files: &[(
            "10-a.conflist",
            r#"{"name":"","plugins":[{"type":"calico"}]}"#,
        )],
        cause: |_, _| (),
        remedy: "set `name` in the file",
        follow: |node, _| {
            let named = node
                .read("10-a.conflist")
                .replace(r#""name":"""#, r#""name":"a""#);
            fs::write(node.conf("10-a.conflist"), named).unwrap();
        },
    },
    Case {
        files: &[(
            "10-a.conflist",
            r#"{"name":"a","plugins":[{"type":"mesh-cni"}]}"#,
        )],
        cause: |_, _| (),
        remedy: "install the cluster's network plugin first",
        follow: |node, _| fs::write(node.conf("10-a.conflist"), CALICO).unwrap(),
    },
    Case {
        files: &[("10-a.conflist", CALICO), ("02-mesh-cni.conflist", CALICO)],
        cause: |_, settings| settings.chaining = Chaining::OwnedFirst,
        remedy: "choose a file name that does not exist",
        follow: |_, settings| settings.owned_name = name_of("01-mesh-cni.conflist"),
    },
    Case {
        files: &[("01-a.conflist", CALICO)],
        cause: |_, settings| settings.chaining = Chaining::OwnedFirst,
        remedy: "--owned-cni-config-filename",
        follow: |_, settings| settings.owned_name = name_of("00-mesh-cni.conflist"),
    },
    Case {
        files: ISTIO,
        cause: |_, _| (),
        remedy: "--replace-istio-cni",
        follow: |_, settings| settings.replace = BTreeSet::from([Peer::IstioCni]),
    },
    Case {
        files: ISTIO,
        cause: |_, settings| settings.chaining = Chaining::DropIn,
        remedy: "use --mode chained with --replace-istio-cni",
        follow: |_, settings| {
            settings.chaining = Chaining::Chained;
            settings.replace = BTreeSet::from([Peer::IstioCni]);
        },
    },
    Case {
        files: LIST,
        cause: |_, settings| {
            let server = ("10.96.0.1".to_owned(), 443);
            settings.api_server = Some(ApiServer {
                host: server.0,
                port: server.1,
            });
        },
        remedy: "mount the service account's token",
        follow: |_, settings| {
            fs::create_dir(&settings.account_dir).unwrap();
            for name in ["token", "ca.crt"] {
                fs::write(settings.account_dir.join(name), name).unwrap();
            }
        },
    },
];

#[test]
fn who_follows_a_remedy_has_the_plugin_installed() {
    let mut refusals = String::new();
    for case in CASES {
        let node = Node::with(case.files);
        let mut settings = node.settings();
        (case.cause)(&node, &mut settings);
        let before = confs(&node);
        let refusal = install(&settings, Duration::ZERO, |_| ()).unwrap_err();
        let remedy = refusal.remedy();
        assert!(remedy.contains(case.remedy), "{refusal}: {remedy}");
        let root = node.paths.bin_dir.parent().unwrap().to_string_lossy();
        let message = format!("{}\nhint: {remedy}\n\n", error_chain(&refusal));
        refusals += &message.replace(&*root, "/node");
        assert_eq!(confs(&node), before, "{refusal}: nothing is changed");
        (case.follow)(&node, &mut settings);
        assert_installed(&node, &settings);
    }
    assert_snapshot!(
        "refusals",
        "each hint is true of its message, and following it is harmless",
        refusals
    );
}

/// The warnings of `install`, `uninstall`, `status` and the agent.
#[test]
fn every_warning_says_what_to_do() {
    let list = PathBuf::from("/etc/cni/net.d/10-calico.conflist");
    let ignored = |name: &str, blocks| Note::Ignored {
        path: Path::new("/etc/cni/net.d").join(name),
        why: "it is a link to a missing file".to_owned(),
        blocks,
    };
    let warnings = [
        ignored("05-old.conflist", Some(Blocked::EveryNetwork)),
        ignored("05-old.conflist", Some(Blocked::OwnNetwork)),
        Note::PluginMissing {
            path: list.clone(),
            plugin: "calico".to_owned(),
            bin_dir: "/opt/cni/bin".into(),
        },
        Note::DropInBroken {
            list: list.clone(),
            path: "/etc/cni/net.d/k8s/50-tuning.conf".into(),
            why: "field `type` is missing, expected a non-empty string".to_owned(),
        },
        Note::ListUnused {
            path: list.clone(),
            network: "k8s".to_owned(),
            used: "crio".to_owned(),
        },
        Note::StaleNetwork {
            conf: "/etc/cni/net.d/00-multus.conf".into(),
            network: "k8s".to_owned(),
        },
    ];
    assert!(warnings.iter().all(Note::is_warning));
    assert!(!ignored("99-old.conflist", None).is_warning());
    let restored = Note::PeerFileMissing {
        path: list,
        peer: Peer::IstioCni,
        file: "binary",
    };
    let all = warnings.iter().chain([&restored]);
    assert_snapshot!(
        "warnings",
        "each says what does not work and, if it is not the node's own matter, what to do",
        all.map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
}

/// The other half of several remedies: `--wait`.
#[test]
fn who_waits_instead_has_the_plugin_installed() {
    for (file, text) in [
        ("README", ""),
        ("10-calico.conflist", r#"{"name":"k8s","plug"#),
        ("99-loopback.conf", r#"{"name":"lo","type":"loopback"}"#),
        (
            "10-calico.conflist",
            r#"{"name":"","plugins":[{"type":"calico"}]}"#,
        ),
    ] {
        let node = Node::with(&[(file, text)]);
        let settings = node.settings();
        let list = node.conf("10-calico.conflist");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| install(&settings, Duration::from_secs(60), |_| ()));
            let new = node.conf("new.tmp");
            fs::write(&new, CALICO).unwrap();
            fs::rename(new, list).unwrap();
            waiting.join().unwrap().unwrap();
        });
        assert_installed(&node, &settings);
    }
}

/// The files of the configuration directory; a dangling link has no content.
fn confs(node: &Node) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let entries = fs::read_dir(&node.paths.conf_dir).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), fs::read(path).ok()))
        .collect()
}

fn assert_installed(node: &Node, settings: &Settings) {
    let installed = install(settings, Duration::ZERO, |_| ());
    installed.unwrap_or_else(|refusal| panic!("{refusal}: {}", refusal.remedy()));
    assert!(
        settings.conf_name.is_some() || node.load().contains("mesh-cni"),
        "{:?}",
        settings.chaining
    );
    let plugin = node.plugin_binary();
    let status = status(&settings.paths, settings.conf_name.as_ref(), Some(&plugin)).unwrap();
    assert_eq!(status.installation, Installation::Installed, "{status:?}");
}
