//! How long reading a manifest and deciding take.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_cni_selector::{PodFacts, Policy, SelectionMode, conditions, select};

const YAML: &str = include_str!("../tests/manifests/productpage.yaml");

fn steps(criterion: &mut Criterion) {
    let facts = PodFacts::from_manifest(YAML).expect("the manifest is a Pod");
    let json = serde_json::to_string(&facts).expect("facts have text keys only");

    criterion.bench_function("manifest yaml", |bench| {
        bench.iter(|| PodFacts::from_manifest(black_box(YAML)));
    });
    criterion.bench_function("facts json", |bench| {
        bench.iter(|| serde_json::from_str::<PodFacts>(black_box(&json)));
    });
    for selection in SelectionMode::ALL {
        let policy = Policy {
            selection,
            ..Policy::default()
        };
        criterion.bench_function(&format!("select {selection}"), |bench| {
            bench.iter(|| select(black_box(&facts), &policy));
        });
    }
    let policy = Policy::default();
    criterion.bench_function("conditions", |bench| {
        bench.iter(|| conditions(black_box(&facts), &policy));
    });
}

criterion_group!(benches, steps);
criterion_main!(benches);
