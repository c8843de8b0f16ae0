//! `select`: the decision, its reason, the conditions, the exit code.

use crate::support::{Ended, PRODUCTPAGE, REVIEWS, Run, assert_snapshot, run};

#[test]
fn a_pod_with_a_sidecar_is_redirected() {
    assert_snapshot!(
        "select-productpage",
        "exit 0; the decision, then six conditions that all hold, each with its fact",
        run(&["select", "--pod", PRODUCTPAGE])
    );
}

#[test]
fn a_pod_without_a_sidecar_is_skipped() {
    assert_snapshot!(
        "select-reviews",
        "exit 1, and nothing on stderr; three conditions do not hold, and the first is the reason",
        run(&["select", "--pod", REVIEWS])
    );
}

#[test]
fn json_contains_the_reason_and_the_conditions() {
    assert_snapshot!(
        "select-reviews-json",
        "exit 1; the reason with its code, and every condition",
        run(&["select", "--pod", REVIEWS, "--output", "json"])
    );
}

#[test]
fn json_contains_the_kind_of_sidecar() {
    let arguments = ["select", "--pod", PRODUCTPAGE, "--output", "json"];
    let report: serde_json::Value = serde_json::from_str(&run(&arguments).result()).unwrap();
    assert_eq!(report["decision"], "redirect");
    assert_eq!(report["sidecar"], "container");
}

#[test]
fn a_warning_is_printed_with_its_code() {
    let pod = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "cart",
        "annotations": {"sidecar.istio.io/status": "{}"}},
        "spec": {"containers": [{"name": "app"}, {"name": "istio-proxy", "env": [
            {"name": "ISTIO_DUAL_STACK", "value": "perhaps"}]}]}}"#;
    let message =
        "environment ISTIO_DUAL_STACK=`perhaps` of the proxy is not a boolean and counts as false";
    let arguments = ["select", "--pod", "-"];
    let text = Run::new(&arguments).with_input(pod);
    assert_eq!(
        text.stderr,
        format!("warning: pod shop/cart: {message} [unknown-value]\n")
    );
    let document = Run::new(&["select", "--pod", "-", "--output", "json"]).with_input(pod);
    let report: serde_json::Value = serde_json::from_str(&document.result()).unwrap();
    let warnings = serde_json::json!([{"code": "unknown-value", "message": message}]);
    assert_eq!(report["warnings"], warnings);
}

#[test]
fn a_list_contains_the_entry() {
    let list = r#"{"cniVersion": "1.0.0", "name": "n", "plugins": [
        {"type": "bridge"},
        {"type": "mesh-cni", "selection": "istio", "exclude_namespaces": ["def*"], "colour": "red"}
    ]}"#;
    let arguments = ["select", "--pod", PRODUCTPAGE, "--conf", "-"];
    assert_snapshot!(
        "select-conflist",
        "exit 1 for the excluded namespace; the conditions of selection istio; a warning about the \
         unknown field on stderr",
        Run::new(&arguments).with_input(list)
    );
}

#[test]
fn colours_follow_the_environment() {
    let arguments = ["select", "--pod", PRODUCTPAGE];
    let forced = || Run::new(&arguments).env("CLICOLOR_FORCE", "1");
    assert!(forced().with_input("").stdout.contains('\u{1b}'));
    let refused = forced().env("NO_COLOR", "1").with_input("");
    assert!(!refused.stdout.contains('\u{1b}'));
    assert!(!run(&arguments).stdout.contains('\u{1b}'));
}

/// Pods and configurations for which the plugin returns an error, and the start of the error.
const REJECTED: [(&str, &str, &str); 4] = [
    (
        "annotations: {traffic.sidecar.istio.io/excludeInboundPorts: '22, 99999'}",
        "{\"type\": \"mesh-cni\"}",
        "error: pod default/web: annotation traffic.sidecar.istio.io/excludeInboundPorts = \
         `22, 99999`: `99999` at position 5 is not a port",
    ),
    (
        "annotations: {traffic.sidecar.istio.io/includeOutboundIPRanges: 'fd00::/8'}",
        "{\"type\": \"mesh-cni\"}",
        "error: pod default/web: annotation traffic.sidecar.istio.io/includeOutboundIPRanges = \
         `fd00::/8`: `fd00::/8` at position 1 is not an IPv4 range",
    ),
    (
        "labels: {user: '4000'}",
        "{\"type\": \"mesh-cni\"}",
        "error: pod default/web: container istio-proxy sets no securityContext.runAsUser",
    ),
    (
        "labels: {}",
        "{\"type\": \"mesh-cni\", \"exclude_namespace_selector\": \"mesh=off\"}",
        "error: pod default/web: `exclude_namespace_selector` requires the labels of namespace",
    ),
];

fn pod(metadata: &str) -> String {
    let user = if metadata.contains("4000") {
        4000
    } else {
        1337
    };
    format!(
        "kind: Pod\nmetadata: {{name: web, namespace: default, {metadata}}}\n\
         spec: {{securityContext: {{runAsUser: {user}, runAsGroup: {user}}},\n\
         containers: [{{securityContext: {{runAsUser: 1000, runAsGroup: 1000}}, name: web}},\n\
         {{name: istio-proxy}}]}}\n\
         status: {{podIP: 10.0.0.1}}"
    )
}

