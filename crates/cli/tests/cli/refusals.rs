//! Bad input: the exit code, and an error that names the setting, its value and what is allowed.

use std::fmt::Write;

use crate::support::{PRODUCTPAGE, Run, assert_snapshot, refusals, run};

fn pod_with(annotation: &str) -> String {
    format!(
        "kind: Pod\nmetadata: {{name: web, annotations: {{{annotation}}}}}\n\
         spec: {{containers: [{{name: web}}, {{name: istio-proxy}}]}}"
    )
}

#[test]
fn manifests() {
    let select: &[&str] = &["select", "--pod", "-"];
    let render: &[&str] = &["render", "--pod", "-"];
    let ports = pod_with("traffic.sidecar.istio.io/excludeInboundPorts: '22,http'");
    let ranges = pod_with("traffic.sidecar.istio.io/excludeOutboundIPRanges: '10.0.0.1'");
    assert_snapshot!(
        "refusals-manifests",
        "exit 2 each; the error names the field, line or annotation with its value and position",
        refusals(&[
            (&["select", "--pod", "no/such/file"], ""),
            (select, ""),
            (select, "kind: Service\nmetadata: {name: web}"),
            (
                select,
                "kind: Pod\nmetadata: {name: [web]}\nspec: {containers: []}"
            ),
            (select, "kind: Pod\n  metadata: {}\n"),
            (render, &ports),
            (render, &ranges),
        ])
    );
}

