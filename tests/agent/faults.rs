//! Bad days of the API server, of the agent's token and of the node's clock: pods that the agent
//! knows start, and all is well once the cause has gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_tests::{Agent, AgentDoor, KubeApi, MANIFESTS};
use serde_json::{Value, json};

use crate::node::{Node, PLAIN, passed};

#[test]
fn with_the_api_server_away_known_pods_start_and_others_wait() {
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
fn with_the_api_server_hanging_known_pods_start_and_the_watch_goes_on_after() {
    let mut node = Node::start();
    let uid = node.pod("plain", PLAIN);
    let asked = |node: &Node| {
        let asked = node.api.asked_by("kube-system", "mesh-cni").into_iter();
        let of_all = asked.filter(|words| !words.starts_with("get "));
        of_all.collect::<Vec<_>>()
    };
    let before = asked(&node);
    node.api.pause_server();
    assert!(passed(&node.add("plain", &uid)));
    let unknown = node.add("other", "u-1");
    assert_eq!(unknown["code"], 11, "{unknown}");
    assert!(node.agent.door().knows_its_pods());
    node.api.resume_server();
    let later = node.pod("later", PLAIN);
    assert!(passed(&node.add("later", &later)));
    assert_eq!(asked(&node), before, "it hears on from where it was");
}

#[test]
fn a_token_that_is_changed_is_taken_and_one_that_ends_is_told() {
    let api = KubeApi::start();
    api.apply(MANIFESTS);
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    bind_token(&api, "first", &token);
    let kubeconfig = with_token_file(&api, &token, directory.path());
    let command = Agent::command(&kubeconfig, directory.path());
    let mut agent = Agent::begin(&command, directory.path());
    agent.wait_for("does not know its pods", AgentDoor::knows_its_pods);
    let mut node = Node {
        agent,
        api,
        directory,
    };
    let plain = node.pod("plain", PLAIN);

    // The token ends with what it is bound to, and nobody has brought another.
    end_token(&node.api, "first");
    again(&mut node.api);
    node.agent.wait_for("does not say why", |agent| {
        agent.log().contains("answered 401 Unauthorized")
    });
    assert!(passed(&node.add("plain", &plain)));

    bind_token(&node.api, "second", &token);
    let later = node.pod("later", PLAIN);
    assert!(passed(&node.add("later", &later)));
}

#[test]
fn a_clock_that_is_wrong_is_told_and_one_that_jumps_is_no_matter() {
    let api = KubeApi::start();
    api.apply(MANIFESTS);
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    bind_token(&api, "first", &token);
    let kubeconfig = with_token_file(&api, &token, directory.path());
    let mut command = Agent::command(&kubeconfig, directory.path());
    let clock = Clock::of(&mut command, directory.path());

    // A machine without a battery begins here, before any certificate is valid.
    clock.set("@1970-01-02 00:00:00");
    let mut agent = Agent::begin(&command, directory.path());
    agent.wait_for("does not say why", |agent| {
        agent.log().contains("not valid yet")
    });
    clock.set("+0");
    agent.wait_for("does not know its pods", AgentDoor::knows_its_pods);
    let mut node = Node {
        agent,
        api,
        directory,
    };
    for (jump, before, secret) in [("+400d", "first", "second"), ("-400d", "second", "third")] {
        clock.set(jump);
        bind_token(&node.api, secret, &token);
        end_token(&node.api, before);
        again(&mut node.api);
        let uid = node.pod(secret, PLAIN);
        assert!(passed(&node.add(secret, &uid)), "{jump}");
    }
}

/// The clock of a program, which is not that of the machine. What a program measures time by stays
/// as it is, as it does where a machine's clock is set.
struct Clock(PathBuf);

impl Clock {
    fn of(command: &mut Command, directory: &Path) -> Self {
        let file = directory.join("clock");
        command
            // The loader knows what the folder of libraries is called.
            .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1")
            .env("FAKETIME_TIMESTAMP_FILE", &file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        Self(file)
    }

    /// Sets it, as `faketime` writes times.
    fn set(&self, time: &str) {
        let part = self.0.with_extension("part");
        fs::write(&part, time).unwrap();
        fs::rename(part, &self.0).unwrap();
    }
}

/// Puts a token there that is valid as long as that secret is, in one step as the kubelet does.
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

/// Ends the token that is valid as long as that secret is.
fn end_token(api: &KubeApi, secret: &str) {
    api.must(&format!("delete secret {secret} --namespace=kube-system"));
}

/// A kubeconfig with the token of that file, as a pod has it.
fn with_token_file(api: &KubeApi, token: &Path, directory: &Path) -> PathBuf {
    let mut kubeconfig: Value = api.kubeconfig_with("").parse().unwrap();
    kubeconfig["users"][0]["user"] = json!({"tokenFile": token});
    let path = directory.join("kubeconfig");
    fs::write(&path, kubeconfig.to_string()).unwrap();
    path
}

/// Ends the API server and starts it anew: connections are gone, and what it remembered of tokens.
fn again(api: &mut KubeApi) {
    api.stop_server();
    api.start_server();
}
