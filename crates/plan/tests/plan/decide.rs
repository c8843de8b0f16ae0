//! Decisions: the documented pod, pods that are skipped, and pods that are refused.

use std::error::Error as _;

use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netfilter::{Gid, Listing, drift, parse, render, walk};
use mesh_cni_plan::{
    Decision, MeshConf, PlanError, Redirection, Warning, WarningCode, decide, decide_by_name,
};
use mesh_cni_rules::istio::{OWNERSHIP, PORT_NAMES};
use mesh_cni_rules::{Interception, MAX_RULES, istio};
use mesh_cni_selector::{PodFacts, SkipReason};
use serde_json::json;

const PRODUCTPAGE: &str = include_str!("../../../../examples/bookinfo/productpage.yaml");
const DUMP: &str = include_str!("../../../rules/tests/anchor/documented-dump.nat.v4.txt");

pub(crate) fn productpage() -> PodFacts {
    PodFacts::from_manifest(PRODUCTPAGE).expect("the manifest is a pod")
}

pub(crate) fn conf(entry: &serde_json::Value) -> MeshConf {
    let entry = entry.as_object().expect("an entry is an object");
    MeshConf::decode(entry).expect("the entry is good").conf
}

/// The redirection under the default configuration.
fn istio(redirection: &Redirection) -> &istio::Interception {
    let of_istio = match &redirection.interception {
        Interception::Istio(interception, _) => Some(interception),
        _ => None,
    };
    of_istio.expect("the pod is of Istio")
}

fn redirection(facts: &PodFacts) -> Redirection {
    match decide(facts, &MeshConf::default()) {
        Ok(Decision::Redirect(redirection)) => *redirection,
        other => unreachable!("the pod is not redirected: {other:?}"),
    }
}

pub(crate) fn with_addresses(mut facts: PodFacts, addresses: &[&str]) -> PodFacts {
    let addresses = addresses
        .iter()
        .map(|address| address.parse().expect("an address"));
    facts.addresses = addresses.collect();
    facts
}

#[test]
fn the_documented_pod_gets_the_documented_rules() {
    let redirection = redirection(&productpage());
    assert_eq!(redirection.warnings, []);
    let [rules] = redirection.rule_sets.as_slice() else {
        panic!("a pod without an IPv6 address gets only IPv4 rules");
    };
    let wanted = Listing::parse(DUMP)
        .unwrap()
        .without_counters()
        .print(Layout::Folded);
    let masked = |text: &str| {
        text.replace("127.0.0.6", "127.0.X.X")
            .replace("127.0.0.1", "127.0.X.X")
    };
    assert_eq!(
        masked(&Listing::of(rules, TableName::Nat, &OWNERSHIP).print(Layout::Folded)),
        wanted
    );
}

#[test]
fn a_pod_with_an_ipv6_address_first_gets_both_families() {
    let redirection = redirection(&with_addresses(productpage(), &["fd00::7", "10.0.0.7"]));
    let families = redirection.rule_sets.iter().map(|rules| rules.family);
    assert_eq!(families.collect::<Vec<_>>(), Family::ALL);
}

#[test]
fn an_excluded_namespace_is_skipped_with_its_reason() {
    let conf = conf(&json!({"exclude_namespaces": ["def*"]}));
    let decision = decide(&productpage(), &conf).unwrap();
    assert!(
        matches!(
            &decision,
            Decision::Skip(SkipReason::NamespaceExcluded { .. })
        ),
        "{decision:?}"
    );
    assert_eq!(decide_by_name(&conf, "default", "any"), Some(decision));
    assert_eq!(decide_by_name(&conf, "shop", "any"), None);
}

