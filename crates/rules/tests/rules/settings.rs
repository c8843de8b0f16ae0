//! Annotations, defaults, and the proxy's environment and owner.

use std::collections::BTreeMap;
use std::error::Error;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::{Gid, Port, Uid};
use mesh_cni_rules::Warning;
use mesh_cni_rules::istio::PodSettings;
use mesh_cni_rules::istio::interception::{DnsCapture, InboundCapture, Mode};
use mesh_cni_rules::istio::settings::Annotation;

use crate::support::annotations;

fn refusal(key: &str, value: &str) -> String {
    let annotations = annotations(&[(key, value)]);
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    let error = settings.resolve().expect_err("the value is not valid");
    format!(
        "{error}: {}",
        error.source().expect("the error has a source")
    )
}

#[test]
fn an_invalid_value_is_reported_with_annotation_item_and_position() {
    let invalid: BTreeMap<_, _> = [
        (Annotation::InterceptionMode, "tproxy"),
        (Annotation::StatusPort, "15020,15021"),
        (Annotation::IncludeInboundPorts, "80,*"),
        (Annotation::ExcludeInboundPorts, "22, http"),
        (Annotation::IncludeOutboundPorts, "3306,"),
        (Annotation::ExcludeOutboundPorts, "0"),
        (
            Annotation::IncludeOutboundIpRanges,
            "10.0.0.0/8,10.0.0.0/33",
        ),
        (Annotation::ExcludeOutboundIpRanges, "192.168.0.1"),
        (Annotation::ExcludeInterfaces, "eth0,-j ACCEPT"),
        (
            Annotation::RerouteVirtualInterfaces,
            "a-name-that-is-too-long",
        ),
        (Annotation::KubevirtInterfaces, "a/b"),
    ]
    .into();
    assert_eq!(
        invalid.len(),
        Annotation::ALL.len(),
        "there is an invalid value for each annotation"
    );
    let refusals: Vec<_> = invalid
        .iter()
        .map(|(annotation, value)| refusal(annotation.key(), value))
        .collect();
    crate::support::assert_snapshot!(
        "refusals",
        "one line for each annotation: its name, its whole value, the item, the position, and \
         what is allowed",
        refusals.join("\n")
    );
}

#[test]
fn a_default_applies_without_annotation_and_is_reported_as_a_default() {
    let key = Annotation::ExcludeOutboundPorts.key();
    let (of_node, of_pod) = (annotations(&[(key, "x")]), annotations(&[(key, "3306")]));
    let mut settings = PodSettings {
        defaults: Some(&of_node),
        ..PodSettings::default()
    };
    let error = settings.resolve().unwrap_err();
    assert_eq!(error.to_string(), format!("defaults entry {key} = `x`"));

    settings.annotations = Some(&of_pod);
    let ports = settings
        .resolve()
        .unwrap()
        .interception
        .exclude_outbound_ports;
    assert_eq!(ports, [Port::constant(3306).into()]);
}

#[test]
fn the_owner_is_read_from_the_security_context_except_root() {
    let owners = |run_as_user, run_as_group| {
        let settings = PodSettings {
            run_as_user,
            run_as_group,
            ..PodSettings::default()
        };
        let interception = settings.resolve().unwrap().interception;
        (interception.proxy_uids, interception.proxy_gids)
    };
    assert_eq!(owners(None, None), (vec![Uid(1337)], vec![Gid(1337)]));
    assert_eq!(owners(Some(0), Some(0)), (vec![Uid(1337)], vec![Gid(1337)]));
    assert_eq!(owners(Some(2102), None), (vec![Uid(2102)], vec![Gid(1337)]));
    assert_eq!(owners(Some(2102), Some(7)), (vec![Uid(2102)], vec![Gid(7)]));
    assert_eq!(owners(None, Some(7)), (vec![Uid(1337)], vec![Gid(7)]));

    for id in [-1, i64::from(u32::MAX)] {
        let settings = PodSettings {
            run_as_user: Some(id),
            ..PodSettings::default()
        };
        let error = settings.resolve().unwrap_err();
        assert!(
            error.to_string().starts_with("securityContext.runAsUser"),
            "{error}"
        );
    }
}

#[test]
fn the_agent_ports_are_excluded_once() {
    let annotations = annotations(&[(Annotation::ExcludeInboundPorts.key(), "15090,22")]);
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    let InboundCapture::AllExcept(ports) = settings.resolve().unwrap().interception.inbound else {
        panic!("all ports are captured");
    };
    let ports: Vec<_> = ports.iter().map(|port| port.first()).collect();
    assert_eq!(ports, [15090, 22, 15020, 15021]);
}

