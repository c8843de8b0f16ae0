//! `init --run-validation`: valid rules, exit code 126 without them, and the errors.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mesh_cni_netns::NetNs;

use crate::machine::{copy_program, exclusive, output, stderr, stdout};
use crate::scratch::Scratch;

const ALL: [&str; 5] = ["-i", "*", "-b", "*", "--dual-stack"];
const VALIDATE: [&str; 2] = ["--skip-rule-apply", "--run-validation"];
const SKIPPED: &str = "note: --skip-rule-apply: the settings are valid, nothing changed\n";
const VALID: &str = "IPv4 rules validated: a connection to 10.9.9.9:15002 arrived at port 15006\n\
     IPv6 rules validated: a connection to [fd09::9]:15002 arrived at port 15006\n";

fn scratch() -> Scratch {
    Scratch::with_addresses(&["10.9.9.9/32", "fd09::9/128"])
}

/// A socket that listens in the namespace.
fn listen(scratch: &Scratch, at: &str) -> TcpListener {
    let at: SocketAddr = at.parse().unwrap();
    let namespace = NetNs::open(Path::new(&scratch.path())).unwrap();
    namespace.run(|| TcpListener::bind(at)).unwrap().unwrap()
}

#[test]
fn rules_that_redirect_are_valid() {
    let _lock = exclusive();
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
            assert!(done.ends_with(&format!("\n{VALID}")), "{chosen:?} {done}");
            let again = scratch.init(&[&chosen[..], &VALIDATE].concat());
            let valid = (Some(0), VALID.to_owned(), SKIPPED.to_owned());
            assert_eq!(again, valid, "{chosen:?}");
        }
    }
}

#[test]
fn the_validation_follows_the_settings() {
    let _lock = exclusive();
    let scratch = scratch();
    let own = ["-z", "16006", "-u", "2102,2103", "-g", "99"];
    let probe = ["--iptables-probe-port", "22222", "--probe-timeout", "1m"];
    let flags = [&own[..], &probe, &["--run-validation"]].concat();
    let done = scratch.done(&flags);
    let valid = "\nIPv4 rules validated: a connection to 10.9.9.9:22222 arrived at port 16006\n";
    assert!(done.ends_with(valid), "{done}");
}

#[test]
fn a_missing_redirection_is_exit_code_126() {
    let _lock = exclusive();
    let scratch = scratch();
    let (code, stdout, stderr) = scratch.init(&[&ALL[..], &VALIDATE].concat());
    assert_eq!((code, stdout.as_str()), (Some(126), ""));
    insta::assert_snapshot!(stderr, @"
    note: --skip-rule-apply: the settings are valid, nothing changed
    error: a connection of user 1337 to 10.9.9.9:15002 was not redirected to 127.0.0.1:15006: Connection refused (os error 111)
    hint: inspect the rules with `iptables -t nat -L -n -v`, and `ip6tables` for IPv6
    hint: if a CNI plugin sets up this pod, read its log on the node, then delete the pod so that it is recreated
    ");
    // Only one family has rules.
    scratch.done(&["-i", "*", "-b", "*"]);
    let (code, stdout, stderr) = scratch.init(&[&ALL[..], &VALIDATE].concat());
    let first = VALID.split_inclusive('\n').next().unwrap();
    assert_eq!((code, stdout.as_str()), (Some(126), first));
    assert!(stderr.contains("to [fd09::9]:15002 was not"), "{stderr}");
}

#[test]
fn rules_that_redirect_to_another_port_are_not_valid() {
    let _lock = exclusive();
    let scratch = scratch();
    scratch.done(&[&ALL[..], &["-z", "16006"]].concat());
    let _proxy = listen(&scratch, "127.0.0.1:16006");
    let timeout = ["--probe-timeout", "200ms"];
    let (code, stdout, stderr) = scratch.init(&[&ALL[..], &VALIDATE, &timeout].concat());
    assert_eq!((code, stdout.as_str()), (Some(126), ""));
    let error = "error: a connection of user 1337 to 10.9.9.9:15002 was accepted, but not at \
                 127.0.0.1:15006: not redirected\n";
    assert!(stderr.contains(error), "{stderr}");
}

#[test]
fn a_listener_on_the_probe_port_is_not_the_proxy() {
    let _lock = exclusive();
    let scratch = scratch();
    let _listener = listen(&scratch, "0.0.0.0:15002");
    let timeout = ["--probe-timeout", "200ms"];
    let (code, stdout, _) = scratch.init(&[&VALIDATE[..], &timeout].concat());
    assert_eq!((code, stdout.as_str()), (Some(126), ""));
}

#[test]
fn a_capture_port_in_use_is_an_error() {
    let _lock = exclusive();
    for at in ["0.0.0.0:15006", "127.0.0.1:15006", "[::]:15006"] {
        let scratch = scratch();
        scratch.done(&ALL);
        let _proxy = listen(&scratch, at);
        let (code, stdout, stderr) = scratch.init(&[&ALL[..], &VALIDATE].concat());
        assert_eq!((code, stdout.as_str()), (Some(3), ""), "{at}");
        let error = "error: cannot listen on the capture port, 127.0.0.1:15006: Address already in \
                     use (os error 98)\nhint: nothing was validated";
        assert!(stderr.contains(error), "{at}: {stderr}");
    }
}

/// A copy of the program that every user can run; removed with the test.
struct Program(PathBuf);

impl Program {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("mesh-cnictl-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let program = Self(folder);
        fs::set_permissions(&program.0, fs::Permissions::from_mode(0o755)).unwrap();
        let path = program.path();
        copy_program(Path::new(env!("CARGO_BIN_EXE_mesh-cnictl")), &path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    fn path(&self) -> PathBuf {
        self.0.join("mesh-cnictl")
    }

    /// Validates in the namespace as a user without capabilities, like a pod's init container.
    fn validate_as(&self, user: &str, scratch: &Scratch) -> Output {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", scratch.path()))
            .args(["setpriv", "--reuid", user, "--regid", user])
            .args(["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
            .arg(self.path())
            .args([&["init"][..], &ALL, &VALIDATE].concat());
        output(&mut command)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _removed = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_proxys_user_needs_no_capabilities() {
    let _lock = exclusive();
    let (scratch, program) = (scratch(), Program::new());
    let bare = program.validate_as("1337", &scratch);
    assert_eq!(bare.status.code(), Some(126), "{}", stderr(&bare));
    scratch.done(&ALL);
    let valid = program.validate_as("1337", &scratch);
    assert_eq!(stdout(&valid), VALID, "{}", stderr(&valid));
    assert!(valid.status.success());
    let other_user = program.validate_as("1000", &scratch);
    assert_eq!(other_user.status.code(), Some(3));
    assert_eq!(
        stderr(&other_user),
        format!(
            "{SKIPPED}error: cannot act as the proxy's user 1337\n\
             hint: nothing was validated: run it as root or as the proxy's user\n"
        )
    );
}
