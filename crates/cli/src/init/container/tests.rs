//! The arguments and environment of istio-init.

use mesh_cni_netfilter::value::{Gid, Uid};
use mesh_cni_rules::istio::Interception as Istio;
use mesh_cni_rules::istio::interception::{DnsCapture, InboundCapture, OutboundRanges};

use super::*;

fn pod(args: &[&str]) -> PodFacts {
    let args = args.iter().copied().map(str::to_owned).collect();
    PodFacts {
        init_containers: vec![ContainerFacts {
            name: "istio-init".to_owned(),
            args,
            ..ContainerFacts::default()
        }],
        ..PodFacts::default()
    }
}

fn read(args: &[&str], env: &[(&str, &str)]) -> Result<OwnInit, Unreadable> {
    let mut pod = pod(args);
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    pod.init_containers[0].env = env.collect();
    let visible = Visible {
        dns_servers: vec!["10.96.0.10".parse().unwrap()],
        has_rules: false,
    };
    let own = own_init(&pod, &visible).map_err(|error| *error.source)?;
    Ok(own.expect("the pod has one"))
}

fn dialects(own: &OwnInit) -> Vec<(&Istio, Dialect)> {
    let of_istio = own.interceptions.iter().map(|each| match each {
        Interception::Istio(interception, dialect) => (interception, *dialect),
        other => panic!("{other:?}"),
    });
    of_istio.collect()
}

fn interception(args: &[&str], env: &[(&str, &str)]) -> Istio {
    let args = [&["istio-iptables"], args].concat();
    let own = read(&args, env).unwrap();
    assert_eq!(own.warnings, Vec::<String>::new());
    dialects(&own)[0].0.clone()
}

#[test]
fn the_arguments_of_istios_image_allow_both_rule_sets() {
    let dialects = |args: &[&str]| -> Vec<_> {
        let own = read(args, &[]).unwrap();
        dialects(&own).iter().map(|each| each.1).collect()
    };
    let flags = [
        "-p", "15001", "-z", "15006", "-u", "1337", "-i", "*", "-b", "*",
    ];
    let of_istio = dialects(&[&["istio-iptables"], &flags[..]].concat());
    assert_eq!(of_istio, [Dialect::Istio, Dialect::Asm]);
    assert_eq!(dialects(&[&["init"], &flags[..]].concat()), [Dialect::Asm]);
    assert_eq!(
        dialects(&["istio-iptables", "--ruleset=istio"]),
        [Dialect::Istio]
    );
}

#[test]
fn dns_capture_is_on_by_each_of_its_variables() {
    let servers = DnsCapture::Servers(vec!["10.96.0.10".parse().unwrap()]);
    for name in ["ISTIO_META_DNS_CAPTURE", "REDIRECT_DNS"] {
        assert_eq!(interception(&[], &[(name, "true")]).dns, servers, "{name}");
        assert_eq!(
            interception(&[], &[(name, "0")]).dns,
            DnsCapture::Off,
            "{name}"
        );
    }
    let all = [("ISTIO_META_DNS_CAPTURE", "1"), ("CAPTURE_ALL_DNS", "t")];
    assert_eq!(interception(&[], &all).dns, DnsCapture::All);
    assert_eq!(interception(&["--redirect-dns"], &[]).dns, servers);
    let off = interception(
        &["--redirect-dns=false"],
        &[("ISTIO_META_DNS_CAPTURE", "true")],
    );
    assert_eq!(off.dns, DnsCapture::Off, "a flag overrides a variable");
}

#[test]
fn both_families_are_on_by_each_of_their_variables() {
    for name in ["ISTIO_DUAL_STACK", "DUAL_STACK", "ISTIO_AGENT_DUAL_STACK"] {
        assert!(interception(&[], &[(name, "true")]).dual_stack, "{name}");
    }
}

#[test]
fn empty_items_are_skipped_in_every_list() {
    let with = interception(
        &[
            "-d",
            "15090,15021,",
            "-o",
            ",443",
            "-q",
            "8080,,9090",
            "-x",
            "10.0.0.0/8,",
            "-i",
            ",172.16.0.0/12",
            "-b",
            "80, ,",
            "-c",
            "net1,",
            "-k",
            ",virbr0",
            "-u",
            "7,",
            "-g",
            ",8",
        ],
        &[],
    );
    let without = interception(
        &[
            "-d",
            "15090,15021",
            "-o",
            "443",
            "-q",
            "8080,9090",
            "-x",
            "10.0.0.0/8",
            "-i",
            "172.16.0.0/12",
            "-b",
            "80",
            "-c",
            "net1",
            "-k",
            "virbr0",
            "-u",
            "7",
            "-g",
            "8",
        ],
        &[],
    );
    assert_eq!(with, without);
    let commas = interception(&["-b", ",", "-i", ","], &[]);
    assert_eq!(commas.inbound, InboundCapture::None);
    assert_eq!(commas.outbound_ranges, OutboundRanges::Only(Vec::new()));
}

#[test]
fn an_empty_user_is_that_of_envoy() {
    for env in [
        &[][..],
        &[("PROXY_UID", "")],
        &[("ENVOY_USER", "istio-proxy")],
    ] {
        for args in [&[][..], &["-u", ""]] {
            let with = interception(args, env);
            assert_eq!(
                (with.proxy_uids, with.proxy_gids),
                (vec![Uid(1337)], vec![Gid(1337)])
            );
        }
    }
    let error = read(&["istio-iptables"], &[("ENVOY_USER", "envoy")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment ENVOY_USER: cannot read /etc/passwd"
    );
}

#[test]
fn flags_of_older_versions_are_accepted() {
    let old = [
        "--restore-format=true",
        "--iptables-trace-logging",
        "--host-nsenter-exec=false",
        "--iptables-version",
        "1.8.9",
        "-f",
    ];
    assert_eq!(interception(&old, &[]), interception(&[], &[]));
}

#[test]
fn rules_in_tables_of_istio_are_not_compared() {
    let error = read(&["istio-iptables", "--native-nftables"], &[]).unwrap_err();
    assert!(matches!(error, Unreadable::NativeNftables), "{error}");
}

#[test]
fn a_pod_without_istio_init_has_no_own_rules() {
    let own = own_init(&PodFacts::default(), &Visible::default());
    assert!(own.unwrap().is_none());
}

#[test]
fn an_unknown_flag_is_named() {
    let error = read(&["istio-iptables", "--nonsense"], &[]).unwrap_err();
    assert!(error.to_string().contains("--nonsense"), "{error}");
}
