//! The bookinfo sample as Kubernetes objects, each pod with an injected sidecar.

use serde_json::{Value, json};

use crate::images;

/// The sidecar's configuration.
const ENVOY: &str = include_str!("manifests/envoy.yaml");

/// The port of each service.
const PORT: u16 = 9080;

/// The node port of productpage.
pub(crate) const OUTSIDE_PORT: u16 = 30_080;

/// The services and their fixed addresses, since there is no DNS server.
const SERVICES: &[(&str, &str)] = &[
    ("details", "10.96.1.1"),
    ("ratings", "10.96.1.2"),
    ("reviews", "10.96.1.3"),
    ("productpage", "10.96.1.4"),
];

/// Each deployment: its service, its version, and the services that it calls.
pub(crate) const DEPLOYMENTS: &[(&str, &str, &[&str])] = &[
    ("details", "v1", &[]),
    ("ratings", "v1", &[]),
    ("reviews", "v1", &[]),
    ("reviews", "v2", &["ratings"]),
    ("reviews", "v3", &["ratings"]),
    ("productpage", "v1", &["details", "reviews"]),
];

/// The whole sample.
pub(crate) fn bookinfo() -> Value {
    let services = SERVICES
        .iter()
        .map(|(name, address)| service(name, address));
    let deployments = DEPLOYMENTS.iter();
    let deployments = deployments.map(|(name, version, calls)| deployment(name, version, calls));
    list(services.chain(deployments).chain([envoy_config("default")]))
}

/// The objects as one manifest.
pub(crate) fn list(items: impl IntoIterator<Item = Value>) -> Value {
    let items: Vec<_> = items.into_iter().collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// The sidecar's configuration, mounted by pods of that namespace.
pub(crate) fn envoy_config(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "envoy", "namespace": namespace},
        "data": {
            "envoy.yaml": ENVOY,
            "envoy-tproxy.yaml": ENVOY.replace("name: virtualInbound", "name: virtualInbound\n    transparent: true"),
        },
    })
}

/// A pod of two containers: an application with that name, and the sidecar.
pub(crate) fn pod(namespace: &str, name: &str) -> Value {
    let mut spec = json!({
        "containers": [application(name, "v1", &[]), sidecar()],
        "hostAliases": host_aliases(),
        "terminationGracePeriodSeconds": 1,
    });
    add_volumes(&mut spec);
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "annotations": annotations()},
        "spec": spec,
    })
}

/// A pod of two idle containers, the second instead of the sidecar.
pub(crate) fn idle(namespace: &str, name: &str) -> Value {
    let container = |name: &str| {
        json!({
            "name": name,
            "image": images::BOOKINFO,
            "imagePullPolicy": "Never",
            "command": ["/bin/sleep", "infinity"],
        })
    };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {"idle": "true"},
            "annotations": annotations(),
        },
        "spec": {
            "containers": [container("main"), container("istio-proxy")],
            "terminationGracePeriodSeconds": 0,
        },
    })
}

/// The init container that the injector adds without a plugin, with arguments from the pod's
/// annotations.
pub(crate) fn istio_init() -> Value {
    json!({
        "name": "istio-init",
        "image": images::INIT,
        "imagePullPolicy": "Never",
        "args": [
            "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT",
            "-i", "*", "-x", "192.168.0.1/32", "-b", "*", "-d", "22,15020,15021,15090",
            "-o", "15020", "--log_output_level=default:info",
        ],
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": false,
            "readOnlyRootFilesystem": false,
            "privileged": false,
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]},
        },
    })
}

fn service(name: &str, address: &str) -> Value {
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "clusterIP": address,
            "selector": {"app": name},
            "ports": [{"name": "http", "port": PORT}],
        },
    });
    if name == "productpage" {
        service["spec"]["type"] = "NodePort".into();
        service["spec"]["ports"][0]["nodePort"] = OUTSIDE_PORT.into();
    }
    service
}

fn deployment(name: &str, version: &str, calls: &[&str]) -> Value {
    let labels = json!({"app": name, "version": version});
    let mut spec = json!({
        "containers": [application(name, version, calls), sidecar()],
        "hostAliases": host_aliases(),
        "terminationGracePeriodSeconds": 1,
    });
    add_volumes(&mut spec);
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": format!("{name}-{version}"), "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations()},
                "spec": spec,
            },
        },
    })
}

/// A service of the sample, run as the documented user.
pub(crate) fn application(name: &str, version: &str, calls: &[&str]) -> Value {
    let calls = calls.iter().map(|called| format!("{called}:{PORT}"));
    let words = [
        "serve".to_owned(),
        format!("{name} {version}"),
        PORT.to_string(),
    ];
    let words: Vec<_> = words.into_iter().chain(calls).collect();
    json!({
        "name": name,
        "image": images::BOOKINFO,
        "imagePullPolicy": "Never",
        "args": words,
        "ports": [{"containerPort": PORT}],
        "securityContext": {
            "runAsUser": 1000,
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
        },
    })
}

/// The sidecar, without privileges.
pub(crate) fn sidecar() -> Value {
    json!({
        "name": "istio-proxy",
        "image": images::PROXY,
        "imagePullPolicy": "Never",
        "args": [
            "--config-path", "/etc/istio/proxy/envoy.yaml", "--concurrency", "1",
            "--disable-hot-restart", "--log-level", "warning",
        ],
        "ports": [{"name": "http-envoy-prom", "containerPort": 15090}],
        "readinessProbe": {
            "httpGet": {"path": "/healthz/ready", "port": 15021},
            "periodSeconds": 1,
            // A slow machine must not restart the proxy.
            "timeoutSeconds": 30,
            "failureThreshold": 30,
        },
        "securityContext": {
            "runAsUser": 1337,
            "runAsGroup": 1337,
            "runAsNonRoot": true,
            "privileged": false,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "istio-envoy", "mountPath": "/etc/istio/proxy"}],
    })
}

/// The injector's annotations, and the settings behind the documented rules.
pub(crate) fn annotations() -> Value {
    json!({
        "sidecar.istio.io/status": r#"{"initContainers":null,"containers":["istio-proxy"]}"#,
        "traffic.sidecar.istio.io/excludeInboundPorts": "22,15020",
        "traffic.sidecar.istio.io/excludeOutboundPorts": "15020",
        "traffic.sidecar.istio.io/excludeOutboundIPRanges": "192.168.0.1/32",
    })
}

/// Adds the volumes that the sidecar mounts.
pub(crate) fn add_volumes(spec: &mut Value) {
    spec["volumes"] = json!([{"name": "istio-envoy", "configMap": {"name": "envoy"}}]);
}

/// A pod's service and version.
pub(crate) fn version_of(pod: &Value) -> String {
    let label = |key: &str| pod["metadata"]["labels"][key].as_str().unwrap_or_default();
    format!("{} {}", label("app"), label("version"))
}

fn host_aliases() -> Value {
    let aliases = SERVICES.iter();
    aliases
        .map(|(name, address)| json!({"ip": address, "hostnames": [name]}))
        .collect()
}
