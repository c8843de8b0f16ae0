//! `init --redirect-dns`: the servers come from `/etc/resolv.conf`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::machine::{exclusive, output, stderr, stdout};
use crate::scratch::Scratch;

/// Mounts a file over /etc/resolv.conf and runs a command.
const WITH_FILE: &str = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";

#[test]
fn servers_of_a_family_without_rules_are_a_warning() {
    let _lock = exclusive();
    let scratch = Scratch::with_addresses(&["10.9.9.9/32"]);
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("resolv.conf");
    fs::write(&file, "nameserver fd00::a\nnameserver 10.96.0.10\n").unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", WITH_FILE])
        .arg(&file)
        .args([env!("CARGO_BIN_EXE_mesh-cnictl"), "init", "--dry-run"])
        .args(["--network-namespace", &scratch.path(), "--redirect-dns"]);
    let ended = output(&mut command);
    assert_eq!(
        stderr(&ended),
        "warning: queries to fd00::a are not captured: no IPv6 rules are written\n"
    );
    let text = stdout(&ended);
    let query = "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -d 10.96.0.10/32 -j REDIRECT";
    assert!(ended.status.success() && text.contains(query), "{text}");
    assert!(!text.contains("fd00::a"), "{text}");
}
