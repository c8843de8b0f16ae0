//! How long rendering, parsing and comparing the rules of a sidecar take.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mesh_cni_netfilter::{Family, Listing, Ownership, TableName, drift, parse, render};

const SIDECAR: &str = include_str!("../tests/data/sidecar.v4.save");
const SAVED: &str = include_str!("../tests/data/iptables-save.v4.txt");

fn text_forms(criterion: &mut Criterion) {
    let rules = parse::save(SIDECAR, Family::V4).expect("the file is valid");
    let ownership = Ownership::default();
    let list = |rules| Listing::of(rules, TableName::Nat, &ownership).to_string();
    let listing = list(&rules);

    criterion.bench_function("render restore", |bench| {
        bench.iter(|| render::restore(black_box(&rules)));
    });
    criterion.bench_function("render list", |bench| {
        bench.iter(|| list(black_box(&rules)));
    });
    criterion.bench_function("parse list", |bench| {
        bench.iter(|| Listing::parse(black_box(&listing)));
    });
    criterion.bench_function("parse save", |bench| {
        bench.iter(|| parse::save(black_box(SAVED), Family::V4));
    });
}

fn comparison(criterion: &mut Criterion) {
    let rules = parse::save(SIDECAR, Family::V4).expect("the file is valid");
    let chains = rules.tables.iter().flat_map(|table| &table.chains);
    let ownership = Ownership {
        chains: chains.map(|chain| chain.name.clone()).collect(),
        ..Ownership::default()
    };
    criterion.bench_function("drift", |bench| {
        bench.iter(|| drift(black_box(&rules), black_box(&rules), &ownership));
    });
}

criterion_group!(benches, text_forms, comparison);
criterion_main!(benches);
