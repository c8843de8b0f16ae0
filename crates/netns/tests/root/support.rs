//! Scratch namespaces, programs that run in them, and scripts that replace the host's programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_netns::{Backend, BackendChoice, NetNs, Xtables};
use mesh_cni_rules::istio::{Dialect, Interception, PodSettings, compile};

/// The back ends that run the host's programs.
pub(crate) const PROGRAMS: BackendChoice =
    BackendChoice::FirstOf(&[Backend::IptablesNft, Backend::IptablesLegacy]);

pub(crate) fn scratch() -> NetNs {
    NetNs::scratch().expect("these tests need root: run `make test`, or cargo under sudo")
}

pub(crate) fn xtables() -> Xtables {
    Xtables::search(std::env::var_os("PATH").as_deref())
}

pub(crate) fn only(backend: Backend) -> BackendChoice {
    BackendChoice::Only(backend)
}

pub(crate) fn interception(annotations: &[(&str, &str)]) -> Interception {
    let owned = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let annotations: BTreeMap<_, _> = owned.collect();
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    settings
        .resolve()
        .expect("the annotations parse")
        .interception
}

pub(crate) fn productpage() -> Interception {
    interception(&[
        ("traffic.sidecar.istio.io/excludeInboundPorts", "22,15020"),
        ("traffic.sidecar.istio.io/excludeOutboundPorts", "15020"),
        (
            "traffic.sidecar.istio.io/excludeOutboundIPRanges",
            "192.168.0.1/32",
        ),
    ])
}

pub(crate) fn rules(interception: &Interception, family: Family) -> RuleSet {
    compile(interception, Dialect::Asm, family)
}

/// Runs a program of the host in the namespace.
pub(crate) fn in_namespace(
    netns: &NetNs,
    program: &str,
    arguments: &[&str],
    input: &str,
) -> Output {
    let run = || {
        let file = tempfile::tempfile().expect("a temporary file can be made");
        write_and_rewind(&file, input);
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::from(file))
            .output()
            .unwrap_or_else(|error| panic!("cannot run {program}: {error}; run `make test`"))
    };
    netns.run(run).expect("the namespace can be entered")
}

fn write_and_rewind(mut file: &fs::File, text: &str) {
    use std::io::{Seek, Write};
    file.write_all(text.as_bytes())
        .expect("a temporary file can be written");
    file.rewind().expect("a temporary file can be rewound");
}

/// Runs a program that must succeed, and returns its output.
pub(crate) fn must(netns: &NetNs, program: &str, arguments: &[&str], input: &str) -> String {
    let output = in_namespace(netns, program, arguments, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All rules, as the back end's own program prints them, without dates and counters.
pub(crate) fn saved(netns: &NetNs, backend: Backend, family: Family) -> String {
    if backend == Backend::NftNative {
        let family = match family {
            Family::V4 => "ip",
            Family::V6 => "ip6",
        };
        return must(netns, "nft", &["-s", "list", "ruleset", family], "");
    }
    let suffix = suffix(backend);
    let program = match family {
        Family::V4 => format!("iptables-{suffix}-save"),
        Family::V6 => format!("ip6tables-{suffix}-save"),
    };
    let text = must(netns, &program, &[], "");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<_> = lines.map(without_counters).collect();
    lines.join("\n") + "\n"
}

/// The suffix of the iptables programs that print the rules of that back end.
pub(crate) fn suffix(backend: Backend) -> &'static str {
    match backend {
        Backend::IptablesLegacy => "legacy",
        _ => "nft",
    }
}

fn without_counters(line: &str) -> &str {
    if line.starts_with(':') {
        line.split(" [").next().unwrap_or(line)
    } else {
        line
    }
}

/// A directory with links to the host's programs, some of which a test replaces by a script.
pub(crate) struct Programs {
    directory: tempfile::TempDir,
}

impl Programs {
    pub(crate) fn of_host() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        for family in ["iptables", "ip6tables"] {
            for suffix in ["nft", "legacy"] {
                for role in ["restore", "save"] {
                    let name = format!("{family}-{suffix}-{role}");
                    let real = Path::new("/usr/sbin").join(&name);
                    std::os::unix::fs::symlink(real, directory.path().join(name))
                        .expect("a link can be made");
                }
            }
        }
        Self { directory }
    }

    pub(crate) fn without(self, name: &str) -> Self {
        fs::remove_file(self.directory.path().join(name)).expect("the link exists");
        self
    }

    /// Replaces a program by a script.
    pub(crate) fn with_script(self, name: &str, script: &str) -> Self {
        let programs = self.without(name);
        let path = programs.directory.path().join(name);
        let file = tempfile::tempfile().expect("a temporary file can be made");
        write_and_rewind(&file, &format!("#!/bin/sh\n{script}\n"));
        // A child of another test would inherit a script that this process writes, and the kernel would not
        // run it (`ETXTBSY`).
        let written = Command::new("install")
            .args(["-m", "755", "/dev/stdin"])
            .arg(path)
            .stdin(file)
            .status();
        assert!(written.expect("`install` is installed").success());
        programs
    }

    pub(crate) fn xtables(&self) -> Xtables {
        Xtables::in_directories(vec![PathBuf::from(self.directory.path())])
    }
}
