//! The field `ipv6`: pods whose first address is IPv4.
#![expect(clippy::panic, reason = "a test ends where it fails")]

use mesh_cni_netfilter::Family;
use mesh_cni_plan::{Decision, Ipv6Mode, MeshConf, Redirection, WarningCode, decide};
use mesh_cni_rules::{redirects, reject_ipv6};
use serde_json::json;

use crate::decide::{conf, productpage, with_addresses};

/// The redirection of the documented pod with these addresses.
fn redirection(mode: &str, dual_stack: bool, addresses: &[&str]) -> Redirection {
    let mut facts = with_addresses(productpage(), addresses);
    let mut containers = facts.containers.iter_mut();
    let proxy = containers.find(|container| container.name == "istio-proxy");
    let env = &mut proxy.expect("the pod has a proxy").env;
    env.insert("ISTIO_DUAL_STACK".to_owned(), dual_stack.to_string());
    match decide(&facts, &conf(&json!({"ipv6": mode}))) {
        Ok(Decision::Redirect(redirection)) => *redirection,
        other => panic!("{other:?}"),
    }
}

/// What happens to IPv6: `redirected`, `refused` or `open`; then the codes of the warnings.
fn outcome(mode: &str, dual_stack: bool, addresses: &[&str]) -> String {
    let redirection = redirection(mode, dual_stack, addresses);
    let ipv6 = redirection
        .rule_sets
        .iter()
        .find(|rules| rules.family == Family::V6);
    let what = match ipv6 {
        Some(rules) if redirects(rules) => "redirected",
        Some(rules) if *rules == reject_ipv6() => "refused",
        Some(rules) => panic!("{rules:?}"),
        None => "open",
    };
    let codes = redirection
        .warnings
        .iter()
        .map(|warning| warning.code.as_str());
    [what]
        .into_iter()
        .chain(codes)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn each_mode_decides_about_pods_without_ipv6_rules() {
    for (addresses, dual_stack, expected) in [
        // as-mesh, reject, redirect
        (
            &["10.0.0.7", "fd00::7"][..],
            false,
            ["open ipv6-without-rules", "refused", "redirected"],
        ),
        (
            &["10.0.0.7", "2001:db8::7"],
            false,
            ["open ipv6-without-rules", "refused", "redirected"],
        ),
        (&["10.0.0.7", "fe80::7"], false, ["open", "refused", "open"]),
        (&["10.0.0.7"], false, ["open", "refused", "open"]),
        (&[], false, ["open", "refused", "open"]),
        (&["10.0.0.7", "fd00::7"], true, ["redirected"; 3]),
        (&["fd00::7", "10.0.0.7"], false, ["redirected"; 3]),
        (&["fd00::7"], false, ["redirected"; 3]),
    ] {
        let found =
            ["as-mesh", "reject", "redirect"].map(|mode| outcome(mode, dual_stack, addresses));
        assert_eq!(found, expected, "{addresses:?}, dual stack {dual_stack}");
    }
}

#[test]
fn the_warning_names_the_address_and_what_to_do() {
    let warnings = redirection("as-mesh", false, &["10.0.0.7", "fe80::7", "fd00::7"]).warnings;
    assert_eq!(warnings[0].code, WarningCode::Ipv6WithoutRules);
    insta::assert_snapshot!(warnings[0], @"the pod has address fd00::7 and gets no IPv6 rules, because its first address is IPv4: IPv6 traffic bypasses the proxy; set field `ipv6` of the plugin's configuration to `reject` or `redirect`, or ISTIO_DUAL_STACK of istio-proxy to true [ipv6-without-rules]");
}

#[test]
fn as_mesh_is_the_default_and_other_values_are_refused() {
    assert_eq!(MeshConf::default().ipv6, Ipv6Mode::AsMesh);
    let error = MeshConf::from_json(r#"{"ipv6": "drop"}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"invalid field `ipv6` of the network configuration, found `"drop"`"#
    );
}

#[test]
fn a_kernel_without_ipv6_refuses_nothing() {
    let on_kernel = |mode: &str, has_ipv6| conf(&json!({"ipv6": mode})).on_kernel(|| has_ipv6).ipv6;
    assert_eq!(on_kernel("reject", true), Ipv6Mode::Reject);
    assert_eq!(on_kernel("reject", false), Ipv6Mode::AsMesh);
    assert_eq!(on_kernel("redirect", false), Ipv6Mode::Redirect);
}
