//! `init --dry-run`: the flags, environment variables and defaults of Istio's command.

use std::fs;

use crate::support::{PRODUCTPAGE, Run, assert_snapshot, run};

/// The arguments that injectors pass to istio-init for a pod without annotations, with the ports
/// that the plugin excludes.
const USUAL: [&str; 18] = [
    "init",
    "--dry-run",
    "-p",
    "15001",
    "-z",
    "15006",
    "-u",
    "1337",
    "-m",
    "REDIRECT",
    "-i",
    "*",
    "-x",
    "",
    "-b",
    "*",
    "-d",
    "15020,15021,15090",
];

/// The IPv4 transaction. An IPv6 one follows if the machine has such an address.
fn ipv4(stdout: &str) -> &str {
    let end = stdout.find("COMMIT\n").expect("a transaction ends") + "COMMIT\n".len();
    &stdout[..end]
}

fn dry_run(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut run = Run::new(arguments);
    for (name, value) in environment {
        run = run.env(name, value);
    }
    ipv4(&run.with_input("").result()).to_owned()
}

fn rendered(annotations: &str, conf: &str) -> String {
    let pod = format!(
        "kind: Pod\nmetadata: {{name: web, annotations: {{{annotations}}}}}\n\
         spec: {{containers: [{{name: web}}, {{name: istio-proxy}}]}}"
    );
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("conf-{}.json", conf.len()));
    fs::write(&path, conf).unwrap();
    let conf = path.to_str().unwrap();
    let arguments = [
        "render", "--pod", "-", "--conf", conf, "--format", "restore",
    ];
    Run::new(&arguments).with_input(&pod).result()
}

