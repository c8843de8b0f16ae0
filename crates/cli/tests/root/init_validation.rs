//! `init --run-validation`: proven with rules, exit code 126 without, and no false proof.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mesh_cni_netns::NetNs;

use crate::machine::{alone, output, stderr, stdout};
use crate::scratch::Scratch;

const ALL: [&str; 5] = ["-i", "*", "-b", "*", "--dual-stack"];
const PROVE: [&str; 2] = ["--skip-rule-apply", "--run-validation"];
const SKIPPED: &str = "note: --skip-rule-apply: the settings are right, nothing changed\n";
const PROVEN: &str = "IPv4 rules proven: 10.9.9.9:15002 came to 15006\n\
                      IPv6 rules proven: [fd09::9]:15002 came to 15006\n";

fn scratch() -> Scratch {
    Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"])
}

/// A socket that listens in the namespace, wherever it is held.
fn listen(scratch: &Scratch, at: &str) -> TcpListener {
    let at: SocketAddr = at.parse().unwrap();
    let namespace = NetNs::open(Path::new(&scratch.path())).unwrap();
    namespace.run(|| TcpListener::bind(at)).unwrap().unwrap()
}

#[test]
fn rules_that_stand_are_proven() {
    let _alone = alone();
    for flavour in ["nft", "legacy"] {
        for options in [
            &[][..],
            &["--ruleset", "istio"],
            &["-m", "TPROXY"],
            &["-m", "TPROXY", "--ruleset", "istio", "--drop-invalid"],
            &["--redirect-dns", "--capture-all-dns"],
        ] {
            let scratch = scratch();
            let chosen = [&ALL, options, &["--force-iptables-binary", flavour]].concat();
            let done = scratch.done(&[&chosen[..], &["--run-validation"]].concat());
            assert!(done.ends_with(&format!("\n{PROVEN}")), "{chosen:?} {done}");
            let again = scratch.init(&[&chosen[..], &PROVE].concat());
            let proven = (Some(0), PROVEN.to_owned(), SKIPPED.to_owned());
            assert_eq!(again, proven, "{chosen:?}");
        }
    }
}

#[test]
fn settings_of_ones_own_are_proven() {
    let _alone = alone();
    let scratch = scratch();
    let own = ["-z", "16006", "-u", "2102,2103", "-g", "99"];
    let probe = ["--iptables-probe-port", "22222", "--probe-timeout", "1m"];
    let flags = [&own[..], &probe, &["--run-validation"]].concat();
    let done = scratch.done(&flags);
    let proven = "\nIPv4 rules proven: 10.9.9.9:22222 came to 16006\n";
    assert!(done.ends_with(proven), "{done}");
}

#[test]
fn without_rules_nothing_is_proven() {
    let _alone = alone();
    let scratch = scratch();
    let (code, stdout, stderr) = scratch.init(&[&ALL[..], &PROVE].concat());
    assert_eq!((code, stdout.as_str()), (Some(126), ""));
    insta::assert_snapshot!(stderr, @"
    note: --skip-rule-apply: the settings are right, nothing changed
    error: a connection of user 1337 to 10.9.9.9:15002 was not redirected to 127.0.0.1:15006: Connection refused (os error 111)
    hint: look at the rules of the namespace: `iptables -t nat -L -n -v`, and `ip6tables` for IPv6
    hint: where a CNI plugin was to program the pod, it did not: look at its log on the node, then delete the pod so that a new one is made
    ");
    // One family with rules, the other without.
    scratch.done(&["-i", "*", "-b", "*"]);
    let (code, stdout, stderr) = scratch.init(&[&ALL[..], &PROVE].concat());
    let first = PROVEN.split_inclusive('\n').next().unwrap();
    assert_eq!((code, stdout.as_str()), (Some(126), first));
    assert!(stderr.contains("to [fd09::9]:15002 was not"), "{stderr}");
}

#[test]
fn rules_that_send_it_elsewhere_prove_nothing() {
    let _alone = alone();
    let scratch = scratch();
    scratch.done(&[&ALL[..], &["-z", "16006"]].concat());
    let _proxy = listen(&scratch, "127.0.0.1:16006");
    let patience = ["--probe-timeout", "200ms"];
    let (code, stdout, stderr) = scratch.init(&[&ALL[..], &PROVE, &patience].concat());
    assert_eq!((code, stdout.as_str()), (Some(126), ""));
    let told = "error: a connection of user 1337 to 10.9.9.9:15002 was taken, but not at \
                127.0.0.1:15006: nothing redirects it there\n";
    assert!(stderr.contains(told), "{stderr}");
}

#[test]
fn whoever_listens_on_the_probe_port_is_no_proof() {
    let _alone = alone();
    let scratch = scratch();
    let _listener = listen(&scratch, "0.0.0.0:15002");
    let patience = ["--probe-timeout", "200ms"];
    let (code, stdout, _) = scratch.init(&[&PROVE[..], &patience].concat());
    assert_eq!((code, stdout.as_str()), (Some(126), ""));
}

#[test]
fn a_capture_port_that_is_taken_is_told() {
    let _alone = alone();
    for at in ["0.0.0.0:15006", "127.0.0.1:15006", "[::]:15006"] {
        let scratch = scratch();
        scratch.done(&ALL);
        let _proxy = listen(&scratch, at);
        let (code, stdout, stderr) = scratch.init(&[&ALL[..], &PROVE].concat());
        assert_eq!((code, stdout.as_str()), (Some(3), ""), "{at}");
        let told = "error: cannot listen on the capture port, 127.0.0.1:15006: Address already in \
                    use (os error 98)\nhint: nothing was proven";
        assert!(stderr.contains(told), "{at}: {stderr}");
    }
}

/// The program where every user may run it; gone with the test.
struct Program(PathBuf);

impl Program {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("mesh-cnictl-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let program = Self(folder);
        fs::set_permissions(&program.0, fs::Permissions::from_mode(0o755)).unwrap();
        let path = program.path();
        fs::copy(env!("CARGO_BIN_EXE_mesh-cnictl"), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    fn path(&self) -> PathBuf {
        self.0.join("mesh-cnictl")
    }

    /// In its own namespace, as a user without any right, as the init container of a pod.
    fn prove_as(&self, user: &str, scratch: &Scratch) -> Output {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", scratch.path()))
            .args(["setpriv", "--reuid", user, "--regid", user])
            .args(["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
            .arg(self.path())
            .args([&["init"][..], &ALL, &PROVE].concat());
        output(&mut command)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A file that is left over harms nobody.
        let _removed = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_proxys_user_needs_no_rights() {
    let _alone = alone();
    let (scratch, program) = (scratch(), Program::new());
    let bare = program.prove_as("1337", &scratch);
    assert_eq!(bare.status.code(), Some(126), "{}", stderr(&bare));
    scratch.done(&ALL);
    let proven = program.prove_as("1337", &scratch);
    assert_eq!(stdout(&proven), PROVEN, "{}", stderr(&proven));
    assert!(proven.status.success());
    let stranger = program.prove_as("1000", &scratch);
    assert_eq!(stranger.status.code(), Some(3));
    assert_eq!(
        stderr(&stranger),
        format!(
            "{SKIPPED}error: cannot act as the proxy's user 1337\n\
             hint: nothing was proven: run it as root, or as the proxy's user itself\n"
        )
    );
}
