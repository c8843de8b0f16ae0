//! How long settings and rules of the documented pod take.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_cni_netfilter::{Family, render};
use mesh_cni_rules::istio::{Dialect, PodSettings, compile};

fn steps(criterion: &mut Criterion) {
    let annotations = BTreeMap::from([
        (
            "traffic.sidecar.istio.io/excludeInboundPorts".to_owned(),
            "22,15020".to_owned(),
        ),
        (
            "traffic.sidecar.istio.io/excludeOutboundPorts".to_owned(),
            "15020".to_owned(),
        ),
        (
            "traffic.sidecar.istio.io/excludeOutboundIPRanges".to_owned(),
            "192.168.0.1/32".to_owned(),
        ),
    ]);
    let settings = PodSettings {
        annotations: Some(&annotations),
        ..PodSettings::default()
    };
    let interception = settings.resolve().expect("the settings parse").interception;
    let compiled = || compile(black_box(&interception), Dialect::Asm, Family::V4);

    criterion.bench_function("settings", |bench| {
        bench.iter(|| black_box(&settings).resolve());
    });
    criterion.bench_function("compile", |bench| bench.iter(compiled));
}

/// From annotations to the input of `iptables-restore`, for equal numbers of excluded ports and
/// ranges.
fn growth(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("settings to restore, excluded ports and ranges");
    for count in [10_u16, 100, 1_000] {
        let ports: Vec<_> = (1..=count).map(|port| port.to_string()).collect();
        let range = |number: u16| format!("10.{}.{}.0/24", number / 256, number % 256);
        let ranges: Vec<_> = (0..count).map(range).collect();
        let key = |name| format!("traffic.sidecar.istio.io/{name}");
        let annotations = BTreeMap::from([
            (key("excludeOutboundPorts"), ports.join(",")),
            (key("excludeOutboundIPRanges"), ranges.join(",")),
        ]);
        let settings = PodSettings {
            annotations: Some(&annotations),
            ..PodSettings::default()
        };
        group.bench_function(count.to_string(), |bench| {
            bench.iter(|| {
                let resolved = black_box(&settings).resolve();
                let interception = resolved.expect("the settings parse").interception;
                let rules = compile(&interception, Dialect::Asm, Family::V4);
                render::restore(&rules)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps, growth);
criterion_main!(benches);