#[test]
fn ranges_of_ports_are_refused_as_istio_refuses_them() {
    for ports in ["10000:20000", "8080-8090", ":1024", "1024:"] {
        for annotation in [
            Annotation::IncludeInboundPorts,
            Annotation::ExcludeInboundPorts,
            Annotation::IncludeOutboundPorts,
            Annotation::ExcludeOutboundPorts,
        ] {
            let key = annotation.key();
            assert_eq!(
                refusal(key, &format!("22,{ports}")),
                format!(
                    "annotation {key} = `22,{ports}`: `{ports}` at position 4 is not a single \
                     port: Istio accepts no ranges of ports in annotations; list the ports, or \
                     those to capture instead of those to exclude"
                )
            );
        }
    }
    let key = Annotation::ExcludeOutboundPorts.key();
    assert!(refusal(key, "-1").contains("is not a port: allowed are whole numbers"));
}

#[test]
fn booleans_of_the_proxy_have_the_syntax_of_go() {
    let env = annotations(&[
        ("ISTIO_META_DNS_CAPTURE", "T"),
        ("INVALID_DROP", "yes"),
        ("ISTIO_DUAL_STACK", "1"),
    ]);
    let settings = PodSettings {
        proxy_env: Some(&env),
        ..PodSettings::default()
    };
    let resolved = settings.resolve().unwrap();
    assert_eq!(resolved.interception.dns, DnsCapture::All);
    assert!(resolved.interception.dual_stack);
    assert!(!resolved.interception.drop_invalid);
    insta::assert_snapshot!(joined(&resolved.warnings), @"environment INVALID_DROP=`yes` of the proxy is not a boolean and counts as false [unknown-value]");
}

#[test]
fn the_mode_is_in_capital_letters() {
    let annotations = annotations(&[(Annotation::InterceptionMode.key(), " TPROXY ")]);
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    let mode = settings.resolve().unwrap().interception.mode;
    assert!(matches!(mode, Mode::Tproxy(_)));
}

#[test]
fn families_follow_the_first_usable_address() {
    let families = |dual_stack, addresses: &[&str]| {
        let mut interception = crate::support::productpage();
        interception.dual_stack = dual_stack;
        let addresses: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        interception.families(&addresses)
    };
    let (v4, both) = (vec![Family::V4], vec![Family::V4, Family::V6]);
    assert_eq!(families(false, &["10.0.0.2", "fd00::2"]), v4);
    assert_eq!(families(true, &["10.0.0.2", "fd00::2"]), both);
    // The proxy's address on lo is not an address of the pod.
    assert_eq!(families(true, &["::6", "10.0.0.2"]), v4);
    assert_eq!(families(false, &["fe80::1", "fd00::2", "10.0.0.2"]), both);
    assert_eq!(families(true, &["10.0.0.2", "fe80::1", "::1"]), v4);
    assert_eq!(families(false, &[]), v4);
}

#[test]
fn a_status_port_of_0_means_none() {
    for (port, is_valid) in [
        ("0", true),
        ("15020", true),
        ("65536", false),
        ("-1", false),
    ] {
        let annotations = annotations(&[(Annotation::StatusPort.key(), port)]);
        let settings = PodSettings {
            annotations: Some(&annotations),
            ..PodSettings::default()
        };
        assert_eq!(settings.resolve().is_ok(), is_valid, "{port}");
    }
}

#[test]
fn a_long_value_is_cut_around_the_invalid_item() {
    let key = Annotation::ExcludeOutboundIpRanges.key();
    let error = refusal(key, &format!("{}10.0.0.0/33", "10.0.0.0/8,".repeat(20_000)));
    insta::assert_snapshot!(error, @"annotation traffic.sidecar.istio.io/excludeOutboundIPRanges = `…0.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/8,10.0.0.0/33`: `10.0.0.0/33` at position 220001 is not an address range: allowed are CIDRs such as 10.0.0.0/8 or fd00::/8");
    let one = refusal(key, &"x".repeat(200_000));
    assert!(one.chars().count() < 600, "{one}");
    assert!(
        one.contains("at position 1 is not an address range"),
        "{one}"
    );
}

#[test]
fn interfaces_times_ranges_have_a_limit() {
    let ranges: Vec<_> = (0..=255).map(|n| format!("10.0.{n}.0/24")).collect();
    let outcome = |count: usize, ranges: &str| {
        let interfaces: Vec<_> = (0..count).map(|n| format!("veth{n}")).collect();
        let annotations = annotations(&[
            (
                Annotation::RerouteVirtualInterfaces.key(),
                &interfaces.join(","),
            ),
            (Annotation::IncludeOutboundIpRanges.key(), ranges),
        ]);
        let settings = PodSettings {
            annotations: Some(&annotations),
            ..PodSettings::default()
        };
        let resolved = settings.resolve();
        resolved.map_err(|error| error.source().expect("the error has a source").to_string())
    };
    // 2,000 / 256 is between 7 and 8.
    assert!(outcome(7, &ranges.join(",")).is_ok());
    insta::assert_snapshot!(outcome(8, &ranges.join(",")).unwrap_err(), @"`veth7` at position 43 is not an interface within the limit: rerouted interfaces times ranges in traffic.sidecar.istio.io/includeOutboundIPRanges must be at most 2000");
    assert!(outcome(40, "*").is_ok());
}

