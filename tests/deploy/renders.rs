//! What each set of values changes in the rendered objects, and Helm's lint.

use std::fs;
use std::process::Command;

use mesh_cni_installer::{Chaining, PLATFORMS, Platform};
use mesh_cni_tests::finish;
use serde_json::Value;

use crate::chart::{folder, object, objects, render, run_helm};

/// The digest of an image.
pub(crate) const DIGEST: &str =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Each set of values: its name, what a reviewer must find, the values.
const SETS: &[(&str, &str, &[&str])] = &[
    (
        "istio-selector-defaults",
        "entry: profile, namespaces, selector and defaults; the role gets namespaces; nothing else \
         but the entry's checksum",
        &[
            r#"profile="istio""#,
            r#"selection="asm-literal""#,
            r#"ruleset="istio""#,
            r#"ipv6="reject""#,
            r#"backend="nft-native""#,
            r#"podSource="agent""#,
            r#"includeNamespaces=["shop","team-*"]"#,
            r#"excludeNamespaceSelector="mesh=off""#,
            r#"defaults={"excludeOutboundPorts":"3306"}"#,
            r#"logging={"level":"debug","asJson":true}"#,
        ],
    ),
    (
        "gke",
        "the binary's directory is in /home; no quota, because kube-system has one",
        &[r#"platform="gke""#],
    ),
    (
        "openshift",
        "stand-alone with Multus: a NetworkAttachmentDefinition, Multus' directories, spc_t",
        &[r#"platform="openshift""#],
    ),
    (
        "multus",
        "stand-alone: Multus's directory of networks, and the networks mesh-cni and istio-cni; the latter \
         contains the entry with standalone",
        &[r#"provider="multus""#, "istioNetworkAttachment=true"],
    ),
    (
        "k3s-owned-first",
        "k3s' directories; mode owned-first with a name of its own; Istio CNI's entry is replaced",
        &[
            r#"platform="k3s""#,
            "istioOwnedCNIConfig=true",
            r#"istioOwnedCNIConfigFileName="01-mesh.conflist""#,
            r#"cniConfFileName="10-flannel.conflist""#,
            "replaceIstioCni=true",
        ],
    ),
    (
        "peers-replaced",
        "a network named kuma-cni without a definition of ours; the entries of two plugins are replaced; the DNS \
         servers of the cluster in the entry",
        &[
            r#"provider="multus""#,
            r#"profile=["linkerd","kuma"]"#,
            r#"networkName="kuma-cni""#,
            r#"clusterDns=["10.96.0.10","fd00:96::a"]"#,
            r#"replace=["linkerd-cni","kuma-cni"]"#,
        ],
    ),
    (
        "pod-network",
        "no host network: the health port on every address; no metrics",
        &[
            "hostNetwork=false",
            "healthPort=8000",
            r#"metricsAddress="off""#,
        ],
    ),
    (
        "operators-own",
        "image, secrets, labels, annotations, environment, scheduling, security as given",
        &[
            r#"hub="registry.example.org/mesh""#,
            r#"tag="1.2""#,
            r#"imagePullSecrets=[{"name":"pull"}]"#,
            r#"podLabels={"team":"net"}"#,
            r#"podAnnotations={"note":"x"}"#,
            r#"daemonSetLabels={"tier":"node"}"#,
            r#"env={"RUST_BACKTRACE":1}"#,
            r#"nodeSelector={"mesh":"yes"}"#,
            r#"tolerations=[{"key":"gpu","operator":"Exists"}]"#,
            r#"affinity={"nodeAffinity":{}}"#,
            r#"updateStrategy={"type":"OnDelete"}"#,
            r#"extraCapabilities=["DAC_OVERRIDE"]"#,
            r#"appArmorProfile={"type":"Unconfined"}"#,
            "resourceQuotas.enabled=true",
        ],
    ),
    (
        "digest",
        "the image by its digest; no tag",
        &[
            r#"hub="registry.example.org/mesh""#,
            r#"digest="sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef""#,
        ],
    ),
    (
        "ambient",
        "entry: profile and settings; the role gets namespaces and pods/status, with a policy; flags of the agent, \
         ztunnel's directory; access to processes although repair is off; istiod's label",
        &[
            r#"profile=["istio","ambient"]"#,
            "repair.enabled=false",
            "ambient.dnsCapture=false",
            r#"ambient.enablementSelectors=[{"namespaceSelector":{"matchLabels":{"mesh":"on"}}}]"#,
            r#"ambient.hostProbeSnatIP="10.0.0.1""#,
            "istioUntaintLabel=true",
        ],
    ),
    (
        "repair-off",
        "no access to processes, no SYS_PTRACE",
        &["repair.enabled=false"],
    ),
    (
        "repair-delete",
        "the right to delete pods instead of the access to processes; a taint to remove, with its right \
         on nodes; a policy and its binding for each of the two rights",
        &[
            "repair.repairPods=false",
            "repair.deletePods=true",
            r#"taint="mesh-cni/not-ready""#,
        ],
    ),
    (
        "repair-label",
        "labels in addition to repair in place: the right to patch pods, names as given; the policy \
         for pods with the label's key",
        &[
            "repair.labelPods=true",
            r#"repair.initContainerName="proof""#,
            r#"repair.brokenPodLabelKey="example.org/mesh""#,
            r#"repair.brokenPodLabelValue="broken""#,
        ],
    ),
    (
        "uninstall",
        "an init container that uninstalls, without any right or token, which alone has the further \
         capability; every node at once",
        &[
            "uninstall.enabled=true",
            r#"extraCapabilities=["DAC_OVERRIDE"]"#,
            "uninstall.restoreIstioCni=true",
            r#"uninstall.restore=["linkerd-cni","kuma-cni"]"#,
            "uninstall.removeBinary=true",
        ],
    ),
];

#[test]
fn each_set_of_values_changes_only_what_it_names() {
    let plain = render(&[]);
    for (name, description, options) in SETS {
        let difference = unified_diff(&plain, &render(options));
        insta::with_settings!({
            snapshot_path => "snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => *description,
        }, { insta::assert_snapshot!(*name, difference) });
    }
}

#[test]
fn a_digest_overrides_the_tag_of_any_image() {
    let digest = format!(r#"digest="{DIGEST}""#);
    let hub = r#"hub="registry.example.org/mesh""#;
    let sets: &[(&[&str], &str)] = &[
        (&[], "localhost/mesh-cni"),
        (&[hub], "registry.example.org/mesh/mesh-cni"),
        (
            &[r#"tag="1.2""#, r#"global.hub="registry.example.org""#],
            "registry.example.org/mesh-cni",
        ),
        (
            &[hub, r#"image="other.example.org/cni""#],
            "other.example.org/cni",
        ),
        // The runtime pulls the digest; the tag is only information.
        (
            &[r#"image="other.example.org/cni:1.2""#],
            "other.example.org/cni:1.2",
        ),
        (&["uninstall.enabled=true"], "localhost/mesh-cni"),
    ];
    for (options, name) in sets {
        let options: Vec<_> = options.iter().copied().chain([&*digest]).collect();
        let pod = object(&options, "DaemonSet")["spec"]["template"]["spec"].clone();
        let lists = ["initContainers", "containers"].map(|list| pod[list].as_array());
        for container in lists.into_iter().flatten().flatten() {
            assert_eq!(
                container["image"],
                format!("{name}@{DIGEST}"),
                "{options:?}"
            );
        }
    }
}

#[test]
fn the_chart_passes_the_lint() {
    let folder = folder();
    let linted = run_helm(&[
        "lint",
        "--strict",
        "--kube-version=1.34.0",
        folder.to_str().unwrap(),
    ]);
    assert_eq!(linted.code, 0, "{}{}", linted.stdout, linted.stderr);
}

#[test]
fn chart_and_agent_agree_on_each_platform() {
    for platform in PLATFORMS {
        let option = format!("platform=\"{}\"", platform.name);
        assert_platform(&object(&[&option], "DaemonSet"), platform);
    }
}

#[test]
fn no_container_is_privileged_and_every_right_is_named() {
    for (name, _, options) in SETS {
        for object in objects(options) {
            let spec = &object["spec"]["template"]["spec"];
            assert_eq!(spec["hostPID"], Value::Null, "{name}");
            let lists = ["initContainers", "containers"].map(|list| spec[list].as_array());
            for container in lists.into_iter().flatten().flatten() {
                let security = &container["securityContext"];
                assert_eq!(security["privileged"], Value::Null, "{name}");
                assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
                assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
                assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
            }
        }
    }
}

/// What differs between two renderings, as lines of `diff --unified`.
pub(crate) fn unified_diff(before: &str, after: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = [("default", before), ("changed", after)].map(|(name, text)| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    });
    let mut diff = Command::new("diff");
    diff.args(["--unified=2", "--label=default", "--label=changed"]);
    finish(diff.args([old, new]), "").stdout
}

/// Checks that the `DaemonSet` has directories and mode of the platform.
pub(crate) fn assert_platform(daemon_set: &Value, platform: &Platform) {
    let volume = |name: &str| {
        let volumes = daemon_set["spec"]["template"]["spec"]["volumes"].as_array();
        let volume = volumes.unwrap().iter().find(|it| it["name"] == name);
        volume.unwrap()["hostPath"]["path"].clone()
    };
    assert_eq!(volume("cni-bin"), platform.bin_dirs[0], "{}", platform.name);
    assert_eq!(volume("cni-conf"), platform.conf_dir, "{}", platform.name);
    assert!(
        has_argument(daemon_set, mode(platform)),
        "{}",
        platform.name
    );
}

fn mode(platform: &Platform) -> &'static str {
    match platform.chaining {
        Chaining::Chained => "--mode=chained",
        Chaining::StandAlone => "--mode=stand-alone",
        Chaining::OwnedFirst => "--mode=owned-first",
        Chaining::DropIn => "--mode=drop-in",
    }
}

fn has_argument(daemon_set: &Value, wanted: &str) -> bool {
    let containers = &daemon_set["spec"]["template"]["spec"]["containers"];
    let arguments = containers[0]["args"].as_array().unwrap();
    arguments.iter().any(|argument| argument == wanted)
}
