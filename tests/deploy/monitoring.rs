//! Alerts, dashboard and metrics agree, and the alerts fire.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use mesh_cni_tests::{finish, promtool};
use serde_json::{Value, json};

use crate::agent::Mounted;
use crate::chart::{folder, object, objects, repository, try_render};

/// Series in promtool's notation, whose samples are one minute apart.
type Series = (&'static str, &'static str);

/// When an alert fires.
struct Case {
    alert: &'static str,
    /// Series that cause it, and others that do not.
    fires: &'static [Series],
    quiet: &'static [Series],
    /// The alert's labels beside those of the rule, and its value.
    labels: &'static [(&'static str, &'static str)],
    value: &'static str,
}

/// Each alert. Counters start at zero, as the agent's do: the first count is an increase.
const CASES: &[Case] = &[
    Case {
        alert: "MeshCniNotReady",
        fires: &[(r#"mesh_cni_ready{instance="a"}"#, "0x30")],
        quiet: &[(r#"mesh_cni_ready{instance="a"}"#, "1x26 0 0 0 1")],
        labels: &[("instance", "a")],
        value: "0",
    },
    Case {
        alert: "MeshCniPodsRefused",
        fires: &[(
            r#"mesh_cni_adds_total{instance="a",decision="error",reason="7"}"#,
            "0x25 1x5",
        )],
        quiet: &[
            (
                r#"mesh_cni_adds_total{instance="a",decision="error",reason="7"}"#,
                "5x30",
            ),
            (
                r#"mesh_cni_adds_total{instance="a",decision="skip",reason="mode-none"}"#,
                "0+1x30",
            ),
        ],
        labels: &[("instance", "a"), ("decision", "error"), ("reason", "7")],
        value: "",
    },
    Case {
        alert: "MeshCniBrokenPods",
        fires: &[(r#"mesh_cni_broken_pods{instance="a"}"#, "2x30")],
        quiet: &[
            (r#"mesh_cni_broken_pods{instance="a"}"#, "0x25 1x5"),
            (
                r#"mesh_cni_broken_pods{instance="b"}"#,
                "_x24 NaN NaN NaN NaN NaN NaN",
            ),
        ],
        labels: &[("instance", "a")],
        value: "2",
    },
    Case {
        alert: "MeshCniRepairsFail",
        fires: &[(
            r#"mesh_cni_repairs_total{instance="a",type="repair",result="failure"}"#,
            "0x25 1x5",
        )],
        quiet: &[(
            r#"mesh_cni_repairs_total{instance="a",type="repair",result="success"}"#,
            "0+1x30",
        )],
        labels: &[("instance", "a"), ("type", "repair"), ("result", "failure")],
        value: "",
    },
    Case {
        alert: "MeshCniAmbientPodsBroken",
        fires: &[(
            r#"mesh_cni_ambient_pods{instance="a",state="broken"}"#,
            "2x30",
        )],
        quiet: &[
            (
                r#"mesh_cni_ambient_pods{instance="a",state="broken"}"#,
                "0x25 1x5",
            ),
            (
                r#"mesh_cni_ambient_pods{instance="a",state="enrolled"}"#,
                "9x30",
            ),
        ],
        labels: &[("instance", "a"), ("state", "broken")],
        value: "2",
    },
    Case {
        alert: "MeshCniAmbientUnchecked",
        fires: &[(
            r#"mesh_cni_ambient_check_age_seconds{instance="a"}"#,
            "30x10 400x20",
        )],
        quiet: &[
            (
                r#"mesh_cni_ambient_check_age_seconds{instance="a"}"#,
                "30x30",
            ),
            (
                r#"mesh_cni_ambient_check_age_seconds{instance="b"}"#,
                "_x24 NaN NaN NaN NaN NaN NaN",
            ),
        ],
        labels: &[("instance", "a")],
        value: "400",
    },
    Case {
        alert: "MeshCniContested",
        fires: &[(r#"mesh_cni_contests_total{instance="a"}"#, "0x25 1x5")],
        quiet: &[(r#"mesh_cni_contests_total{instance="a"}"#, "0 0 3x28")],
        labels: &[("instance", "a")],
        value: "",
    },
    Case {
        alert: "MeshCniUnusualPods",
        fires: &[(
            r#"mesh_cni_add_warnings_total{instance="a",reason="unknown-value"}"#,
            "0x5 1x25",
        )],
        quiet: &[(
            r#"mesh_cni_add_warnings_total{instance="a",reason="unknown-value"}"#,
            "7x30",
        )],
        labels: &[("instance", "a"), ("reason", "unknown-value")],
        value: "",
    },
    Case {
        alert: "MeshCniDegraded",
        fires: &[(r#"mesh_cni_degraded{instance="a"}"#, "0x25 1x5")],
        quiet: &[(r#"mesh_cni_degraded{instance="a"}"#, "1x25 0x5")],
        labels: &[("instance", "a")],
        value: "1",
    },
    Case {
        alert: "MeshCniObjectsSkipped",
        fires: &[(
            r#"mesh_cni_api_objects_skipped_total{instance="a"}"#,
            "0x25 1x5",
        )],
        quiet: &[(
            r#"mesh_cni_api_objects_skipped_total{instance="a"}"#,
            "4x30",
        )],
        labels: &[("instance", "a")],
        value: "",
    },
    Case {
        alert: "MeshCniVersionsDiffer",
        fires: &[
            (
                r#"mesh_cni_build_info{instance="a",version="0.1.0"}"#,
                "1x90",
            ),
            (
                r#"mesh_cni_build_info{instance="b",version="0.2.0"}"#,
                "1x90",
            ),
        ],
        quiet: &[
            (
                r#"mesh_cni_build_info{instance="a",version="0.1.0"}"#,
                "1x90",
            ),
            (
                r#"mesh_cni_build_info{instance="b",version="0.1.0"}"#,
                "1x90",
            ),
        ],
        labels: &[],
        value: "2",
    },
];

#[test]
fn each_alert_fires_when_it_should_and_not_otherwise() {
    let mut tests = Vec::new();
    for rule in alerts() {
        let name = rule["alert"].as_str().unwrap();
        let case = CASES.iter().find(|case| case.alert == name);
        let case = case.unwrap_or_else(|| panic!("no case for {name}"));
        // The rule with the longest `for` fires after an hour.
        let minutes = if rule["for"] == "1h" { 80 } else { 30 };
        for (series, alerts) in [
            (case.fires, vec![expected(&rule, case)]),
            (case.quiet, vec![]),
        ] {
            tests.push(json!({
                "interval": "1m",
                "input_series": series.iter().map(|(series, values)| json!({"series": series, "values": values})).collect::<Vec<_>>(),
                "alert_rule_test": [{"eval_time": format!("{minutes}m"), "alertname": name, "exp_alerts": alerts}],
            }));
        }
    }
    let file = json!({
        "rule_files": [folder().join("files/alerts.yaml")],
        "evaluation_interval": "1m",
        "tests": tests,
    });
    assert_eq!(run_promtool("test", &file.to_string()), "");
    assert_eq!(CASES.len(), alerts().len());
}

#[test]
fn every_alert_is_documented() {
    let document = fs::read_to_string(repository().join("docs/agent.md")).unwrap();
    for rule in alerts() {
        let (name, expression) = (
            rule["alert"].as_str().unwrap(),
            rule["expr"].as_str().unwrap(),
        );
        let wait = rule["for"]
            .as_str()
            .map(|time| format!(" for {time}"))
            .unwrap_or_default();
        let row = format!("| `{name}` | `{expression}`{wait} |");
        assert!(document.contains(&row), "docs/agent.md has no row {row}");
    }
}

#[test]
fn the_dashboard_is_valid_for_prometheus() {
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (number, expression) in dashboard_expressions().iter().enumerate() {
        let expression = json!(expression.replace("$__rate_interval", "5m"));
        writeln!(rules, "  - {{record: panel{number}, expr: {expression}}}").unwrap();
    }
    assert_eq!(run_promtool("check", &rules), "");
}

#[test]
fn alerts_dashboard_and_documentation_name_the_metrics_of_the_agent() {
    let node = Mounted::render(&["repair.enabled=false"]);
    let agent = node.run_with("/nonexistent".as_ref(), |log| log.contains("agent started"));
    let answer = node.ask("/metrics");
    agent.end();
    let (_, metrics) = answer.split_once("\r\n\r\n").unwrap();
    let exported: BTreeSet<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    assert!(exported.contains("mesh_cni_adds_total"), "{metrics}");

    let alerts = alerts();
    let alerts = alerts
        .iter()
        .map(|rule| rule["expr"].as_str().unwrap().to_owned());
    for expression in alerts.chain(dashboard_expressions()) {
        for name in names(&expression) {
            assert!(exported.contains(name), "{name} in {expression}");
        }
        for (label, value) in matchers(&expression) {
            let series = format!("{label}=\"{value}\"");
            assert!(metrics.contains(&series), "{series} in {expression}");
        }
    }

    let document = fs::read_to_string(repository().join("docs/agent.md")).unwrap();
    let rows = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `mesh_cni_"));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| row.split_once("` |"))
        .map(|(name, _)| format!("mesh_cni_{name}"))
        .collect();
    let parts = ["_bucket", "_sum", "_count"];
    let families: BTreeSet<String> = exported
        .iter()
        .map(|name| {
            parts
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or(name)
        })
        .map(str::to_owned)
        .collect();
    // The first has no series without a back end, the second none without ports.
    let without_series = ["mesh_cni_backend", "mesh_cni_listening"].map(str::to_owned);
    let all: BTreeSet<_> = families
        .into_iter()
        .filter(|name| name.starts_with("mesh_cni_"))
        .chain(without_series)
        .collect();
    assert_eq!(all, documented, "docs/agent.md, Metrics");
}

#[test]
fn the_port_is_named_where_other_machines_can_read_it() {
    for (options, port) in [
        (&[][..], Some(15014)),
        (&[r#"metricsAddress="0.0.0.0:9090""#], Some(9090)),
        (&[r#"metricsAddress="[::]:9090""#], Some(9090)),
        (&[r#"metricsAddress="127.0.0.1:15014""#], None),
        (&[r#"metricsAddress="[::1]:15014""#], None),
        (&[r#"metricsAddress="off""#], None),
        (&["uninstall.enabled=true"], None),
    ] {
        let template = &object(options, "DaemonSet")["spec"]["template"];
        let ports = &template["spec"]["containers"][0]["ports"];
        let named = port.map(|port| json!([{"name": "metrics", "containerPort": port}]));
        assert_eq!(*ports, named.unwrap_or_default(), "{options:?}");
        let annotations = &template["metadata"]["annotations"];
        let annotated = port.map(|port| json!(port.to_string())).unwrap_or_default();
        assert_eq!(annotations["prometheus.io/port"], annotated, "{options:?}");
        let scraped = port.map(|_| json!("true")).unwrap_or_default();
        assert_eq!(annotations["prometheus.io/scrape"], scraped, "{options:?}");
    }
    let own = [r#"podAnnotations={"prometheus.io/scrape":"false"}"#];
    let template = &object(&own, "DaemonSet")["spec"]["template"];
    assert_eq!(
        template["metadata"]["annotations"]["prometheus.io/scrape"],
        "false"
    );
}

#[test]
fn objects_for_the_operator_and_grafana_are_complete() {
    let options = [
        r#"podMonitor={"enabled":true,"interval":"15s","labels":{"release":"prometheus"}}"#,
        r#"prometheusRule={"enabled":true,"labels":{"release":"prometheus"}}"#,
        "grafanaDashboard.enabled=true",
    ];
    let monitor = object(&options, "PodMonitor");
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!(
        (&endpoint["port"], &endpoint["interval"]),
        (&json!("metrics"), &json!("15s"))
    );
    let template = &object(&options, "DaemonSet")["spec"]["template"];
    for (label, value) in monitor["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap()
    {
        assert_eq!(template["metadata"]["labels"][label], *value);
    }
    let rule = object(&options, "PrometheusRule");
    assert_eq!(rule["spec"]["groups"][0]["rules"], json!(alerts()));
    for labelled in [monitor, rule] {
        assert_eq!(labelled["metadata"]["labels"]["release"], "prometheus");
    }
    let objects = objects(&options);
    let map = objects
        .iter()
        .find(|object| object["metadata"]["name"] == "mesh-cni-dashboard");
    let text = map.unwrap()["data"]["mesh-cni.json"].as_str().unwrap();
    assert_eq!(text.parse::<Value>().unwrap(), dashboard());

    let local = [r#"metricsAddress="off""#, "podMonitor.enabled=true"];
    let refused = try_render(&local).stderr;
    assert!(
        refused.contains("no other machine can read the metrics"),
        "{refused}"
    );
}

/// The rules of the file of alerts.
fn alerts() -> Vec<Value> {
    let text = fs::read_to_string(folder().join("files/alerts.yaml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    file["groups"][0]["rules"].as_array().unwrap().clone()
}

fn dashboard() -> Value {
    let text = fs::read_to_string(folder().join("files/dashboard.json")).unwrap();
    text.parse().unwrap()
}

/// The queries of all panels.
fn dashboard_expressions() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

/// The alert in promtool's form, with its texts filled in.
fn expected(rule: &Value, case: &Case) -> Value {
    let mut labels = rule["labels"].clone();
    let mut texts = rule["annotations"]
        .to_string()
        .replace("{{ $value }}", case.value);
    for (label, value) in case.labels {
        labels[label] = json!(value);
        texts = texts.replace(&format!("{{{{ $labels.{label} }}}}"), value);
    }
    json!({"exp_labels": labels, "exp_annotations": texts.parse::<Value>().unwrap()})
}

/// The metrics of an expression.
fn names(expression: &str) -> Vec<&str> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = expression.split(|character| !is_part(character));
    words.filter(|word| word.starts_with("mesh_cni_")).collect()
}

/// The labels and values of `{label="value"}` in an expression.
fn matchers(expression: &str) -> Vec<(&str, &str)> {
    let selectors = expression
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'));
    let matchers = selectors.flat_map(|(selector, _)| selector.split(','));
    matchers
        .map(|matcher| matcher.split_once('=').unwrap())
        .map(|(label, value)| (label, value.trim_matches('"')))
        .collect()
}

/// Runs `promtool COMMAND rules` with a file. Returns its output if it fails.
fn run_promtool(command: &str, file: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.yaml");
    fs::write(&path, file).unwrap();
    let finished = finish(
        Command::new(promtool()).args([command, "rules"]).arg(&path),
        "",
    );
    match finished.code {
        0 => String::new(),
        _ => finished.stdout + &finished.stderr,
    }
}