#[test]
fn invalid_utf_8_is_refused_with_its_position() {
    let refusal = |name: &str, bytes: &[u8]| {
        let path = std::env::temp_dir().join(format!("mesh-cni-{name}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let shown = path.display().to_string();
        let ended = run(&["select", "--pod", &shown]);
        std::fs::remove_file(path).unwrap();
        format!("{name}\n{}", ended.to_string().replace(&shown, "FILE"))
    };
    let powershell = refusal("utf-16", &[0xff, 0xfe, b'k', 0, b'i', 0]);
    let latin = refusal("latin-1", b"kind: Pod # caf\xe9");
    assert_snapshot!(
        "refusals-encodings",
        "exit 2 each; the position of the first invalid byte, and for UTF-16 a hint about PowerShell",
        powershell + "\n" + &latin
    );
}

#[test]
fn the_first_of_two_entries_is_used() {
    let list = r#"{"cniVersion": "1.0.0", "name": "net", "plugins":
        [{"type": "mesh-cni"}, {"type": "mesh-cni", "profile": "istio"}]}"#;
    let arguments = ["select", "--pod", PRODUCTPAGE, "--conf", "-"];
    let ended = Run::new(&arguments).with_input(list);
    assert_eq!(ended.code, Some(0));
    let warning = "warning: configuration `-` has 2 entries of type `mesh-cni`: using the first\n";
    assert_eq!(ended.stderr, warning);
}

#[test]
fn the_entry_of_the_chart_is_read_without_a_type() {
    let manifests = include_str!("../../../../deploy/manifests/mesh-cni.yaml");
    let entry: String = manifests
        .lines()
        .skip_while(|line| !line.contains("entry.json: |"))
        .skip(1)
        .take_while(|line| line.starts_with("    "))
        .collect();
    assert!(entry.contains("exclude_namespaces"), "{entry}");
    let of_files = ["diff", "--cni-conf-dir", "tests", "--pods", PRODUCTPAGE];
    for arguments in [
        &["select", "--pod", PRODUCTPAGE] as &[&str],
        &["render", "--pod", PRODUCTPAGE],
        &of_files,
    ] {
        for conf in [&entry, "{}", r#"{"profile": "asm"}"#] {
            let arguments = [arguments, &["--conf", "-"]].concat();
            let ended = Run::new(&arguments).with_input(conf);
            let warns = ended.stderr.contains("warning");
            assert_eq!(
                (ended.code, warns),
                (Some(0), false),
                "{arguments:?} {conf}: {ended}"
            );
        }
    }
}

#[test]
fn configurations() {
    let conf: &[&str] = &["select", "--pod", PRODUCTPAGE, "--conf", "-"];
    assert_snapshot!(
        "refusals-configurations",
        "exit 2 each; the error names the field with its value and what is allowed",
        refusals(&[
            (conf, "{"),
            (conf, "[]"),
            (conf, r#"{"type": "istio-cni"}"#),
            (conf, r#"{"kind": "Pod", "metadata": {"name": "web"}}"#),
            (conf, r#"{"name": "net", "cniVersion": "1.0.0"}"#),
            (conf, r#"{"exclude_namespaces": "kube-system"}"#),
            (conf, r#"{"type": null, "profile": "asm"}"#),
            (
                conf,
                r#"{"name": "n", "plugins": [{"type": "bridge"}, {"type": "portmap"}]}"#
            ),
            (conf, r#"{"plugins": []}"#),
            (conf, r#"{"type": "mesh-cni", "ruleset": "linkerd"}"#),
            (
                conf,
                r#"{"type": "mesh-cni", "defaults": {"excludeInboundPorts": "http"}}"#
            ),
            (
                conf,
                r#"{"type": "mesh-cni", "exclude_namespace_selector": "mesh=off"}"#
            ),
            (&["select", "--pod", "-", "--conf", "-"], ""),
        ])
    );
}

#[test]
fn flags_of_init() {
    assert_snapshot!(
        "refusals-init",
        "exit 2 each; the error names the flag with its value, the position and what is allowed; \
         values that are not supported are refused, never ignored",
        refusals(&[
            (&["init", "-n", "-p", "http"], ""),
            (&["init", "-n", "-b", "80,http,443"], ""),
            (&["init", "-n", "-d", "15020,20000:10000"], ""),
            (&["init", "-n", "-o", "1024:70000"], ""),
            (&["init", "-n", "-d", "15020,70000"], ""),
            (&["init", "-n", "-i", "10.0.0.0/8,*"], ""),
            (&["init", "-n", "-x", "*"], ""),
            (&["init", "-n", "-u", "envoy"], ""),
            (&["init", "-n", "-g", "-1"], ""),
            (&["init", "-n", "-g=-1"], ""),
            (&["init", "-n", "-c", "a/b"], ""),
            (&["init", "-n", "-m", "redirect"], ""),
            (&["init", "-n", "-m", "tproxy"], ""),
            (&["init", "-n", "-m", "TPROXY", "-t", "0"], ""),
            (&["init", "-n", "-m", "TPROXY", "-t", "4294967295"], ""),
            (&["init", "-n", "-t", "0x539"], ""),
            (&["init", "-n", "-m", "TPROXY", "-r", "254"], ""),
            (&["init", "-n", "-r", "4294967296"], ""),
            (&["init", "-n", "--ruleset", "linkerd"], ""),
            (&["init", "-n", "--force-iptables-binary", "ebtables"], ""),
            (&["init", "-n", "--probe-timeout", "soon"], ""),
            (&["init", "-n", "--probe-timeout", "0s"], ""),
            (&["init", "-n", "--iptables-probe-port", "0"], ""),
            (&["init", "--dry-run=maybe"], ""),
            (&["init", "-n", "--redirect-dns=on"], ""),
            (
                &[
                    "init",
                    "-n",
                    "--native-nftables",
                    "--force-iptables-binary",
                    "nft"
                ],
                ""
            ),
            (
                &["init", "-n", "--network-namespace", "/no/such/namespace"],
                ""
            ),
            (
                &["init", "-n", "--network-namespace", "/proc/self/status"],
                ""
            ),
        ])
    );
}

/// With each of these the rules do not apply to the probe. --dry-run: no probe is sent.
#[test]
fn settings_that_the_validation_cannot_check() {
    let refusal = |flags: &[&'static str]| {
        let arguments = [&["init", "-n", "--run-validation"], flags].concat();
        refusals(&[(&arguments, "")])
    };
    let cases: [&[&str]; 6] = [
        &["-o", "443,15002"],
        &["-e", "15002"],
        &["-z", "15002"],
        &["-c", "eth1,l+"],
        &["--proxy-uid=,"],
        &[
            "--redirect-dns",
            "--capture-all-dns",
            "--iptables-probe-port",
            "53",
        ],
    ];
    assert_snapshot!(
        "refusals-validation",
        "exit 2 each; the error names both settings, and why they contradict each other",
        cases.map(refusal).concat()
    );
}

#[test]
fn environment_of_init() {
    let many: Vec<_> = (1..=65).map(|group| group.to_string()).collect();
    let cases = [
        ("ENVOY_PORT", "0"),
        ("ISTIO_OUTBOUND_OWNER_GROUPS", "0,no-such-group-here"),
        ("ISTIO_OUTBOUND_OWNER_GROUPS", &many.join(",")),
        ("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "::1/128"),
    ];
    let mut text = String::new();
    for (name, value) in cases {
        let ended = Run::new(&["init", "-n"]).env(name, value).with_input("");
        let (code, stderr) = (ended.code.unwrap(), ended.stderr);
        writeln!(text, "$ {name}={value}\nexit {code}\n{stderr}").unwrap();
    }
    let both = Run::new(&["init", "-n"])
        .env("ISTIO_OUTBOUND_OWNER_GROUPS", "1")
        .env("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", "2")
        .with_input("");
    text.push_str(&both.stderr);
    assert_snapshot!(
        "refusals-environment",
        "exit 2 each; the error names the variable with its value and what is allowed",
        text
    );
}

#[test]
fn wrong_use() {
    assert_snapshot!(
        "refusals-use",
        "exit 2 each; prints the usage, and nothing on stdout",
        refusals(&[
            (&["select"], ""),
            (&["render", "--pod", PRODUCTPAGE, "--format", "xml"], ""),
            (&["render", "--pod", PRODUCTPAGE, "--family", "5"], ""),
            (
                &[
                    "render",
                    "--pod",
                    PRODUCTPAGE,
                    "--format",
                    "json",
                    "--table",
                    "nat",
                ],
                "",
            ),
            (&["expose"], ""),
            (&["demo", "--keep", "--cleanup"], ""),
        ])
    );
}