#[test]
fn the_agents_own_pod_is_decided_by_its_name() {
    let mut facts = productpage();
    facts.name = "mesh-cni-agent-x7k2p".to_owned();
    let own = conf(&json!({"pod_namespace": "default"}));
    assert_eq!(decide(&facts, &own), Ok(Decision::OwnPod));
    let by_name = decide_by_name(&own, "default", "mesh-cni-agent-x7k2p");
    assert_eq!(by_name, Some(Decision::OwnPod));
    let other = conf(&json!({"pod_namespace": "mesh"}));
    assert!(matches!(decide(&facts, &other), Ok(Decision::Redirect(_))));
}

/// `mesh-cnictl select` once answered `redirect` for such a pod.
#[test]
fn a_pod_with_an_invalid_port_in_an_annotation_is_refused() {
    let mut facts = productpage();
    let key = "traffic.sidecar.istio.io/excludeInboundPorts".to_owned();
    facts.annotations.insert(key, "22, 99999".to_owned());
    let error = decide(&facts, &MeshConf::default()).unwrap_err();
    assert!(matches!(error, PlanError::InvalidSetting(_)), "{error}");
}

#[test]
fn a_pod_with_an_invalid_annotation_is_refused() {
    let mut facts = productpage();
    let mode = "sidecar.istio.io/interceptionMode".to_owned();
    facts.annotations.insert(mode, "none".to_owned());
    let error = decide(&facts, &MeshConf::default()).unwrap_err();
    assert!(matches!(error, PlanError::InvalidSetting(_)), "{error}");
}

/// The documented pod with a list of both families, from its annotation or from the defaults.
fn with_ranges(from: &str, addresses: &[&str]) -> Result<Vec<Warning>, String> {
    let key = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
    let ranges = "192.168.0.0/16, fd00:96::/64";
    let mut facts = productpage();
    let conf = if from == "annotation" {
        facts.annotations.insert(key.to_owned(), ranges.to_owned());
        MeshConf::default()
    } else {
        facts.annotations.remove(key);
        conf(&json!({"defaults": {"excludeOutboundIPRanges": ranges}}))
    };
    match decide(&with_addresses(facts, addresses), &conf) {
        Ok(Decision::Redirect(redirection)) => Ok(redirection.warnings),
        Ok(decision) => Err(format!("{decision:?}")),
        Err(error) => {
            let cause = error.source().expect("a setting has its cause");
            Err(format!("{error}: {cause}"))
        }
    }
}

#[test]
fn an_ipv6_exclusion_without_ipv6_rules_is_a_warning() {
    let warnings = with_ranges("annotation", &["10.0.0.7"]).unwrap();
    insta::assert_snapshot!(joined(&warnings), @"annotation traffic.sidecar.istio.io/excludeOutboundIPRanges: no rule is written for `fd00:96::/64` at position 17: only IPv4 rules are written for this pod (IPv6 rules require that its first address is IPv6, or with dual stack any address), and its IPv6 traffic is not redirected [setting-without-effect]");
    // Without dual stack only the first address counts.
    let second_is_ipv6 = with_ranges("annotation", &["10.0.0.7", "fd00::7"]).unwrap();
    assert_eq!(second_is_ipv6[..1], warnings);
    assert_eq!(second_is_ipv6[1].code, WarningCode::Ipv6WithoutRules);
    for addresses in [&["fd00::7", "10.0.0.7"][..], &[], &["fe80::7"]] {
        assert_eq!(with_ranges("annotation", addresses), Ok(Vec::new()));
    }
}

#[test]
fn an_ipv6_range_of_the_defaults_is_a_warning() {
    let warnings = with_ranges("defaults", &["10.0.0.7"]).unwrap();
    insta::assert_snapshot!(joined(&warnings), @"defaults entry traffic.sidecar.istio.io/excludeOutboundIPRanges: no rule is written for `fd00:96::/64` at position 17: only IPv4 rules are written for this pod (IPv6 rules require that its first address is IPv6, or with dual stack any address), and its IPv6 traffic is not redirected [setting-without-effect]");
    assert_eq!(with_ranges("defaults", &["fd00::7"]), Ok(Vec::new()));
}

