//! Values that the schema refuses.

use crate::chart::try_render;
use crate::renders::DIGEST;

/// Invalid values, and what the error must name.
const BAD: &[(&str, &str)] = &[
    (r#"cniBinDirr="/opt/cni/bin""#, "cniBinDirr"),
    (r#"cniBinDir="opt/cni/bin""#, "cniBinDir"),
    (r#"cniConfFileName="10-calico""#, "cniConfFileName"),
    (
        r#"cniConfFileName="../10-calico.conflist""#,
        "cniConfFileName",
    ),
    (r#"cniAgentRunDir="""#, "cniAgentRunDir"),
    (r#"chained="yes""#, "chained"),
    (r#"provider="cilium""#, "provider"),
    (r#"platform="aks""#, "platform"),
    (r#"mode="first""#, "mode"),
    (r#"profile="consul""#, "profile"),
    (r#"profile=["linkerd","consul"]"#, "profile"),
    (r#"profile=["asm","istio"]"#, "profile"),
    ("profile=[]", "profile"),
    (
        r#"ambient={"enabled":true,"enablementSelectors":[]}"#,
        "enablementSelectors is empty",
    ),
    (
        r#"ambient={"enabled":true,"enablementSelectors":[{"podSelectr":{}}]}"#,
        "podSelectr",
    ),
    (r#"ambient.enabled="true""#, "enabled"),
    (r#"ambient.earlierConnections="drop""#, "earlierConnections"),
    (r#"ambient.hostProbeSnatIP="fd00::1""#, "hostProbeSnatIP"),
    (
        r#"ambient.hostProbeSnatIPv6="169.254.7.127""#,
        "hostProbeSnatIPv6",
    ),
    (r#"ambient.systemNamespace="""#, "systemNamespace"),
    (r#"istioUntaintLabel="yes""#, "istioUntaintLabel"),
    (r#"replace=["consul-cni"]"#, "replace"),
    (r#"uninstall.restore=["cilium"]"#, "restore"),
    (r#"networkName="a/b""#, "networkName"),
    (r#"selection="all""#, "selection"),
    (r#"ruleset="none""#, "ruleset"),
    (r#"backend="ipvs""#, "backend"),
    (r#"podSource="file""#, "podSource"),
    (r#"excludeNamespaces="kube-system""#, "excludeNamespaces"),
    (r#"excludeNamespaces=[""]"#, "excludeNamespaces"),
    (
        r#"defaults={"excludeOutboundPorts":3306}"#,
        "excludeOutboundPorts",
    ),
    (r#"logging.level="verbose""#, "level"),
    (r#"repair="on""#, "repair"),
    (r#"repair.enabled="true""#, "enabled"),
    ("repair.repairPod=true", "repairPod"),
    (r#"repair.initContainerName="""#, "initContainerName"),
    (r#"repair.brokenPodLabelKey="a b""#, "brokenPodLabelKey"),
    ("repair.brokenPodLabelValue=true", "brokenPodLabelValue"),
    ("repair.repairPods=false", "there is no action"),
    ("taint=true", "taint"),
    (r#"taint="mesh-cni/not-ready:NoSchedule""#, "taint"),
    (r#"admissionPolicy.enabled="true""#, "enabled"),
    ("healthPort=-1", "healthPort"),
    (r#"metricsAddress="15014""#, "metricsAddress"),
    (r#"seccompProfile.type="runtime/default""#, "seccompProfile"),
    (
        r#"extraCapabilities=["cap_sys_admin"]"#,
        "extraCapabilities",
    ),
    ("resourceQuotas.pods=0", "pods"),
    (r#"digest="0123abcd""#, "digest"),
    (r#"digest="sha256:0123abcd""#, "digest"),
    (
        r#"digest="sha256:0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF""#,
        "digest",
    ),
    (
        r#"digest="sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef""#,
        "digest",
    ),
    (r#"pullPolicy="Sometimes""#, "pullPolicy"),
    (r#"uninstall.enabled="true""#, "enabled"),
    (r#"global.platform="aks""#, "platform"),
];

#[test]
fn an_invalid_value_is_refused_by_name() {
    for (option, named) in BAD {
        let refused = try_render(&[option]);
        assert_ne!(refused.code, 0, "{option} was taken");
        assert!(
            refused.stderr.contains(named),
            "{option}: {}",
            refused.stderr
        );
    }
}

#[test]
fn values_that_contradict_ambient_mode_are_refused() {
    let by_profile = r#"profile=["istio","ambient"]"#;
    for (options, named) in [
        (
            [by_profile, "ambient.enabled=false"],
            "ambient.enabled is `false`, but profile contains ambient",
        ),
        ([by_profile, "hostNetwork=false"], "set hostNetwork=true"),
        (
            ["ambient.enabled=true", "hostNetwork=false"],
            "set hostNetwork=true",
        ),
    ] {
        let refused = try_render(&options);
        assert_ne!(refused.code, 0, "{options:?}");
        assert!(refused.stderr.contains(named), "{}", refused.stderr);
    }
    let accepted = try_render(&["ambient.enabled=false", "hostNetwork=false"]);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
}

#[test]
fn two_digests_are_refused() {
    let image = format!(r#"image="registry.example.org/mesh-cni@{DIGEST}""#);
    let refused = try_render(&[&image, &format!(r#"digest="{DIGEST}""#)]);
    assert_ne!(refused.code, 0);
    let named = "digest is set, and image `registry.example.org/mesh-cni@sha256:";
    assert!(refused.stderr.contains(named), "{}", refused.stderr);
}
