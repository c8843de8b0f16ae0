//! The API server of the tests is real: it checks rights, and it can be stopped.

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
metadata: {name: without-sidecar, namespace: default}
spec:
  nodeName: node
  containers: [{name: main, image: none}]
";

#[test]
fn a_service_account_has_the_rights_of_its_role_and_no_others() {
    let api = KubeApi::start();
    api.apply(READER);
    api.apply(POD);
    let kubeconfig = api.kubeconfig_of("default", "reader");
    let asked = |words: &str| api.kubectl_as(&kubeconfig, words.split(' '), "");
    let seen = asked("get pods --field-selector spec.nodeName=node -o name");
    assert_eq!(seen.stdout, "pod/without-sidecar\n", "{}", seen.stderr);
    for forbidden in ["delete pod without-sidecar", "get secrets"] {
        let refused = asked(forbidden);
        assert_ne!(refused.code, 0, "{forbidden}");
        assert!(refused.stderr.contains("(Forbidden)"), "{}", refused.stderr);
    }
}

#[test]
fn a_restarted_server_has_its_objects() {
    let mut api = KubeApi::start();
    api.apply(POD);
    let token = fs::read_to_string(api.kubeconfig()).expect("the kubeconfig exists");
    let asked =
        |api: &KubeApi| api.kubectl(["get", "pods", "-o", "name", "--request-timeout=2s"], "");

    api.pause_server();
    let silent = asked(&api);
    assert_ne!(silent.code, 0);
    assert!(!silent.stderr.contains("refused"), "{}", silent.stderr);
    api.resume_server();
    assert_eq!(asked(&api).stdout, "pod/without-sidecar\n");

    api.stop_server();
    let refused = asked(&api);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("refused"), "{}", refused.stderr);
    api.start_server();
    assert_eq!(asked(&api).stdout, "pod/without-sidecar\n");
    let now = fs::read_to_string(api.kubeconfig()).expect("the kubeconfig exists");
    assert_eq!(token, now, "credentials stay valid across a restart");
}

#[test]
fn a_panicking_test_leaves_no_processes() {
    let mut directory = None;
    let panicked = catch_unwind(std::panic::AssertUnwindSafe(|| {
        let api = KubeApi::start();
        directory = api.kubeconfig().parent().map(Path::to_owned);
        panic!("a failing test");
    }));
    assert!(panicked.is_err());
    let directory = directory.expect("the server had started");
    assert!(!directory.exists(), "{}", directory.display());
    assert_eq!(processes_that_name(&directory), Vec::<String>::new());
}

/// The command lines of processes that contain this path.
fn processes_that_name(path: &Path) -> Vec<String> {
    let path = path.to_string_lossy();
    let processes = fs::read_dir("/proc").expect("the kernel lists processes");
    let lines = processes.filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(&*path)).collect()
}
