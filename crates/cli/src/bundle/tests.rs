//! What an archive contains, from pods and configurations full of secrets.

use std::io::Read as _;

use flate2::read::GzDecoder;
use mesh_cni_selector::PodFacts;
use serde_json::{Value, json};

use super::archive::{Archive, Contents};
use super::redact::{self, REMOVED, Secrets};

/// In every place where a pod or a configuration can have one.
const SECRET: &str = "s3cr3t-";

fn secret(place: &str) -> String {
    format!("{SECRET}{place}")
}

fn pod() -> Value {
    json!({
        "metadata": {
            "namespace": "shop", "name": "cart", "uid": "c-1",
            "labels": {"app": secret("label"), "sidecar.istio.io/inject": "true"},
            "annotations": {
                "sidecar.istio.io/status": "{}",
                "traffic.sidecar.istio.io/excludeOutboundPorts": "3306",
                "proxy.istio.io/config": json!({"proxyMetadata": {"KEY": secret("proxy-config")}}).to_string(),
                "vault.example.com/role": secret("annotation"),
            },
        },
        "spec": {"containers": [
            {"name": "app", "args": [secret("argument")], "env": [{"name": "A", "value": secret("variable")}]},
            {
                "name": "istio-proxy", "args": ["proxy", "sidecar", secret("proxy-argument")],
                "env": [
                    {"name": "ISTIO_META_DNS_CAPTURE", "value": secret("\"quoted\" setting")},
                    {"name": "ISTIO_META_INTERCEPTION_MODE", "value": "REDIRECT"},
                ],
            },
        ]},
        "status": {"podIPs": [{"ip": "10.0.0.7"}]},
    })
}

fn conf() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "k8s",
        "secret": secret("list"),
        "plugins": [
            {
                "type": "calico", "mtu": 1440, "etcd_endpoints": secret("url"),
                "kubernetes": {"kubeconfig": secret("path"), "k8s_auth_token": secret("token")},
                "list": [secret("item"), {"name": "eth0", "deep": [[secret("deep")]]}],
                "profile": secret("profile"),
            },
            {
                "type": "mesh-cni", "profile": "asm", "exclude_namespaces": ["kube-system"],
                "unknown": secret("unknown"),
                "defaults": {
                    "traffic.sidecar.istio.io/excludeOutboundPorts": "3306",
                    "other.example.com/key": secret("default"),
                },
            },
        ],
    })
}

/// The archive's list of contents, and all files in it.
fn archive(fill: impl FnOnce(&mut Archive<Vec<u8>>)) -> (Contents, Vec<(String, String)>) {
    let mut secrets = Secrets::default();
    secrets.add(&PodFacts::from_object(&pod()).expect("a pod"));
    let mut archive = Archive::new(Vec::new(), secrets);
    fill(&mut archive);
    let (contents, bytes) = archive.finish().expect("a vector takes it");
    let mut tar = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
    let files = tar.entries().expect("an archive").map(|entry| {
        let mut entry = entry.expect("a file");
        assert_eq!(entry.header().mode().ok(), Some(0o600));
        let path = entry.path().expect("a path").display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        (path, text)
    });
    (contents, files.collect())
}

#[test]
fn no_secret_is_in_an_archive() {
    let facts = PodFacts::from_object(&pod()).expect("a pod");
    let log = format!(
        "a setting is {:?}\nAuthorization: Bearer abc.def\ntoken eyJhbGciOi.eyJzdWIi.c2ln end\n",
        secret("\"quoted\" setting")
    );
    let (contents, files) = archive(|archive| {
        let facts = redact::facts(facts.clone());
        archive
            .add_json("pods/shop_cart/facts.json", &facts)
            .expect("it is written");
        archive
            .add_json("conf.json", &redact::conf(&conf()))
            .expect("it is written");
        archive.add("agent.log", &log).expect("it is written");
        let why = format!("exit code 3: {}", secret("\"quoted\" setting"));
        archive.missing("status", &why);
    });
    assert_eq!(contents.taken.len(), 3);
    assert_eq!(files.len(), 4, "and the list of contents");
    for (path, text) in &files {
        for part in [SECRET, "abc.def", "eyJ"] {
            assert!(!text.contains(part), "{part} is in {path}: {text}");
        }
        assert!(text.contains(REMOVED), "{path}: {text}");
    }
    let text = |name: &str| {
        let found = files.iter().find(|(path, _)| path.ends_with(name));
        found.map(|(_, text)| text.as_str()).unwrap_or_default()
    };
    for kept in [
        "excludeOutboundPorts\": \"3306\"",
        "\"asm\"",
        "kube-system",
        "1440",
        "\"eth0\"",
    ] {
        assert!(
            text("conf.json").contains(kept),
            "{kept}: {}",
            text("conf.json")
        );
    }
    assert!(
        text("facts.json").contains("\"sidecar\""),
        "{}",
        text("facts.json")
    );
    assert!(
        text("agent.log").ends_with("token (removed) end\n"),
        "{}",
        text("agent.log")
    );
}

#[test]
fn words_that_rules_contain_stay() {
    let rules = "-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006\n";
    let (_, files) = archive(|archive| archive.add("rules", rules).expect("it is written"));
    assert_eq!(files[0].1, rules);
}

#[test]
fn files_and_their_total_are_limited() {
    let long = "ü".repeat(700_000);
    let (contents, files) = archive(|archive| {
        for number in 0..70 {
            archive
                .add(&number.to_string(), &long)
                .expect("it is written");
        }
    });
    assert!(
        contents
            .taken
            .iter()
            .all(|file| file.is_cut && file.bytes <= 1 << 20)
    );
    assert_eq!(contents.taken.len(), 64, "{:?}", contents.missing);
    assert_eq!(contents.missing.len(), 6);
    assert!(long.ends_with(&files[0].1), "the end is kept");
}
