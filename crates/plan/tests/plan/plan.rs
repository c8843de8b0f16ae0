//! Plans: the documented pod, and pods that have no answer.

use std::error::Error as _;

use mesh_cni_plan::{MeshConf, Plan, PlanError, plan};
use mesh_cni_rules::Listing;
use mesh_cni_rules::listing::Layout;
use mesh_cni_rules::ruleset::{Family, TableName};
use mesh_cni_selector::{PodFacts, SkipReason};
use serde_json::json;

const PRODUCTPAGE: &str = include_str!("../../../../examples/bookinfo/productpage.yaml");
const DUMP: &str = include_str!("../../../rules/tests/anchor/documented-dump.nat.v4.txt");

fn productpage() -> PodFacts {
    PodFacts::from_manifest(PRODUCTPAGE).expect("the manifest is a pod")
}

fn conf(entry: &serde_json::Value) -> MeshConf {
    let entry = entry.as_object().expect("an entry is an object");
    MeshConf::decode(entry).expect("the entry is good").conf
}

#[test]
fn the_documented_pod_gets_the_documented_rules() {
    let Plan::Redirect(redirection) = plan(&productpage(), &MeshConf::default(), &[]).unwrap()
    else {
        panic!("the documented pod is redirected");
    };
    assert_eq!(redirection.warnings, Vec::<String>::new());
    let [rules] = redirection.rule_sets.as_slice() else {
        panic!("a pod without an IPv6 address gets IPv4 rules alone");
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
        masked(&Listing::of(rules, TableName::Nat).print(Layout::Folded)),
        wanted
    );
}

#[test]
fn a_pod_with_an_ipv6_address_first_gets_both_families() {
    let addresses = ["fd00::7".parse().unwrap(), "10.0.0.7".parse().unwrap()];
    let Plan::Redirect(redirection) =
        plan(&productpage(), &MeshConf::default(), &addresses).unwrap()
    else {
        panic!("the documented pod is redirected");
    };
    let families = redirection.rule_sets.iter().map(|rules| rules.family);
    assert_eq!(families.collect::<Vec<_>>(), Family::ALL);
}

#[test]
fn an_excluded_namespace_is_skipped_with_its_reason() {
    let conf = conf(&json!({"exclude_namespaces": ["def*"]}));
    let Plan::Skip(reason) = plan(&productpage(), &conf, &[]).unwrap() else {
        panic!("the namespace is excluded");
    };
    assert!(
        matches!(reason, SkipReason::NamespaceExcluded { .. }),
        "{reason}"
    );
}

#[test]
fn a_wrong_annotation_has_no_answer() {
    let mut facts = productpage();
    let mode = "sidecar.istio.io/interceptionMode".to_owned();
    facts.annotations.insert(mode, "NONE".to_owned());
    let error = plan(&facts, &MeshConf::default(), &[]).unwrap_err();
    assert!(matches!(error, PlanError::InvalidSetting(_)), "{error}");
}

/// The documented pod with a list of both families, from its annotation or from the defaults.
fn with_ranges(from: &str, addresses: &[&str]) -> Result<Vec<String>, String> {
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
    let addresses: Vec<_> = addresses.iter().map(|text| text.parse()).collect();
    let addresses = addresses.into_iter().collect::<Result<Vec<_>, _>>();
    let addresses = addresses.expect("these are addresses");
    match plan(&facts, &conf, &addresses) {
        Ok(Plan::Redirect(redirection)) => Ok(redirection.warnings),
        Ok(skip) => Err(format!("{skip:?}")),
        Err(error) => {
            let cause = error.source().expect("a setting has its cause");
            Err(format!("{error}: {cause}"))
        }
    }
}

#[test]
fn an_ipv6_exclusion_where_ipv6_is_left_alone_anyway_is_told() {
    let told = with_ranges("annotation", &["10.0.0.7"]).unwrap();
    insta::assert_snapshot!(told.join("\n"), @"annotation traffic.sidecar.istio.io/excludeOutboundIPRanges: no rule for `fd00:96::/64` at position 17: here IPv4 rules alone are written (IPv6 ones follow an IPv6 address: the first one, or with dual stack any), and IPv6 traffic is left alone");
    // A second address alone changes nothing without dual stack.
    assert_eq!(
        with_ranges("annotation", &["10.0.0.7", "fd00::7"]),
        Ok(told)
    );
    for addresses in [&["fd00::7", "10.0.0.7"][..], &[], &["fe80::7"]] {
        assert_eq!(with_ranges("annotation", addresses), Ok(Vec::new()));
    }
}