#[test]
fn a_pod_without_any_usable_captured_range_is_refused() {
    let mut facts = productpage();
    let key = "traffic.sidecar.istio.io/includeOutboundIPRanges".to_owned();
    facts.annotations.insert(key, "fd00:96::/64".to_owned());
    let of = |address: &str| {
        let facts = with_addresses(facts.clone(), &[address]);
        decide(&facts, &MeshConf::default())
    };
    let error = of("10.0.0.7").unwrap_err();
    assert!(matches!(error, PlanError::InvalidSetting(_)), "{error}");
    assert!(matches!(of("fd00::7"), Ok(Decision::Redirect(_))));
}

fn joined(warnings: &[Warning]) -> String {
    let lines: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// The decision for the documented pod if the `securityContext` of the pod and that of the proxy set
/// these users and groups: the exempt users and groups, then the warnings.
fn with_identities(pod: [Option<i64>; 2], proxy: [Option<i64>; 2]) -> String {
    let mut facts = productpage();
    [facts.run_as_user, facts.run_as_group] = pod;
    let mut containers = facts.containers.iter_mut();
    let container = containers.find(|container| container.name == "istio-proxy");
    let container = container.expect("the pod has a proxy");
    [container.run_as_user, container.run_as_group] = proxy;
    match decide(&facts, &MeshConf::default()) {
        Ok(Decision::Redirect(redirection)) => format!(
            "{:?} {:?} {}",
            istio(&redirection).proxy_uids,
            istio(&redirection).proxy_gids,
            joined(&redirection.warnings)
        ),
        Ok(decision) => format!("{decision:?}"),
        Err(error) => format!("refused: {error}"),
    }
}

#[test]
fn the_rules_never_exempt_the_pods_user_and_group() {
    let table = [
        (
            "the injector's",
            [Some(1000), Some(3000)],
            [Some(1337), Some(1337)],
        ),
        ("no group", [Some(1000), Some(3000)], [Some(1337), None]),
        (
            "a group alone",
            [Some(1000), Some(3000)],
            [None, Some(1337)],
        ),
        ("nothing in the pod", [None, None], [None, None]),
        ("the user in the pod", [Some(1337), None], [None, None]),
        (
            "the group in the pod",
            [Some(1000), Some(1337)],
            [None, None],
        ),
        ("other user, no group", [Some(1000), None], [None, None]),
        ("root in the pod", [Some(0), Some(0)], [None, None]),
        ("others in the pod", [Some(1000), Some(3000)], [None, None]),
        (
            "other group of its own",
            [Some(1000), Some(3000)],
            [None, Some(0)],
        ),
        (
            "another user, no group",
            [None, None],
            [Some(1_000_640_000), None],
        ),
        ("root, no group", [None, None], [Some(0), None]),
        ("root and its group", [None, None], [Some(0), Some(0)]),
        ("root, the pod's group", [None, Some(3000)], [Some(0), None]),
        ("root, group 1337", [None, None], [Some(0), Some(1337)]),
    ]
    .map(|(situation, pod, proxy)| {
        let decision = with_identities(pod, proxy);
        format!("{situation}\n  {}", decision.trim_end())
    });
    insta::assert_snapshot!(table.join("\n"), @r"
    the injector's
      [Uid(1337)] [Gid(1337)]
    no group
      [Uid(1337)] [Gid(1337)]
    a group alone
      [Uid(1337)] [Gid(1337)]
    nothing in the pod
      [Uid(1337)] [Gid(1337)]
    the user in the pod
      [Uid(1337)] [Gid(1337)]
    the group in the pod
      [Uid(1337)] [Gid(1337)] containers `productpage` with the proxy's group, whose traffic is not redirected, bypass the proxy: set another runAsGroup [bypasses-proxy]
    other user, no group
      [Uid(1337)] [Gid(1337)] container istio-proxy sets no securityContext.runAsUser, and the rules redirect the pod's user 1000: if the proxy runs as that user, its own traffic may return to it; set runAsUser and runAsGroup of istio-proxy [proxy-redirected-to-itself]
    root in the pod
      [Uid(1337)] [Gid(1337)] container istio-proxy sets no securityContext.runAsUser, and the rules redirect the pod's user 0: if the proxy runs as that user, its own traffic may return to it; set runAsUser and runAsGroup of istio-proxy [proxy-redirected-to-itself]
    others in the pod
      refused: container istio-proxy sets no securityContext.runAsUser and runs as the pod's user 1000 and group 3000, which the rules redirect: its own traffic would return to it; set runAsUser and runAsGroup of istio-proxy, usually to 1337
    other group of its own
      refused: container istio-proxy sets no securityContext.runAsUser and runs as the pod's user 1000 and group 0, which the rules redirect: its own traffic would return to it; set runAsUser and runAsGroup of istio-proxy, usually to 1337
    another user, no group
      [Uid(1000640000)] [Gid(1337)]
    root, no group
      [Uid(1337)] [Gid(1337)] container istio-proxy runs as root with no group, and the rules never exempt root: its own traffic may return to it; set runAsGroup of istio-proxy to 1337 [proxy-redirected-to-itself]
    root and its group
      [Uid(1337)] [Gid(1337)] container istio-proxy runs as root with group 0, and the rules never exempt root: its own traffic may return to it; set runAsGroup of istio-proxy to 1337 [proxy-redirected-to-itself]
    root, the pod's group
      [Uid(1337)] [Gid(1337)] container istio-proxy runs as root with group 3000, and the rules never exempt root: its own traffic may return to it; set runAsGroup of istio-proxy to 1337 [proxy-redirected-to-itself]
    root, group 1337
      [Uid(1337)] [Gid(1337)]
    ");
}

/// The documented pod as a native sidecar with an application, an init container, and a second
/// native sidecar; the proxy and the containers of the mesh run as user and group 7.
fn with_native_sidecars() -> PodFacts {
    let pod = "
kind: Pod
metadata: {name: web}
spec:
  initContainers:
  - {name: istio-validation, securityContext: {runAsUser: 7, runAsGroup: 7}}
  - {name: istio-proxy, restartPolicy: Always, securityContext: {runAsUser: 7, runAsGroup: 7}}
  - {name: logs, restartPolicy: Always}
  - {name: migrate}
  containers: [{name: app}, {name: worker}]
";
    PodFacts::from_manifest(pod).expect("the manifest is a pod")
}

#[test]
fn containers_with_the_proxys_identity_are_a_warning() {
    type Change = fn(&mut PodFacts);
    let cases: [(&str, Change); 9] = [
        ("nobody", |_| {}),
        ("the application's user", |pod| {
            pod.containers[0].run_as_user = Some(7);
        }),
        ("the application's group", |pod| {
            pod.containers[1].run_as_group = Some(7);
        }),
        ("a native sidecar's user", |pod| {
            pod.init_containers[2].run_as_user = Some(7);
        }),
        ("an init container's group", |pod| {
            pod.init_containers[3].run_as_group = Some(7);
        }),
        ("the pod's user", |pod| pod.run_as_user = Some(7)),
        ("the pod's group, and a container with its own", |pod| {
            pod.run_as_group = Some(7);
            pod.containers[0].run_as_group = Some(8);
        }),
        ("user and group of different containers", |pod| {
            pod.containers[0].run_as_user = Some(7);
            pod.containers[1].run_as_group = Some(7);
        }),
        ("many containers", |pod| {
            pod.run_as_user = Some(7);
            let app = pod.containers[0].clone();
            pod.containers = vec![app; 20];
        }),
    ];
    let table = cases.map(|(situation, change)| {
        let mut pod = with_native_sidecars();
        change(&mut pod);
        let warnings = joined(&redirection(&pod).warnings);
        format!("{situation}\n  {warnings}").trim_end().to_owned()
    });
    insta::assert_snapshot!(table.join("\n"), @r"
    nobody
    the application's user
      containers `app` with the proxy's user, whose traffic is not redirected, bypass the proxy: set another runAsUser [bypasses-proxy]
    the application's group
      containers `worker` with the proxy's group, whose traffic is not redirected, bypass the proxy: set another runAsGroup [bypasses-proxy]
    a native sidecar's user
      containers `logs` with the proxy's user, whose traffic is not redirected, bypass the proxy: set another runAsUser [bypasses-proxy]
    an init container's group
      containers `migrate` with the proxy's group, whose traffic is not redirected, bypass the proxy: set another runAsGroup [bypasses-proxy]
    the pod's user
      containers `app`, `worker`, `logs`, `migrate` with the proxy's user, whose traffic is not redirected, bypass the proxy: set another runAsUser [bypasses-proxy]
    the pod's group, and a container with its own
      containers `worker`, `logs`, `migrate` with the proxy's group, whose traffic is not redirected, bypass the proxy: set another runAsGroup [bypasses-proxy]
    user and group of different containers
      containers `app` with the proxy's user, whose traffic is not redirected, bypass the proxy: set another runAsUser [bypasses-proxy]; containers `worker` with the proxy's group, whose traffic is not redirected, bypass the proxy: set another runAsGroup [bypasses-proxy]
    many containers
      containers `app`, `app`, `app`, `app`, `app`, `app`, `app`, `app` and 14 more with the proxy's user, whose traffic is not redirected, bypass the proxy: set another runAsUser [bypasses-proxy]
    ");
}

#[test]
fn an_application_with_the_users_number_as_group_does_not_bypass() {
    let mut pod = with_native_sidecars();
    pod.init_containers[1].run_as_group = None;
    pod.containers[0].run_as_group = Some(7);
    let redirection = redirection(&pod);
    assert_eq!(redirection.warnings, []);
    assert_eq!(istio(&redirection).proxy_gids, [Gid(1337)]);
}

#[test]
fn an_environment_variable_without_a_literal_value_is_a_warning() {
    let mut facts = productpage();
    let proxy = facts
        .containers
        .iter_mut()
        .find(|container| container.name == "istio-proxy");
    proxy.unwrap().env_from.push("INVALID_DROP".to_owned());
    let redirection = redirection(&facts);
    insta::assert_snapshot!(joined(&redirection.warnings), @"environment variable `INVALID_DROP` of the proxy has no literal value and counts as false [unknown-value]");
}

/// Ports from 1 up, as a list.
fn ports(count: u16) -> String {
    let ports: Vec<_> = (1..=count).map(|port| port.to_string()).collect();
    ports.join(",")
}

fn with_annotations(annotations: &[(&str, &str)]) -> PodFacts {
    let mut facts = productpage();
    for (key, value) in annotations {
        facts
            .annotations
            .insert((*key).to_owned(), (*value).to_owned());
    }
    facts
}

const EXCLUDE_INBOUND_PORTS: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
const EXCLUDE_OUTBOUND_PORTS: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";

#[test]
fn the_rules_of_one_pod_are_limited_over_all_settings_and_families() {
    let refusal = |facts: &PodFacts, entry: &serde_json::Value| match decide(facts, &conf(entry)) {
        Err(error @ PlanError::TooManyRules(_)) => format!("{error}\n"),
        other => unreachable!("the pod is not refused: {other:?}"),
    };
    let none = json!({});
    let all = ports(32_766);
    let one_list = with_annotations(&[(EXCLUDE_OUTBOUND_PORTS, &all)]);
    let default = json!({"defaults": {"traffic.sidecar.istio.io/includeOutboundPorts": all}});
    let (more, less) = (ports(1200), ports(1000));
    let two_lists = [
        (EXCLUDE_OUTBOUND_PORTS, more.as_str()),
        (EXCLUDE_INBOUND_PORTS, &less),
    ];
    let half = with_annotations(&two_lists[..1]);
    let ranges: Vec<_> = (0..2000)
        .map(|n| format!("10.{}.{}.0/24", n / 250, n % 250))
        .collect();
    let ranges = ranges.join(",");
    let ranges = with_annotations(&[("traffic.sidecar.istio.io/includeOutboundIPRanges", &ranges)]);
    let table = [
        refusal(&one_list, &none),
        refusal(&productpage(), &default),
        refusal(&with_annotations(&two_lists), &none),
        refusal(&half, &json!({"ruleset": "istio"})),
        refusal(&with_addresses(half.clone(), &["fd00::1"]), &none),
        refusal(&ranges, &none),
    ];
    insta::assert_snapshot!(table.concat(), @"
    32786 rules are more than the limit of 2000 for one pod: annotation traffic.sidecar.istio.io/excludeOutboundPorts causes 32766 of them
    32787 rules are more than the limit of 2000 for one pod: defaults entry traffic.sidecar.istio.io/includeOutboundPorts causes 32766 of them
    2219 rules are more than the limit of 2000 for one pod: annotation traffic.sidecar.istio.io/excludeOutboundPorts causes 1200 of them
    2420 rules are more than the limit of 2000 for one pod: annotation traffic.sidecar.istio.io/excludeOutboundPorts causes 2400 of them
    2439 rules are more than the limit of 2000 for one pod: annotation traffic.sidecar.istio.io/excludeOutboundPorts causes 2400 of them
    2020 rules are more than the limit of 2000 for one pod: annotation traffic.sidecar.istio.io/includeOutboundIPRanges causes 2000 of them
    ");
    assert!(
        decide(&half, &MeshConf::default()).is_ok(),
        "one family, one dialect"
    );
}

#[test]
fn a_pod_with_exactly_the_largest_number_of_rules_is_redirected() {
    const BUILTIN: &str = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]";
    let rules = |excluded: u16| {
        let facts = with_annotations(&[(EXCLUDE_OUTBOUND_PORTS, &ports(excluded))]);
        match decide(&facts, &MeshConf::default()) {
            Ok(Decision::Redirect(mut redirection)) => redirection.rule_sets.pop(),
            _ => None,
        }
    };
    let own = rules(1).unwrap().rule_count() - 1;
    let most = u16::try_from(MAX_RULES - own).unwrap();
    assert_eq!(rules(most + 1), None);
    let rules = rules(most).unwrap();
    assert_eq!(rules.rule_count(), MAX_RULES);

    let saved: String = render::restore(&rules)
        .lines()
        .map(|line| match line.strip_prefix("-N ") {
            Some(chain) => format!(":{chain} - [0:0]\n"),
            None => line.replace("*nat", BUILTIN) + "\n",
        })
        .collect();
    let parsed = parse::save(&saved, Family::V4).unwrap();
    assert_eq!(drift(&rules, &parsed, &OWNERSHIP), None);
    let listing = Listing::of(&parsed, TableName::Nat, &OWNERSHIP);
    let printed = listing.print(Layout::Folded);
    assert_eq!(Listing::parse(&printed).unwrap(), listing);
    let outcome = |port: u16| {
        let packet = format!("out tcp 192.0.2.1:{port} uid 1000")
            .parse()
            .unwrap();
        let walk = walk(&parsed, &packet);
        walk.outcome.display(PORT_NAMES).to_string()
    };
    insta::assert_snapshot!(outcome(most), @"leaves through eth0 to 192.0.2.1:1980, not redirected");
    insta::assert_snapshot!(outcome(most + 1), @"goes to Envoy's outbound listener on 15001, original destination 192.0.2.1:1981");
}