fn joined(warnings: &[Warning]) -> String {
    let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// Checks a list of ranges for a pod with only IPv4 rules.
fn check_ipv4(annotation: Annotation, value: &str) -> String {
    let annotations = annotations(&[(annotation.key(), value)]);
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    match settings.check_families(&[Family::V4]) {
        Ok(warnings) => format!("warnings: {}", joined(&warnings)),
        Err(error) => format!(
            "refused: {error}: {}",
            error.source().expect("the error has a source")
        ),
    }
}

#[test]
fn unsupported_ranges_are_warnings_unless_no_included_range_is_supported() {
    use Annotation::{ExcludeOutboundIpRanges, IncludeOutboundIpRanges};
    let both = "10.0.0.0/8, fd00::/8";
    let many: Vec<_> = (0..16_000).map(|n| format!("fd00:{n:x}::/32")).collect();
    let results = [
        check_ipv4(ExcludeOutboundIpRanges, both),
        check_ipv4(ExcludeOutboundIpRanges, "fd00::/8"),
        check_ipv4(ExcludeOutboundIpRanges, "10.0.0.0/8"),
        check_ipv4(ExcludeOutboundIpRanges, &many.join(",")),
        check_ipv4(IncludeOutboundIpRanges, both),
        check_ipv4(IncludeOutboundIpRanges, "fd00::/8,fd01::/16"),
        check_ipv4(IncludeOutboundIpRanges, "*"),
        check_ipv4(IncludeOutboundIpRanges, ""),
    ];
    crate::support::assert_snapshot!(
        "unsupported-ranges",
        "one line for each list: warnings for excluded ranges, and for included ranges if one of \
         them is IPv4, else a refusal; of many ranges the first eight are named",
        results.join("\n")
    );
}

/// The warnings about these annotations, one line each.
fn warnings(pairs: &[(&str, &str)]) -> String {
    let annotations = annotations(pairs);
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    let resolved = settings.resolve().expect("the values are valid");
    let lines: Vec<_> = resolved.warnings.iter().map(Warning::to_string).collect();
    lines.join("\n")
}

#[test]
fn a_setting_that_another_makes_useless_is_a_warning() {
    const INCLUDE_IN: &str = "traffic.sidecar.istio.io/includeInboundPorts";
    const EXCLUDE_IN: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
    const PORTS: &str = "traffic.sidecar.istio.io/includeOutboundPorts";
    const EXCLUDED_PORTS: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";
    const RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
    const EXCLUDED: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
    const OLD: &str = "traffic.sidecar.istio.io/kubevirtInterfaces";
    const NEW: &str = "istio.io/reroute-virtual-interfaces";
    let cases: [&[(&str, &str)]; 8] = [
        &[(INCLUDE_IN, "8080,9102"), (EXCLUDE_IN, "9102")],
        &[(INCLUDE_IN, ""), (EXCLUDE_IN, "22")],
        &[(PORTS, "3306")],
        &[(RANGES, ""), (PORTS, "80"), (EXCLUDED_PORTS, "80,443")],
        &[(RANGES, ""), (EXCLUDED, "10.0.0.0/8")],
        &[
            (RANGES, "10.0.0.0/8,fd00::/8"),
            (EXCLUDED, "192.168.0.0/16"),
        ],
        &[(OLD, "virbr0"), (NEW, "virbr1")],
        &[(OLD, ""), (NEW, "")],
    ];
    let lines: Vec<_> = cases.iter().map(|case| warnings(case)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    annotation traffic.sidecar.istio.io/excludeInboundPorts has no effect: only the listed inbound ports are captured [setting-without-effect]
    annotation traffic.sidecar.istio.io/excludeInboundPorts has no effect: no inbound port is captured [setting-without-effect]
    annotation traffic.sidecar.istio.io/includeOutboundPorts has no effect: all outbound ports are captured [setting-without-effect]
    annotation traffic.sidecar.istio.io/includeOutboundPorts has no effect: all of these ports are excluded too [setting-without-effect]
    annotation traffic.sidecar.istio.io/excludeOutboundIPRanges has no effect: no captured destination is in these ranges [setting-without-effect]
    annotation traffic.sidecar.istio.io/excludeOutboundIPRanges has no effect: no captured destination is in these ranges [setting-without-effect]
    annotation traffic.sidecar.istio.io/kubevirtInterfaces has no effect: istio.io/reroute-virtual-interfaces, its newer name, is set too [setting-without-effect]
    annotation traffic.sidecar.istio.io/kubevirtInterfaces has no effect: istio.io/reroute-virtual-interfaces, its newer name, is set too [setting-without-effect]
    ");
    let with_effect: [&[(&str, &str)]; 7] = [
        // The injector writes the ports of the proxy's agent in every pod.
        &[(INCLUDE_IN, "8080"), (EXCLUDE_IN, "15020,15021,15090")],
        &[(INCLUDE_IN, "*"), (EXCLUDE_IN, "22")],
        &[(RANGES, ""), (PORTS, "80,81"), (EXCLUDED_PORTS, "80")],
        &[(RANGES, ""), (PORTS, "80"), (EXCLUDED, "10.0.0.0/8")],
        &[(RANGES, "10.0.0.0/8"), (EXCLUDED, "10.1.0.0/16")],
        &[(RANGES, "10.1.0.0/16"), (EXCLUDED, "10.0.0.0/8")],
        &[(OLD, "virbr0")],
    ];
    for case in with_effect {
        assert_eq!(warnings(case), "", "{case:?}");
    }
}

#[test]
fn a_default_that_the_pod_makes_useless_is_no_warning() {
    let annotations = annotations(&[("traffic.sidecar.istio.io/includeInboundPorts", "80")]);
    let defaults = self::annotations(&[("traffic.sidecar.istio.io/excludeInboundPorts", "22")]);
    let settings = PodSettings {
        annotations: Some(&annotations),
        defaults: Some(&defaults),
        ..PodSettings::default()
    };
    assert_eq!(settings.resolve().unwrap().warnings, []);
}

#[test]
fn a_misspelt_setting_is_a_warning_with_the_nearest_one() {
    let misspelt = [
        "traffic.sidecar.istio.io/excludeOutboundPort",
        "traffic.sidecar.istio.io/excludeOutboundIpRanges",
        "traffic.sidecar.istio.io/inculdeInboundPorts",
        "traffic.sidecar.istio.io/excludePorts",
        "sidecar.istio.io/excludeInboundPorts",
        "sidecar.istio.io/interceptionmode",
        "traffic.istio.io/excludeInterfaces",
        "status.sidecar.istio.io/ports",
        "istio.io/reroute-virtual-interface",
    ];
    let lines: Vec<_> = misspelt
        .iter()
        .map(|key| warnings(&[(key, "80")]))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    annotation `traffic.sidecar.istio.io/excludeOutboundPort` is not a setting and has no effect: the nearest setting is `traffic.sidecar.istio.io/excludeOutboundPorts` [unknown-setting]
    annotation `traffic.sidecar.istio.io/excludeOutboundIpRanges` is not a setting and has no effect: the nearest setting is `traffic.sidecar.istio.io/excludeOutboundIPRanges` [unknown-setting]
    annotation `traffic.sidecar.istio.io/inculdeInboundPorts` is not a setting and has no effect: the nearest setting is `traffic.sidecar.istio.io/includeInboundPorts` [unknown-setting]
    annotation `traffic.sidecar.istio.io/excludePorts` is not a setting and has no effect [unknown-setting]
    annotation `sidecar.istio.io/excludeInboundPorts` is not a setting and has no effect: the nearest setting is `traffic.sidecar.istio.io/excludeInboundPorts` [unknown-setting]
    annotation `sidecar.istio.io/interceptionmode` is not a setting and has no effect: the nearest setting is `sidecar.istio.io/interceptionMode` [unknown-setting]
    annotation `traffic.istio.io/excludeInterfaces` is not a setting and has no effect: the nearest setting is `traffic.sidecar.istio.io/excludeInterfaces` [unknown-setting]
    annotation `status.sidecar.istio.io/ports` is not a setting and has no effect [unknown-setting]
    annotation `istio.io/reroute-virtual-interface` is not a setting and has no effect: the nearest setting is `istio.io/reroute-virtual-interfaces` [unknown-setting]
    ");
    let others = [
        "sidecar.istio.io/inject",
        "sidecar.istio.io/status",
        "sidecar.istio.io/proxyCPU",
        "sidecar.istio.io/rewriteAppHTTPProbers",
        "istio.io/rev",
        "prometheus.io/port",
        "prometheus.istio.io/merge-metrics",
        "example.com/excludeOutboundPorts",
        "excludeOutboundPorts",
    ];
    for key in others {
        assert_eq!(warnings(&[(key, "80")]), "", "{key}");
    }
}

#[test]
fn the_warnings_about_unknown_settings_are_limited() {
    let keys: Vec<_> = (0..5000)
        .map(|n| format!("traffic.sidecar.istio.io/x{n}"))
        .collect();
    let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), "")).collect();
    assert_eq!(warnings(&pairs).lines().count(), 8);
}
