//! Values of Istio CNI's chart: each is honoured, or refused with what to set instead.

use std::collections::BTreeSet;
use std::fs;

use mesh_cni_tests::Finished;
use serde_json::Value;

use crate::chart::{repository, try_render, try_render_with};
use crate::readme::leaves;
use crate::renders::unified_diff;

/// What happens to another setting than Istio's default.
enum Fate {
    /// It changes what the chart renders, in the presence of these other values.
    Honoured(&'static [&'static str]),
    /// It is refused, with this remedy.
    Refused(&'static str),
    /// It changes nothing in ambient mode: either setting is true here.
    Fulfilled,
}
use Fate::{Fulfilled, Honoured, Refused};

/// Ambient mode is on.
const AMBIENT: &[&str] = &["ambient.enabled=true"];

/// Each value of Istio CNI's chart, another setting than its default, and its fate.
#[rustfmt::skip]
const VALUES: &[(&str, &str, Fate)] = &[
    ("_internal_defaults_do_not_set", r#"{"chained":true}"#, Refused("move the values below it one level up")),
    ("affinity", r#"{"nodeAffinity":{}}"#, Honoured(&[])),
    ("ambient.configDir", r#""/etc/ambient-config""#, Refused("the entry in the network configuration list has all settings")),
    ("ambient.dnsCapture", "false", Honoured(AMBIENT)),
    ("ambient.enableAmbientDetectionRetry", "true", Fulfilled),
    ("ambient.enabled", "true", Honoured(&[])),
    ("ambient.enablementSelectors", r#"[{"podSelector":{"matchLabels":{"mesh":"on"}}}]"#, Honoured(AMBIENT)),
    ("ambient.ipv6", "false", Honoured(AMBIENT)),
    ("ambient.reconcileIptablesOnStartup", "false", Refused("the agent compares the rules of enrolled pods")),
    ("ambient.redirectMode", r#""ebpf""#, Refused("set backend")),
    ("ambient.shareHostNetworkNamespace", "true", Fulfilled),
    ("chained", "false", Honoured(&[])),
    ("cni", r#"{"chained":true}"#, Refused("move the values below it one level up")),
    ("cniBinDir", r#""/usr/libexec/cni""#, Honoured(&[])),
    ("cniConfDir", r#""/etc/kubernetes/cni""#, Honoured(&[])),
    ("cniConfFileName", r#""10-calico.conflist""#, Honoured(&[])),
    ("cniNetnsDir", r#""/var/run/docker/netns""#, Refused("the plugin passes open namespaces to the agent")),
    ("compatibilityVersion", r#""1.27""#, Refused("set selection and ruleset")),
    ("daemonSetLabels", r#"{"team":"net"}"#, Honoured(&[])),
    ("env", r#"{"GODEBUG":"x"}"#, Honoured(&[])),
    ("env", r#"{"HOST_PROBE_SNAT_IP":"10.0.0.1"}"#, Refused("set ambient.hostProbeSnatIP")),
    ("env", r#"{"AMBIENT_DNS_CAPTURE":"false"}"#, Refused("set ambient.dnsCapture")),
    ("env", r#"{"ZTUNNEL_UDS_ADDRESS":"/run/ztunnel.sock"}"#, Refused("the chart mounts /var/run/ztunnel")),
    ("excludeNamespaces", r#"["kube-system","istio-system"]"#, Honoured(&[])),
    ("global.defaultResources.requests.cpu", r#""250m""#, Honoured(&["resources=null"])),
    ("global.defaultResources.requests.memory", r#""250Mi""#, Honoured(&["resources=null"])),
    ("global.hub", r#""registry.example.org""#, Honoured(&["hub=null"])),
    ("global.hub", r#""docker.io/istio""#, Refused("set tag")),
    ("global.imagePullPolicy", r#""Always""#, Honoured(&[])),
    ("global.imagePullSecrets", r#"["private-registry-key"]"#, Honoured(&[])),
    ("global.logAsJson", "true", Honoured(&[])),
    ("global.logging.level", r#""debug""#, Honoured(&[])),
    ("global.logging.level", r#""default:info,cni:info""#, Refused("set logging.level")),
    ("global.nativeNftables", "true", Refused("set backend=nft-native too")),
    ("global.networkPolicy.enabled", "true", Honoured(&[])),
    ("global.platform", r#""k3s""#, Honoured(&[])),
    ("global.resourceScope", r#""namespace""#, Refused("set `all`")),
    ("global.tag", r#""1.2""#, Honoured(&[])),
    ("global.variant", r#""distroless""#, Refused("the image has no variants")),
    ("hub", r#""registry.example.org/other""#, Honoured(&[])),
    ("hub", r#""docker.io/istio""#, Refused("set hub to the registry of mesh-cni")),
    ("image", r#""registry.example.org/other:1""#, Honoured(&[])),
    ("image", r#""install-cni""#, Refused("name the image of mesh-cni")),
    ("image", r#""gcr.io/gke-release/asm/install-cni:1.20.8-asm.6""#, Refused("name the image of mesh-cni")),
    ("image", r#""registry.example.org/mirror/install-cni@sha256:00""#, Refused("name the image of mesh-cni")),
    ("image", r#""docker.io/istio/pilot:1.27.0""#, Refused("name the image of mesh-cni")),
    ("istioOwnedCNIConfig", "true", Honoured(&[])),
    ("istioOwnedCNIConfigFileName", r#""01-istio.conflist""#, Honoured(&[])),
    ("logLevel", r#""debug""#, Refused("set logging.level")),
    ("logging.level", r#""debug""#, Honoured(&[])),
    ("logging.level", r#""all:debug""#, Refused("set logging.level to one of them")),
    ("ownerName", r#""operator""#, Refused("set daemonSetLabels")),
    ("platform", r#""gke""#, Honoured(&[])),
    ("podAnnotations", r#"{"note":"x"}"#, Honoured(&[])),
    ("podLabels", r#"{"team":"net"}"#, Honoured(&[])),
    ("podMonitor.enabled", "true", Honoured(&[])),
    ("podMonitor.interval", r#""15s""#, Honoured(&["podMonitor.enabled=true"])),
    ("privileged", "true", Refused("set extraCapabilities or seLinuxOptions")),
    ("profile", r#""ambient""#, Honoured(&[])),
    ("profile", r#""openshift""#, Refused("it is asm, istio, linkerd, kuma, ambient or a list")),
    ("provider", r#""multus""#, Honoured(&[])),
    ("psp_cluster_role", r#""psp""#, Refused("Pod Security level privileged")),
    ("pullPolicy", r#""Always""#, Honoured(&[])),
    ("repair.brokenPodLabelKey", r#""example.org/broken""#, Honoured(&["repair.labelPods=true"])),
    ("repair.brokenPodLabelValue", r#""yes""#, Honoured(&["repair.labelPods=true"])),
    ("repair.deletePods", "true", Honoured(&["repair.repairPods=false"])),
    ("repair.enabled", "false", Honoured(&[])),
    ("repair.hub", r#""docker.io/istio""#, Refused("set hub")),
    ("repair.initContainerName", r#""other""#, Honoured(&[])),
    ("repair.labelPods", "true", Honoured(&[])),
    ("repair.repairPods", "false", Honoured(&["repair.labelPods=true"])),
    ("repair.tag", r#""1.27.0""#, Refused("set tag")),
    ("resourceQuotas.enabled", "true", Honoured(&[])),
    ("resourceQuotas.pods", "100", Honoured(&["resourceQuotas.enabled=true"])),
    ("resources.requests.cpu", r#""250m""#, Honoured(&[])),
    ("resources.requests.memory", r#""250Mi""#, Honoured(&[])),
    ("revision", r#""1-27""#, Refused("serves all revisions")),
    ("rollingMaxUnavailable", r#""5%""#, Refused("set updateStrategy.rollingUpdate.maxUnavailable")),
    ("seLinuxOptions", r#"{"type":"spc_t"}"#, Honoured(&[])),
    ("seccompProfile", r#"{"type":"Unconfined"}"#, Honoured(&[])),
    ("tag", r#""1.2""#, Honoured(&[])),
    ("terminationGracePeriodSeconds", "30", Honoured(&[])),
    ("tolerations", "[]", Honoured(&[])),
    ("updateStrategy.rollingUpdate.maxUnavailable", r#""5%""#, Honoured(&[])),
    ("updateStrategy.type", r#""OnDelete""#, Honoured(&[])),
    ("useAppArmorAnnotation", "true", Honoured(&[])),
    ("variant", r#""debug""#, Refused("the image has no variants")),
];

/// A registry of mesh-cni's image.
const HUB: &str = r#"hub="registry.example.org/mesh""#;

#[test]
fn every_value_is_honoured_or_refused_with_what_to_set_instead() {
    for (name, setting, fate) in VALUES {
        let option = format!("{name}={setting}");
        let with = |others: &[&'static str]| {
            let before: Vec<&str> = [HUB].iter().chain(others).copied().collect();
            let after: Vec<&str> = before.iter().copied().chain([&*option]).collect();
            (try_render(&before), try_render(&after))
        };
        match fate {
            Honoured(others) => {
                let (before, after) = with(others);
                assert_eq!(after.code, 0, "{option}: {}", after.stderr);
                assert_ne!(before.stdout, after.stdout, "{option} was dropped");
            }
            Refused(remedy) => {
                let others: &[_] = match *name {
                    "global.hub" => &[r#"global.tag="1.27.0""#],
                    _ => &[],
                };
                let (_, after) = with(others);
                let line = after.stderr.lines().find(|line| line.contains(remedy));
                let line = line.unwrap_or_else(|| panic!("{option}: {}", after.stderr));
                let named = name.rsplit_once('.').map_or(*name, |(_, last)| last);
                assert!(line.contains(named) || *name == "global.hub", "{line}");
                assert_eq!(reasons(&after), 1, "{option}: {}", after.stderr);
            }
            Fulfilled => {
                let (before, after) = with(AMBIENT);
                assert_eq!(before.stdout, after.stdout, "{option}: {}", after.stderr);
                assert_eq!(after.code, 0, "{option}: {}", after.stderr);
            }
        }
    }
}

#[test]
fn native_nftables_are_accepted_with_the_back_end_that_writes_them() {
    let accepted = try_render(&["global.nativeNftables=true", r#"backend="nft-native""#]);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
}

#[test]
fn every_value_of_istios_chart_has_a_fate_and_a_row_in_the_documentation() {
    let mut names: BTreeSet<String> = VALUES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let document = fs::read_to_string(repository().join("docs/istio-cni-values.md")).unwrap();
    let undocumented: Vec<_> = names
        .iter()
        .filter(|name| !document.contains(&format!("| `{name}` |")))
        .collect();
    assert!(undocumented.is_empty(), "no row for {undocumented:?}");
    for file in ["current", "older"] {
        for name in leaves("", &values(file)) {
            let short = ["_internal_defaults_do_not_set.", "cni."];
            let short = short.iter().find_map(|level| name.strip_prefix(level));
            let name = short.unwrap_or(&name);
            assert!(names.contains(name), "{name} of {file}.yaml");
        }
    }
    names.retain(|name| !document.contains(name));
    assert!(names.is_empty());
}

#[test]
fn istios_defaults_install_with_an_image_of_ours() {
    let wrapped = render_file(&values("current"), &[]);
    assert!(
        wrapped.stderr.contains("_internal_defaults_do_not_set is"),
        "{}",
        wrapped.stderr
    );
    let older = render_file(&values("older"), &[]);
    for named in [
        "cni is a list of values",
        "global.hub is",
        "global.logging.level is",
    ] {
        assert!(older.stderr.contains(named), "{named}: {}", older.stderr);
    }

    let mut defaults = values("current")["_internal_defaults_do_not_set"].clone();
    let istios = render_file(&defaults, &[]);
    assert!(
        istios.stderr.contains("image is `install-cni`"),
        "{}",
        istios.stderr
    );
    assert_eq!(reasons(&istios), 1, "{}", istios.stderr);
    defaults.as_object_mut().unwrap().remove("image");
    let without_image = render_file(&defaults, &[]);
    let named = "global.hub is `registry.istio.io/testing`";
    assert!(
        without_image.stderr.contains(named),
        "{}",
        without_image.stderr
    );

    let ours = [HUB, r#"tag="0.1.0""#];
    let carried = render_file(&defaults, &ours);
    assert_eq!(carried.code, 0, "{}", carried.stderr);
    let difference = unified_diff(&try_render(&ours).stdout, &carried.stdout);
    insta::with_settings!({
        snapshot_path => "snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => "Istio's requests, tolerations, grace period and AppArmor annotation; nothing else",
    }, { insta::assert_snapshot!("istio-cni-defaults", difference) });
}

/// Renders the chart with a file of values and further values.
fn render_file(values: &Value, options: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.json");
    fs::write(&file, values.to_string()).unwrap();
    try_render_with(
        &["--kube-version=1.34.0", "--values", file.to_str().unwrap()],
        options,
    )
}

/// The number of values that the chart refuses.
fn reasons(refused: &Finished) -> usize {
    let lines = refused.stderr.lines();
    lines.filter(|line| line.starts_with("  - ")).count()
}

fn values(file: &str) -> Value {
    let path = repository().join(format!("tests/deploy/istio-cni-values/{file}.yaml"));
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
