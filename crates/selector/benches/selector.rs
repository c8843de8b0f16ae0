//! Measures reading a manifest and selecting a pod.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_cni_selector::{PodFacts, Policy, SelectionMode, conditions, select};

const YAML: &str = include_str!("../tests/manifests/productpage.yaml");

fn benchmarks(criterion: &mut Criterion) {
    let facts = PodFacts::from_manifest(YAML).expect("the manifest is a valid Pod");
    let json = serde_json::to_string(&facts).expect("facts can be serialized");

    criterion.bench_function("manifest yaml", |bench| {
        bench.iter(|| PodFacts::from_manifest(black_box(YAML)));
    });
    criterion.bench_function("facts json", |bench| {
        bench.iter(|| serde_json::from_str::<PodFacts>(black_box(&json)));
    });
    for mode in SelectionMode::ALL {
        let policy = Policy {
            selection: mode,
            ..Policy::default()
        };
        criterion.bench_function(&format!("select {mode}"), |bench| {
            bench.iter(|| select(black_box(&facts), &policy));
        });
    }
    let policy = Policy::default();
    criterion.bench_function("conditions", |bench| {
        bench.iter(|| conditions(black_box(&facts), &policy));
    });
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
