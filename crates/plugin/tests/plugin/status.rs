//! STATUS: code 50 while an ADD could not work, otherwise success.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::{Call, Node};

fn status(node: &Node) -> Call {
    let mut conf = node.conf();
    conf["cniVersion"] = json!("1.1.0");
    conf["backend"] = json!("iptables-nft");
    let bin = node.path().join("bin");
    node.call("STATUS")
        .conf(&conf)
        .with("PATH", &bin.display().to_string())
}

#[test]
fn it_succeeds_when_the_problem_is_fixed() {
    let node = Node::new();
    let pods = node.path().join("pods.away");
    fs::rename(node.pods(), &pods).unwrap();
    let answer = status(&node).run();
    assert_eq!((answer.code, answer.json()["code"].as_i64()), (1, Some(50)));
    assert!(answer.json()["msg"].as_str().unwrap().contains("pod_dir"));

    fs::rename(&pods, node.pods()).unwrap();
    let bin = node.path().join("bin");
    fs::create_dir(&bin).unwrap();
    // STATUS does not start the program, so an empty file is enough.
    fs::write(bin.join("iptables-nft-restore"), "").unwrap();
    fs::set_permissions(
        bin.join("iptables-nft-restore"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let answer = status(&node).run();
    assert_eq!(
        (answer.code, answer.stdout.as_str()),
        (0, ""),
        "{}",
        answer.stderr
    );
}

#[test]
fn an_unusable_configuration_is_code_50() {
    let node = Node::new();
    let mut conf = node.conf();
    conf["cniVersion"] = json!("1.1.0");
    conf["pod_source"] = json!("api");
    let answer = node.call("STATUS").conf(&conf).run();
    assert_eq!(answer.json()["code"], 50);
    assert!(
        answer.json()["details"]
            .as_str()
            .unwrap()
            .contains("set `kubeconfig`")
    );
}
