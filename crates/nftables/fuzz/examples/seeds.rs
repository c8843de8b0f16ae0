//! Writes seeds for fuzzing: encoded batches, which have the same form as the kernel's dumps.
//!
//! `cargo run --example seeds -- seeds/answers`
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use mesh_cni_nftables::{Batch, Change, compat, native};
use mesh_cni_netfilter::ruleset::{Family, RuleSet};
use mesh_cni_rules::{Dialect, PodSettings, compile};

type Error = Box<dyn std::error::Error>;

/// Annotations and environment of a pod.
type Settings = &'static [(&'static str, &'static str)];

const PODS: [(&str, Settings, Settings); 3] = [
    ("plain", &[], &[]),
    (
        "lists",
        &[
            ("traffic.sidecar.istio.io/excludeInboundPorts", "22,80,443"),
            ("traffic.sidecar.istio.io/excludeOutboundPorts", "25,3306"),
            (
                "traffic.sidecar.istio.io/includeOutboundIPRanges",
                "10.0.0.0/8,172.16.0.0/12,2001:db8::/33",
            ),
        ],
        &[],
    ),
    (
        "tproxy",
        &[
            ("sidecar.istio.io/interceptionMode", "TPROXY"),
            ("traffic.sidecar.istio.io/excludeInterfaces", "net1"),
        ],
        &[("ISTIO_META_DNS_CAPTURE", "true"), ("INVALID_DROP", "true")],
    ),
];

fn main() -> Result<(), Error> {
    let directory = PathBuf::from(env::args().nth(1).ok_or("usage: seeds DIRECTORY")?);
    fs::create_dir_all(&directory)?;
    for (name, annotations, environment) in PODS {
        for family in Family::ALL {
            let rules = rules(annotations, environment, family)?;
            for (format, changes) in [
                ("compat", compat::create(&rules)?),
                ("native", native::create(&rules)?),
            ] {
                let bytes = Batch::new(&named(changes)).encode().bytes().to_vec();
                fs::write(directory.join(format!("{name}.{format}.{family}")), bytes)?;
            }
        }
    }
    Ok(())
}

fn rules(annotations: Settings, environment: Settings, family: Family) -> Result<RuleSet, Error> {
    let map = |pairs: Settings| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    };
    let (annotations, environment) = (map(annotations), map(environment));
    let settings = PodSettings {
        annotations: Some(&annotations),
        proxy_env: Some(&environment),
        ..PodSettings::default()
    };
    Ok(compile(
        &settings.resolve()?.interception,
        Dialect::Istio,
        family,
    ))
}

/// The kernel refers to a set by its name where a batch uses its id.
fn named(mut changes: Vec<Change>) -> Vec<Change> {
    use mesh_cni_nftables::expression::Expression;
    let name = |id: u32| format!("__set{id}");
    for change in &mut changes {
        match change {
            Change::AddSet(set) => set.name = name(set.id),
            Change::AppendRule(rule) => {
                for expression in &mut rule.expressions {
                    if let Expression::Lookup { set, set_id, .. } = expression {
                        *set = name(*set_id);
                    }
                }
            }
            _ => {}
        }
    }
    changes
}