#[test]
fn the_usual_flags_give_the_plugins_default_rules() {
    let flags = [&USUAL[..], &["-o", "15020"]].concat();
    assert_eq!(
        dry_run(&flags, &[]),
        rendered("", r#"{"type": "mesh-cni"}"#)
    );
    let flags = [&flags[..], &["--ruleset", "istio"]].concat();
    assert_eq!(
        dry_run(&flags, &[]),
        rendered("", r#"{"type": "mesh-cni", "ruleset": "istio"}"#)
    );
}

#[test]
fn flags_can_give_the_documented_pods_rules() {
    let flags = [
        "init",
        "-n",
        "-i",
        "*",
        "-b",
        "*",
        "-d",
        "22,15020,15021,15090",
        "-o",
        "15020",
        "-x",
        "192.168.0.1/32",
    ];
    let rendered = run(&["render", "--pod", PRODUCTPAGE, "--format", "restore"]).result();
    assert_eq!(dry_run(&flags, &[]), rendered);
}

/// The arguments of the init container in Istio's injection template, except for the last.
const OF_TEMPLATE: [&str; 16] = [
    "istio-iptables",
    "-p",
    "15001",
    "-z",
    "15006",
    "-u",
    "1337",
    "-m",
    "REDIRECT",
    "-i",
    "*",
    "-x",
    "",
    "-b",
    "*",
    "-d",
];

#[test]
fn the_arguments_of_an_istio_init_container_work_unchanged() {
    let given = [&OF_TEMPLATE[..], &["15090,15021,15020"]].concat();
    let plain = [&["init", "-n"][..], &given[1..]].concat();
    let wanted = dry_run(&plain, &[]);
    assert!(wanted.contains("--dport 15090 -j RETURN"), "{wanted}");
    let logging = [
        "--log_output_level=default:info",
        "--log_as_json",
        "--log_target=stdout",
        "--log_caller",
        "default",
        "--log_stacktrace_level=default:none",
        "--log_rotate_max_age=30",
    ];
    for leading in [&["init"][..], &[]] {
        let words = [leading, &given, &logging, &["--dry-run"]].concat();
        assert_eq!(dry_run(&words, &[]), wanted, "{words:?}");
    }
    let refused = run(&["init", "iptables", "-n"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[test]
fn without_flags_nothing_is_captured() {
    assert_snapshot!(
        "init-nothing",
        "nothing is captured: PREROUTING has no rule, and ISTIO_OUTPUT ends without a jump to \
         ISTIO_REDIRECT",
        dry_run(&["init", "--dry-run"], &[])
    );
}

#[test]
fn every_flag_of_mode_redirect_takes_effect() {
    let flags = [
        "init",
        "-n",
        "-p",
        "16001",
        "-z",
        "16006",
        "-e",
        "16008",
        "-u",
        "1337,1338",
        "-g",
        "99",
        "-b",
        "80,8080",
        "-i",
        "10.0.0.0/8,172.16.0.0/12",
        "-x",
        "10.1.0.0/16",
        "-o",
        "25",
        "-q",
        "443",
        "-c",
        "eth9",
        "-k",
        "net1",
        "--drop-invalid",
        "-t",
        "7",
        "-r",
        "8",
        "--cni-mode",
        "--reconcile",
        "--force-apply",
        "--iptables-probe-port",
        "15002",
        "--probe-timeout",
        "10s",
        "--log_output_level",
        "default:info",
        "--ruleset",
        "istio",
    ];
    let loopback = ("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", "127.0.0.0/8");
    let groups = ("ISTIO_OUTBOUND_OWNER_GROUPS", "root,1000");
    let text = Run::new(&flags)
        .env(loopback.0, loopback.1)
        .env(groups.0, groups.1)
        .with_input("")
        .result();
    assert_snapshot!(
        "init-every-flag",
        "proxy ports 16001, 16006, 16008; two users and one group; inbound ports 80 and 8080 only; \
         two ranges included, one excluded; port 25 excluded, 443 included; eth9 excluded, net1 \
         rerouted; invalid packets dropped; groups 0 and 1000; loopback 127.0.0.0/8",
        // IPv4 has two tables, so two transactions.
        text.split_inclusive("COMMIT\n").take(2).collect::<String>()
    );
}

/// The IPv4 transactions, one for each table. IPv6 ones follow if the machine has such an address.
fn tables(count: usize, flags: &[&str]) -> String {
    let text = run(&[&["init", "-n"], flags].concat()).result();
    text.split_inclusive("COMMIT\n").take(count).collect()
}

#[test]
fn mode_tproxy() {
    assert_snapshot!(
        "init-tproxy",
        "mangle: ISTIO_TPROXY to 15006 with mark 1337, port 15020 excluded, rules that match marks \
         1337 and 1338; nat: the outbound rules, and no jump to ISTIO_INBOUND",
        tables(2, &["-m", "TPROXY", "-i", "*", "-b", "*", "-d", "15020"])
    );
    let own = ["-m", "TPROXY", "-b", "80", "-t", "4294967294", "-r", "1"];
    let ended = run(&[&["init", "-n", "--ruleset", "istio"][..], &own].concat());
    let first = ended.stderr.lines().find(|line| line.contains("IPv4"));
    assert_eq!(
        first,
        Some(
            "note: IPv4 also needs policy routing: packets with mark 4294967294 use table 1, which \
             has `local default dev lo`"
        )
    );
    let text = ended.result();
    for wanted in [
        "-A ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --on-port 15006",
        "--set-xmark 0xfffffffe/0xffffffff",
        "--set-xmark 0xffffffff/0xffffffff",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}

#[test]
fn all_dns_queries_are_captured() {
    let flags = ["-i", "*", "--redirect-dns", "--capture-all-dns"];
    assert_snapshot!(
        "init-dns-all",
        "nat: jumps for UDP queries and for TCP, two rules to 15053; raw: conntrack zones 1 and 2 \
         for the proxy's user and group, then for everyone",
        tables(2, &flags)
    );
    let environment = Run::new(&["init", "-n", "-i", "*"])
        .env("REDIRECT_DNS", "true")
        .env("CAPTURE_ALL_DNS", "1")
        .with_input("");
    assert!(environment.result().starts_with(&tables(2, &flags)));
}

#[test]
fn a_switch_without_effect_is_a_warning() {
    for (flags, warning) in [
        (
            ["init", "-n", "--capture-all-dns"],
            "warning: flag --capture-all-dns has no effect without --redirect-dns: DNS capture is \
             off\n",
        ),
        (
            ["init", "-n", "--run-validation"],
            "warning: flag --run-validation has no effect with flag --dry-run\n",
        ),
    ] {
        let ended = run(&flags);
        assert!(ended.stderr.starts_with(warning), "{}", ended.stderr);
        assert_eq!(ended.result(), run(&["init", "-n"]).result());
    }
}

#[test]
fn flags_override_the_environment() {
    let from_flags = dry_run(&["init", "-n", "-b", "80", "--drop-invalid=false"], &[]);
    let environment = [
        ("ISTIO_INBOUND_PORTS", "80"),
        ("DRY_RUN", "true"),
        // Counts as unset.
        ("ISTIO_SERVICE_CIDR", ""),
    ];
    assert_eq!(dry_run(&["init"], &environment), from_flags);
    let both = [("ISTIO_INBOUND_PORTS", "99"), ("INVALID_DROP", "true")];
    let flags = ["init", "-n", "-b", "80", "--drop-invalid=false"];
    assert_eq!(dry_run(&flags, &both), from_flags);
}

#[test]
fn the_last_of_two_equal_flags_wins() {
    let twice = dry_run(&["init", "-n", "-b", "99", "-b", "80"], &[]);
    assert_eq!(twice, dry_run(&["init", "-n", "-b", "80"], &[]));
}

#[test]
fn the_group_defaults_to_the_user() {
    let text = dry_run(&["init", "-n", "-i", "*", "-u", "2102"], &[]);
    assert!(text.contains("--gid-owner 2102"), "{text}");
}

#[test]
fn an_invalid_boolean_in_the_environment_counts_as_false_with_a_warning() {
    let ended = Run::new(&["init", "-n"])
        .env("INVALID_DROP", "yes")
        .with_input("");
    let wanted = "warning: environment INVALID_DROP = `yes` is not a boolean and counts as false";
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
    assert!(!ended.stdout.contains("INVALID"), "{}", ended.stdout);
}

#[test]
fn a_check_of_the_settings_changes_nothing() {
    let ended = run(&["init", "--skip-rule-apply", "-b", "*"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
    assert!(ended.stderr.starts_with("note: --skip-rule-apply"));
}

#[test]
fn json_has_the_rules_of_a_dry_run() {
    let flags = ["init", "-n", "-i", "*", "-b", "*"];
    let text = run(&flags).result();
    let json = run(&[&flags[..], &["--output", "json"]].concat()).result();
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["action"], "print");
    assert_eq!(document["rules"], text);
    assert_eq!(document["changed"], serde_json::Value::Null);
}