/// Runs a command that decides for a pod.
fn decide(command: &[&str], pod: &str, conf: &str) -> Ended {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, conf).unwrap();
    let input = ["--pod", "-", "--conf", file.path().to_str().unwrap()];
    Run::new(&[command, &input].concat()).with_input(pod)
}

const COMMANDS: [&[&str]; 4] = [
    &["select"],
    &["select", "--output", "json"],
    &["render"],
    &["explain", "--packet", "out tcp 10.0.0.7:9080 uid 1000"],
];

#[test]
fn a_pod_that_the_plugin_rejects_is_an_error() {
    for (metadata, conf, error) in REJECTED {
        for command in COMMANDS {
            let ended = decide(command, &pod(metadata), conf);
            assert_eq!(ended.code, Some(2), "{command:?} {}", ended.stderr);
            assert_eq!(ended.stdout, "", "{command:?}");
            assert!(
                ended.stderr.starts_with(error),
                "{command:?} {}",
                ended.stderr
            );
        }
    }
}

#[test]
fn in_a_list_the_other_pods_are_decided() {
    let (metadata, conf, error) = REJECTED[0];
    let list = |pods: &[String]| {
        let items = pods.iter().map(|pod| pod.replace('\n', "\n  "));
        let items: Vec<_> = items.map(|pod| format!("- {pod}\n")).collect();
        format!("kind: List\nitems:\n{}", items.concat())
    };
    let rejected = pod(metadata);
    let redirected = pod("labels: {}").replace("name: web,", "name: shop,");
    let skipped = redirected.replace("istio-proxy", "other");

    let ended = decide(&["select"], &list(std::slice::from_ref(&rejected)), conf);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.starts_with(error), "{}", ended.stderr);

    let pods = list(&[redirected.clone(), rejected, skipped.clone()]);
    let ended = decide(&["select"], &pods, conf);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.starts_with(error), "{}", ended.stderr);
    assert_eq!(
        ended.stdout,
        "default/shop: redirect, through a sidecar container\n\
         default/shop: skip, none of the pod's containers is named `istio-proxy`: `web`, `other`\n"
    );
    let ended = decide(&["select", "--output", "json"], &pods, conf);
    let reports: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(reports[0]["decision"], "redirect");
    assert_eq!(reports[1]["decision"], "skip");

    let ended = decide(&["select"], &list(&[redirected, skipped]), conf);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn the_agents_own_pod_is_skipped() {
    let conf = r#"{"type": "mesh-cni", "pod_namespace": "default", "agent_daemonset": "web"}"#;
    let pod = pod("labels: {}").replace("name: web,", "name: web-abcde,");
    for command in [&["select"][..], &["render"]] {
        let ended = decide(command, &pod, conf);
        assert_eq!(ended.code, Some(1), "{command:?} {}", ended.stderr);
        let text = ended.stdout + &ended.stderr;
        let reason = "the pod belongs to the agent, which the plugin never redirects";
        assert!(text.contains(reason), "{command:?} {text}");
    }
    let json = decide(&["select", "--output", "json"], &pod, conf);
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["decision"], "skip");
    assert_eq!(report["code"], "own-pod");
}

#[test]
fn control_and_format_characters_are_escaped() {
    // A string of YAML.
    let quoted = r#""a\u202eb\u2066c\u200bd\ufeffe\u2028f\u001b[8mg\u007fh\U000e0001i""#;
    let is_printable = |character| character == '\n' || mesh_cni_text::is_printable(character);
    let rejected =
        format!("annotations: {{traffic.sidecar.istio.io/excludeInboundPorts: {quoted}}}");
    let skipped = pod("labels: {}").replace("istio-proxy", quoted);
    let named = skipped.replace("name: web,", &format!("name: {quoted},"));
    for command in COMMANDS {
        for pod in [&pod(&rejected), &skipped, &named] {
            let ended = decide(command, pod, "{\"type\": \"mesh-cni\"}");
            for text in [&ended.stdout, &ended.stderr] {
                assert!(text.chars().all(is_printable), "{command:?} {text:?}");
            }
            let text = ended.stdout + &ended.stderr;
            assert!(text.contains("202e"), "{command:?} {text}");
        }
    }
    let json = decide(
        &["select", "--output", "json"],
        &skipped,
        "{\"type\": \"mesh-cni\"}",
    );
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains(r"\u{202e}"), "{reason}");
}

#[test]
fn pods_that_bypass_or_redirect_their_proxy_are_warned_about() {
    let files = [
        "app-has-the-proxys-uid",
        "proxy-is-root-without-group",
        "include-and-exclude-inbound",
    ];
    let results = files.map(|file| {
        let ended = run(&["select", "--pod", &format!("tests/pods/{file}.yaml")]);
        format!("{file}: exit {:?}\n{}", ended.code, ended.stderr)
    });
    assert_snapshot!(
        "select-warnings",
        "exit 0 each; `app` bypasses the proxy, the proxy as root without a group returns to itself, the \
         exclusion beside the list has no effect",
        results.concat()
    );
}
