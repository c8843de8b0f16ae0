//! The kubeconfig: where it is written, by whom it can be read, and when it goes.

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

fn found(token: &str) -> NodeState {
    NodeState {
        account: Some(account(token)),
        ..node(&[("10-calico.conflist", CALICO)])
    }
}

fn written_kubeconfig(token: &str) -> Secret {
    let plan = plan_install(&with_api(settings()), &found(token)).unwrap();
    let mut texts = plan.steps.into_iter().filter_map(|step| match step {
        Step::WriteKubeconfig { text, .. } => Some(text),
        _ => None,
    });
    texts.next().unwrap()
}

fn standing(token: &str, mode: u32) -> Kubeconfig {
    let text = written_kubeconfig(token);
    Kubeconfig { mode, text }
}

#[test]
fn the_list_comes_after_the_kubeconfig_that_it_names() {
    crate::assert_snapshot!(
        "kubeconfig-written",
        "binary, kubeconfig, list; the token is nowhere in this text",
        installing(&with_api(settings()), &found("hush"))
    );
    crate::assert_snapshot!(
        "kubeconfig",
        "server with an IPv6 address in brackets, certificates embedded, token trimmed",
        written_kubeconfig("hush\n").expose()
    );
}

#[test]
fn it_is_written_again_when_the_token_is_another_or_others_can_read_it() {
    let kubeconfig_steps = |kubeconfig| {
        let found = NodeState {
            kubeconfig: Some(kubeconfig),
            ..with_binary(found("new"))
        };
        let plan = plan_install(&with_api(settings()), &found).unwrap();
        let names = plan.steps.iter().map(Step::name);
        names.filter(|name| *name == "write-kubeconfig").count()
    };
    assert_eq!(kubeconfig_steps(standing("old", 0o600)), 1);
    assert_eq!(kubeconfig_steps(standing("new", 0o644)), 1);
    assert_eq!(kubeconfig_steps(standing("new", 0o600)), 0);
}

#[test]
fn one_that_is_not_asked_for_any_more_goes_after_the_list_that_named_it() {
    let found = NodeState {
        kubeconfig: Some(standing("old", 0o600)),
        ..with_binary(found("old"))
    };
    crate::assert_snapshot!(
        "kubeconfig-unwanted",
        "the list first, then the kubeconfig goes",
        installing(&settings(), &found)
    );
    crate::assert_snapshot!(
        "uninstall-kubeconfig",
        "the runtime is given time before kubeconfig and directory go",
        uninstalling(&NodeState {
            run_files: vec!["/run/mesh-cni/agent.sock".into()],
            ..chained(found)
        })
    );
}

fn chained(found: NodeState) -> NodeState {
    let text = crate::fixture::written(&settings(), &found, "10-calico.conflist");
    NodeState {
        confs: node(&[("10-calico.conflist", &text)]).confs,
        ..found
    }
}

#[test]
fn without_an_account_there_is_nothing_to_write() {
    let refusal = plan_install(
        &with_api(settings()),
        &node(&[("10-calico.conflist", CALICO)]),
    )
    .unwrap_err();
    assert!(matches!(refusal, Refusal::NoAccount), "{refusal}");
}

#[test]
fn on_a_disk_only_the_owner_can_read_it_and_it_goes_with_its_directory() {
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
