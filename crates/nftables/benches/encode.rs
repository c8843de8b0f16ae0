//! Measures how long rules take to encode: those of the documented pod, and those of long lists.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_nftables::{Batch, compat, native};
use mesh_cni_rules::istio::{Dialect, Interception, PodSettings, compile};

fn documented(criterion: &mut Criterion) {
    let rules = compile(&Interception::pod_default(), Dialect::Asm, Family::V4);
    criterion.bench_function("documented pod, compat", |bench| {
        bench.iter(|| {
            let changes = compat::create(black_box(&rules)).expect("the rules can be written");
            Batch::new(&changes).encode()
        });
    });
    criterion.bench_function("documented pod, native", |bench| {
        bench.iter(|| {
            let changes = native::create(black_box(&rules)).expect("the rules can be written");
            Batch::new(&changes).encode()
        });
    });
}

fn growth(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("excluded ports, native");
    for count in [10_u16, 100, 1_000] {
        let ports: Vec<_> = (1..=count).map(|port| port.to_string()).collect();
        let key = "traffic.sidecar.istio.io/excludeOutboundPorts".to_owned();
        let annotations = BTreeMap::from([(key, ports.join(","))]);
        let settings = PodSettings {
            annotations: Some(&annotations),
            ..PodSettings::default()
        };
        let interception = settings.resolve().expect("the settings parse").interception;
        let rules = compile(&interception, Dialect::Asm, Family::V4);
        group.bench_function(count.to_string(), |bench| {
            bench.iter(|| {
                let changes = native::create(black_box(&rules)).expect("the rules can be written");
                Batch::new(&changes).encode()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, documented, growth);
criterion_main!(benches);
