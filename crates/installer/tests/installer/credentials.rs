//! The kubeconfig: content, permissions and removal.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use mesh_cni_installer::{
    Account, ApiServer, Kubeconfig, NodeState, Refusal, Secret, Settings, Step, install,
    plan_install, uninstall,
};

use crate::fixture::{CALICO, installing, node, options, settings, uninstalling, with_binary};
use crate::node::{Node, mode};

fn with_api(mut settings: Settings) -> Settings {
    settings.api_server = Some(ApiServer {
        host: "fd00::1".to_owned(),
        port: 6443,
    });
    settings
}

fn account(token: &str) -> Account {
    Account {
        ca: "-----BEGIN CERTIFICATE-----\n".to_owned(),
        token: Secret::new(token),
    }
}

fn state(token: &str) -> NodeState {
    NodeState {
        account: Some(account(token)),
        ..node(&[("10-calico.conflist", CALICO)])
    }
}

fn written_kubeconfig(token: &str) -> Secret {
    let plan = plan_install(&with_api(settings()), &state(token)).unwrap();
    let mut texts = plan.steps.into_iter().filter_map(|step| match step {
        Step::WriteKubeconfig { text, .. } => Some(text),
        _ => None,
    });
    texts.next().unwrap()
}

fn existing(token: &str, mode: u32) -> Kubeconfig {
    let text = written_kubeconfig(token);
    Kubeconfig { mode, text }
}

#[test]
fn the_kubeconfig_is_written_before_the_list() {
    crate::assert_snapshot!(
        "kubeconfig-written",
        "binary, kubeconfig, list; the text does not contain the token",
        installing(&with_api(settings()), &state("hush"))
    );
    crate::assert_snapshot!(
        "kubeconfig",
        "server with an IPv6 address in brackets, certificates embedded, token trimmed",
        written_kubeconfig("hush\n").expose()
    );
}

#[test]
fn it_is_written_again_if_token_or_mode_differ() {
    let kubeconfig_steps = |kubeconfig| {
        let state = NodeState {
            kubeconfig: Some(kubeconfig),
            ..with_binary(state("new"))
        };
        let plan = plan_install(&with_api(settings()), &state).unwrap();
        let names = plan.steps.iter().map(Step::name);
        names.filter(|name| *name == "write-kubeconfig").count()
    };
    assert_eq!(kubeconfig_steps(existing("old", 0o600)), 1);
    assert_eq!(kubeconfig_steps(existing("new", 0o644)), 1);
    assert_eq!(kubeconfig_steps(existing("new", 0o600)), 0);
}

#[test]
fn an_unneeded_kubeconfig_is_removed_after_the_list_is_written() {
    let state = NodeState {
        kubeconfig: Some(existing("old", 0o600)),
        ..with_binary(state("old"))
    };
    crate::assert_snapshot!(
        "kubeconfig-unwanted",
        "the list is written before the kubeconfig is removed",
        installing(&settings(), &state)
    );
    crate::assert_snapshot!(
        "uninstall-kubeconfig",
        "a wait for the runtime before kubeconfig and directory are removed",
        uninstalling(&NodeState {
            run_files: vec!["/run/mesh-cni/agent.sock".into()],
            ..chained(state)
        })
    );
}

fn chained(state: NodeState) -> NodeState {
    let text = crate::fixture::written(&settings(), &state, "10-calico.conflist");
    NodeState {
        confs: node(&[("10-calico.conflist", &text)]).confs,
        ..state
    }
}

#[test]
fn a_missing_account_is_refused() {
    let refusal = plan_install(
        &with_api(settings()),
        &node(&[("10-calico.conflist", CALICO)]),
    )
    .unwrap_err();
    assert!(matches!(refusal, Refusal::NoAccount), "{refusal}");
}

#[test]
fn only_the_owner_can_read_it_and_uninstall_removes_its_directory() {
    let node = Node::with(&[("10-calico.conflist", CALICO)]);
    let before = node.files();
    let settings = with_api(node.settings());
    fs::create_dir(&settings.account_dir).unwrap();
    fs::write(settings.account_dir.join("ca.crt"), "ca").unwrap();
    fs::write(settings.account_dir.join("token"), "one").unwrap();
    install(&settings, Duration::ZERO, |_| ()).unwrap();

    let kubeconfig = node.paths.kubeconfig();
    assert_eq!(mode(&kubeconfig), 0o600);
    assert_eq!(mode(&node.paths.run_dir), 0o700);
    assert!(fs::read_to_string(&kubeconfig).unwrap().contains("\"one\""));

    fs::write(settings.account_dir.join("token"), "two").unwrap();
    fs::set_permissions(&kubeconfig, Permissions::from_mode(0o666)).unwrap();
    install(&settings, Duration::ZERO, |_| ()).unwrap();
    assert!(fs::read_to_string(&kubeconfig).unwrap().contains("\"two\""));
    assert_eq!(mode(&kubeconfig), 0o600);

    let mut at_once = options();
    at_once.grace = Duration::ZERO;
    uninstall(&node.paths, &at_once, |_| ()).unwrap();
    assert!(!node.paths.run_dir.exists());
    let names = |files: Vec<(std::path::PathBuf, u32, Vec<u8>)>| -> Vec<_> {
        files
            .into_iter()
            .map(|(path, mode, _)| (path, mode))
            .collect()
    };
    assert_eq!(names(node.files()), names(before));
}