#[test]
fn an_ipv6_range_of_the_defaults_is_told() {
    let told = with_ranges("defaults", &["10.0.0.7"]).unwrap();
    insta::assert_snapshot!(told.join("\n"), @"defaults entry traffic.sidecar.istio.io/excludeOutboundIPRanges: no rule for `fd00:96::/64` at position 17: here IPv4 rules alone are written (IPv6 ones follow an IPv6 address: the first one, or with dual stack any), and IPv6 traffic is left alone");
    assert_eq!(with_ranges("defaults", &["fd00::7"]), Ok(Vec::new()));
}

#[test]
fn captured_ranges_of_which_none_can_be_refuse_the_pod() {
    let mut facts = productpage();
    let key = "traffic.sidecar.istio.io/includeOutboundIPRanges".to_owned();
    facts.annotations.insert(key, "fd00:96::/64".to_owned());
    let of = |address: &str| {
        let addresses = [address.parse().unwrap()];
        plan(&facts, &MeshConf::default(), &addresses)
    };
    let error = of("10.0.0.7").unwrap_err();
    assert!(matches!(error, PlanError::InvalidSetting(_)), "{error}");
    assert!(matches!(of("fd00::7"), Ok(Plan::Redirect(_))));
}

/// What comes of the documented pod where the `securityContext` of the pod and that of the proxy
/// name these users and groups: the owners that the rules let pass, then what is told.
fn with_identities(pod: [Option<i64>; 2], proxy: [Option<i64>; 2]) -> String {
    let mut facts = productpage();
    [facts.run_as_user, facts.run_as_group] = pod;
    let mut containers = facts.containers.iter_mut();
    let container = containers.find(|container| container.name == "istio-proxy");
    let container = container.expect("the pod has a proxy");
    [container.run_as_user, container.run_as_group] = proxy;
    match plan(&facts, &MeshConf::default(), &[]) {
        Ok(Plan::Redirect(redirection)) => format!(
            "{:?} {:?} {}",
            redirection.interception.proxy_uids,
            redirection.interception.proxy_gids,
            redirection.warnings.join("; ")
        ),
        Ok(Plan::Skip(reason)) => reason.to_string(),
        Err(error) => format!("refused: {error}"),
    }
}

#[test]
fn the_pods_own_user_and_group_never_pass_the_rules() {
    let told = [
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
    ]
    .map(|(situation, pod, proxy)| {
        let told = with_identities(pod, proxy);
        format!("{situation}\n  {}", told.trim_end())
    });
    insta::assert_snapshot!(told.join("\n"), @r"
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
      [Uid(1337)] [Gid(1337)]
    other user, no group
      [Uid(1337)] [Gid(1337)] container istio-proxy has no securityContext.runAsUser, and the pod's, 1000, is not what the rules let pass: unless the proxy takes another, what it sends out may be redirected to itself; set runAsUser and runAsGroup of istio-proxy
    root in the pod
      [Uid(1337)] [Gid(1337)] container istio-proxy has no securityContext.runAsUser, and the pod's, 0, is not what the rules let pass: unless the proxy takes another, what it sends out may be redirected to itself; set runAsUser and runAsGroup of istio-proxy
    others in the pod
      refused: container istio-proxy has no securityContext.runAsUser and would run as user 1000, the pod's, and group 3000: what the proxy sends out would be redirected to itself; set runAsUser and runAsGroup of istio-proxy, to 1337 as a rule
    other group of its own
      refused: container istio-proxy has no securityContext.runAsUser and would run as user 1000, the pod's, and group 0: what the proxy sends out would be redirected to itself; set runAsUser and runAsGroup of istio-proxy, to 1337 as a rule
    ");
}

#[test]
fn an_environment_that_cannot_be_read_is_told() {
    let mut facts = productpage();
    let proxy = facts
        .containers
        .iter_mut()
        .find(|container| container.name == "istio-proxy");
    proxy.unwrap().env_from.push("INVALID_DROP".to_owned());
    let Plan::Redirect(redirection) = plan(&facts, &MeshConf::default(), &[]).unwrap() else {
        panic!("the documented pod is redirected");
    };
    insta::assert_snapshot!(redirection.warnings.join("\n"), @"environment INVALID_DROP of the proxy is no literal value and counts as false");
}
