//! Failures of the API server, the agent's token and the node's clock: pods that the agent knows
//! still start, and the agent recovers when the cause is gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_tests::{Agent, KubeApi, MANIFESTS};
use serde_json::{Value, json};

use crate::node::{Node, PLAIN, passed};

#[test]
fn with_the_api_server_down_known_pods_start_and_others_wait() {
    let mut node = Node::start();
    let uid = node.pod("plain", PLAIN);
    node.api.stop_server();
    assert!(passed(&node.add("plain", &uid)));
    let unknown = node.add("other", "u-1");
    assert_eq!(unknown["code"], 11, "{unknown}");
    node.api.start_server();
    let later = node.pod("later", PLAIN);
    assert!(passed(&node.add("later", &later)));
}

#[test]
fn with_the_api_server_hanging_known_pods_start_and_the_watch_resumes() {
    let mut node = Node::start();
    let uid = node.pod("plain", PLAIN);
    let requests = |node: &Node| {
        let all = node.api.requests_of("kube-system", "mesh-cni").into_iter();
        all.filter(|request| !request.starts_with("get "))
            .collect::<Vec<_>>()
    };
    let before = requests(&node);
    node.api.pause_server();
    assert!(passed(&node.add("plain", &uid)));
    let unknown = node.add("other", "u-1");
    assert_eq!(unknown["code"], 11, "{unknown}");
    assert!(node.agent.client().has_received_its_pods());
    node.api.resume_server();
    let later = node.pod("later", PLAIN);
    assert!(passed(&node.add("later", &later)));
    assert_eq!(
        requests(&node),
        before,
        "the watch resumes without a new list"
    );
}

#[test]
fn a_new_token_is_used_and_an_expired_one_is_reported() {
    let api = KubeApi::start();
    api.apply(MANIFESTS);
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    bind_token(&api, "first", &token);
    let kubeconfig = with_token_file(&api, &token, directory.path());
    let command = Agent::command(&kubeconfig, directory.path());
    let mut agent = Agent::spawn(&command, directory.path());
    agent.wait_for_pods();
    let mut node = Node {
        agent,
        api,
        directory,
    };
    let plain = node.pod("plain", PLAIN);

    // The token expires with the secret that it is bound to, and there is no new one yet.
    end_token(&node.api, "first");
    restart(&mut node.api);
    node.agent.wait_for_log("answered 401 Unauthorized");
    assert!(passed(&node.add("plain", &plain)));

    bind_token(&node.api, "second", &token);
    let later = node.pod("later", PLAIN);
    assert!(passed(&node.add("later", &later)));
}

#[test]
fn a_wrong_clock_is_reported_and_a_jumping_clock_does_no_harm() {
    let api = KubeApi::start();
    api.apply(MANIFESTS);
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    bind_token(&api, "first", &token);
    let kubeconfig = with_token_file(&api, &token, directory.path());
    let mut command = Agent::command(&kubeconfig, directory.path());
    let clock = Clock::of(&mut command, directory.path());

    // A machine without a battery starts at this time, before any certificate is valid.
    clock.set("@1970-01-02 00:00:00");
    let mut agent = Agent::spawn(&command, directory.path());
    agent.wait_for_log("not valid yet");
    clock.set("+0");
    agent.wait_for_pods();
    let mut node = Node {
        agent,
        api,
        directory,
    };
    for (jump, before, secret) in [("+400d", "first", "second"), ("-400d", "second", "third")] {
        clock.set(jump);
        bind_token(&node.api, secret, &token);
        end_token(&node.api, before);
        restart(&mut node.api);
        let uid = node.pod(secret, PLAIN);
        assert!(passed(&node.add(secret, &uid)), "{jump}");
    }
}

/// The wall clock of one program. The monotonic clock does not change, as when a machine's clock
/// is set.
struct Clock(PathBuf);

impl Clock {
    fn of(command: &mut Command, directory: &Path) -> Self {
        let file = directory.join("clock");
        command
            // The loader replaces `$LIB` with the name of the library directory.
            .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1")
            .env("FAKETIME_TIMESTAMP_FILE", &file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        Self(file)
    }

    /// Sets the clock, in the format of `faketime`.
    fn set(&self, time: &str) {
        let part = self.0.with_extension("part");
        fs::write(&part, time).unwrap();
        fs::rename(part, &self.0).unwrap();
    }
}

/// Writes a token that is valid as long as the secret exists, atomically as the kubelet does.
fn bind_token(api: &KubeApi, secret: &str, path: &Path) {
    api.must(&format!(
        "create secret generic {secret} --namespace=kube-system"
    ));
    let token = api.must(&format!(
        "create token mesh-cni --namespace=kube-system --bound-object-kind=Secret \
         --bound-object-name={secret}"
    ));
    let part = path.with_extension("part");
    fs::write(&part, token.trim()).unwrap();
    fs::rename(part, path).unwrap();
}

/// Invalidates the token that is bound to the secret.
fn end_token(api: &KubeApi, secret: &str) {
    api.must(&format!("delete secret {secret} --namespace=kube-system"));
}

/// A kubeconfig that reads its token from that file, as a pod does.
fn with_token_file(api: &KubeApi, token: &Path, directory: &Path) -> PathBuf {
    let mut kubeconfig: Value = api.kubeconfig_with("").parse().unwrap();
    kubeconfig["users"][0]["user"] = json!({"tokenFile": token});
    let path = directory.join("kubeconfig");
    fs::write(&path, kubeconfig.to_string()).unwrap();
    path
}

/// Restarts the API server, which closes its connections and clears its token cache.
fn restart(api: &mut KubeApi) {
    api.stop_server();
    api.start_server();
}
