//! Full and read-only disks: nothing is half done, and the next run on a working disk completes the
//! installation.

use std::process::Command;

use mesh_cni_tests::{Finished, finish};

use crate::node::Node;

const LIST: &str = r#"{"cniVersion": "0.4.0", "name": "k8s", "plugins": [{"type": "calico"}]}
"#;

/// Runs the script in a mount namespace of its own, with the agent's command line as `"$@"`.
fn with_mounts(node: &Node, script: &str, words: &[String]) -> Finished {
    let mut shell = Command::new("unshare");
    shell
        .args(["--mount", "sh", "-ec", script, "sh"])
        .args(words)
        .current_dir(node.path());
    finish(&mut shell, "")
}

/// Mounts a full file system of 64 KiB over a directory and copies the directory's files to it.
fn full(directory: &str) -> String {
    format!(
        "cp -a {directory} kept\n\
         mount -t tmpfs -o size=64k,mode=755 tmpfs {directory}\n\
         cp -a kept/. {directory}\n\
         dd if=/dev/zero of={directory}/filler bs=4k 2>/dev/null || true\n"
    )
}

#[test]
fn a_full_disk_does_not_change_the_list() {
    for directory in ["net.d", "bin"] {
        let node = Node::with(&[("10-calico.conflist", LIST)]);
        let script = full(directory)
            + "code=0; \"$@\" >/dev/null || code=$?\n\
               cat net.d/10-calico.conflist; ls -A net.d bin; echo exit $code\n\
               rm -f net.d/filler bin/filler; \"$@\"; cat net.d/10-calico.conflist";
        let finished = with_mounts(&node, &script, &node.agent("install", &[]));
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        assert!(
            finished.stderr.contains("No space left"),
            "{}",
            finished.stderr
        );
        assert!(finished.stderr.contains("hint:"), "{}", finished.stderr);
        assert!(finished.stdout.starts_with(LIST), "{}", finished.stdout);
        let (refused, done) = finished.stdout.split_once("exit 3").unwrap();
        assert!(!refused.contains(".tmp"), "{refused}");
        assert!(done.contains("\"type\": \"mesh-cni\""), "{done}");
    }
}

#[test]
fn a_full_disk_keeps_the_binary_that_the_list_names() {
    let node = Node::with(&[("10-calico.conflist", LIST)]);
    node.must("install", &[]);
    let script = full("net.d")
        + "code=0; \"$@\" >/dev/null || code=$?\n\
           cat net.d/10-calico.conflist; ls -A net.d bin; echo exit $code";
    let finished = with_mounts(&node, &script, &node.agent("uninstall", &[]));
    assert!(finished.stdout.ends_with("exit 3\n"), "{}", finished.stdout);
    assert!(
        finished.stdout.contains("\"type\": \"mesh-cni\""),
        "{}",
        finished.stdout
    );
    assert!(
        finished.stdout.contains("\nmesh-cni\n"),
        "{}",
        finished.stdout
    );
}

#[test]
fn the_error_names_a_read_only_directory() {
    for (command, directory) in [
        ("install", "net.d"),
        ("install", "bin"),
        ("uninstall", "net.d"),
    ] {
        let node = Node::with(&[("10-calico.conflist", LIST)]);
        if command == "uninstall" {
            node.must("install", &[]);
        }
        let before = node.files();
        let script = format!(
            "mount --bind {directory} {directory}; mount -o remount,ro,bind {directory}; \"$@\""
        );
        let finished = with_mounts(&node, &script, &node.agent(command, &[]));
        assert_eq!(finished.code, 3, "{}", finished.stderr);
        assert!(
            finished.stderr.contains("Read-only file system"),
            "{}",
            finished.stderr
        );
        assert!(finished.stderr.contains(directory), "{}", finished.stderr);
        node.load();
        assert_eq!(
            node.path().join("bin/mesh-cni").exists(),
            directory == "net.d"
        );
        if directory == "bin" || command == "uninstall" {
            assert_eq!(node.files(), before);
        }
        node.must(command, &[]);
    }
}

#[test]
fn a_run_directory_mounted_into_a_read_only_root_is_kept() {
    let node = Node::with(&[("10-calico.conflist", LIST)]);
    node.must("install", &[]);
    std::fs::create_dir_all(node.path().join("run")).unwrap();
    std::fs::write(node.path().join("run/plugin.log"), "").unwrap();
    let script = "mount --bind \"$PWD\" \"$PWD\"\n\
                  for name in bin net.d run; do mount --bind \"$PWD/$name\" \"$PWD/$name\"; done\n\
                  mount -o remount,ro,bind \"$PWD\"\n\
                  \"$@\"";
    let finished = with_mounts(&node, script, &node.agent("uninstall", &[]));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(!node.path().join("run/plugin.log").exists());
    assert!(!node.path().join("bin/mesh-cni").exists());
    assert_eq!(node.load().plugins().len(), 1);
}
