//! A panic of the static plugin reaches the runtime as an error object.

use std::process::Command;

use mesh_cni_tests::{finish, static_programs};
use serde_json::Value;

#[test]
fn a_panic_is_one_error_object_for_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let conf = r#"{"cniVersion": "1.1.0", "name": "k8s", "type": "mesh-cni"}"#;
    for command in ["ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"] {
        // The standard library panics where the kernel gives no random bytes for a map.
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "-e", "trace=getrandom"])
            .args(["-e", "inject=getrandom:error=EIO:when=1", "-o"])
            .arg(directory.path().join("strace"))
            .arg(static_programs().join("mesh-cni"))
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", "container")
            .env("CNI_NETNS", "/proc/self/ns/net")
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", directory.path());
        let finished = finish(&mut strace, conf);
        assert_eq!(finished.code, 1, "{command}: {finished:?}");
        let error: Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(error["code"], 999, "{command}: {error}");
        let message = error["msg"].as_str().unwrap();
        assert_eq!(
            message, "the plugin panicked: failed to generate random data",
            "{command}"
        );
        assert!(error["details"].as_str().unwrap().contains("report it"));
    }
}
