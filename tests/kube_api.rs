//! Proof that the API server of the tests is a real one: rights are checked, and it can be away.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use mesh_cni_tests::KubeApi;

const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules:
- {apiGroups: [''], resources: [pods], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects:
- {kind: ServiceAccount, name: reader, namespace: default}
";

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: lonely, namespace: default}
spec:
  nodeName: node
  containers: [{name: main, image: none}]
";

#[test]
fn a_service_account_may_do_what_its_role_says_and_nothing_else() {
    let api = KubeApi::start();
    api.apply(READER);
    api.apply(POD);
    let kubeconfig = api.kubeconfig_of("default", "reader");
    let asked = |words: &str| api.kubectl_as(&kubeconfig, words.split(' '), "");
    let seen = asked("get pods --field-selector spec.nodeName=node -o name");
    assert_eq!(seen.stdout, "pod/lonely\n", "{}", seen.stderr);
    for forbidden in ["delete pod lonely", "get secrets"] {
        let refused = asked(forbidden);
        assert_ne!(refused.code, 0, "{forbidden}");
        assert!(refused.stderr.contains("(Forbidden)"), "{}", refused.stderr);
    }
}

#[test]
fn a_server_that_is_away_comes_back_with_what_it_knew() {
    let mut api = KubeApi::start();
    api.apply(POD);
    let token = fs::read_to_string(api.kubeconfig()).expect("the kubeconfig is there");
    let asked =
        |api: &KubeApi| api.kubectl(["get", "pods", "-o", "name", "--request-timeout=2s"], "");

    api.pause_server();
    let silent = asked(&api);
    assert_ne!(silent.code, 0);
    assert!(!silent.stderr.contains("refused"), "{}", silent.stderr);
    api.resume_server();
    assert_eq!(asked(&api).stdout, "pod/lonely\n");

    api.stop_server();
    let refused = asked(&api);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("refused"), "{}", refused.stderr);
    api.start_server();
    assert_eq!(asked(&api).stdout, "pod/lonely\n");
    let now = fs::read_to_string(api.kubeconfig()).expect("the kubeconfig is there");
    assert_eq!(token, now, "credentials hold across a restart");
}

#[test]
fn a_test_that_panics_leaves_nothing_behind() {
    let mut directory = None;
    let panicked = catch_unwind(std::panic::AssertUnwindSafe(|| {
        let api = KubeApi::start();
        directory = api.kubeconfig().parent().map(Path::to_owned);
        panic!("as a failing test does");
    }));
    assert!(panicked.is_err());
    let directory = directory.expect("it had started");
    assert!(!directory.exists(), "{}", directory.display());
    assert_eq!(processes_that_name(&directory), Vec::<String>::new());
}

/// The command lines that hold this path.
fn processes_that_name(path: &Path) -> Vec<String> {
    let path = path.to_string_lossy();
    let processes = fs::read_dir("/proc").expect("the kernel lists processes");
    let lines = processes.filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(&*path)).collect()
}
