//! The software bill of materials of `scripts/sbom`: the programs, and every crate that they are
//! built from.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use mesh_cni_tests::{Finished, cnitool, finish};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::chart::repository;
use crate::image::{PROGRAMS, json, with_programs};

/// The platform of the image's programs.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// The programs' packages, with the platforms that each is built for: the plugin is linked with musl
/// where the toolchain has it.
const BUILDS: [(&str, &str); 4] = [
    ("mesh-cni-agent", PLATFORM),
    ("mesh-cni-cli", PLATFORM),
    ("mesh-cni-plugin", PLATFORM),
    ("mesh-cni-plugin", "x86_64-unknown-linux-musl"),
];

#[test]
fn every_crate_is_listed_with_version_licence_and_checksum() {
    let folder = with_programs(&cnitool());
    let file = folder.path().join("sbom.json");
    let made = make(folder.path(), &file);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let sbom = json(&file);
    assert_eq!(sbom["bomFormat"], "CycloneDX");
    let components = sbom["components"].as_array().unwrap();
    let of_type = |kind: &str| {
        let components = components.iter().filter(|it| it["type"] == kind);
        components.cloned().collect::<Vec<_>>()
    };

    let checksums = locked();
    let libraries = of_type("library");
    let listed: BTreeSet<_> = libraries.iter().map(id).collect();
    assert_eq!(listed.len(), libraries.len(), "each crate is listed once");
    let used = used();
    assert_eq!(listed, used.keys().cloned().collect());
    for library in &libraries {
        let id = id(library);
        let licence = library["licenses"][0]["expression"].as_str().unwrap();
        assert_eq!(licence, used[&id].replace('/', " OR "), "{id}");
        assert!(!licence.is_empty(), "{id} has no licence");
        let checksum = library["hashes"][0]["content"].as_str();
        assert_eq!(checksum, checksums[&id].as_deref(), "{id}");
        let is_ours = id.starts_with("mesh-cni-");
        assert_eq!(checksum.is_none(), is_ours, "{id}");
    }

    let programs = of_type("application");
    let names: Vec<_> = programs
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, PROGRAMS);
    let digits = Sha256::digest(fs::read(cnitool()).unwrap()).into_iter();
    let sum = digits.fold(String::new(), |sum, byte| sum + &format!("{byte:02x}"));
    for program in &programs {
        assert_eq!(program["hashes"][0]["content"], sum);
    }
}

#[test]
fn the_dependencies_lead_from_the_image_to_every_component() {
    let folder = with_programs(&cnitool());
    let files = ["first", "second"].map(|name| folder.path().join(name));
    for file in &files {
        let made = make(folder.path(), file);
        assert_eq!(made.code, 0, "{}", made.stderr);
    }
    let sbom = json(&files[0]);
    let [first, second] = files.map(|file| fs::read(file).unwrap());
    assert!(first == second, "the same input makes the same bytes");

    let mut targets = BTreeMap::new();
    for dependency in sbom["dependencies"].as_array().unwrap() {
        let on = dependency["dependsOn"].as_array().unwrap().iter();
        let on: Vec<_> = on.map(|it| it.as_str().unwrap()).collect();
        let reference = dependency["ref"].as_str().unwrap();
        assert!(targets.insert(reference, on).is_none(), "{reference}");
    }
    let mut reached = BTreeSet::new();
    let mut next = vec![sbom["metadata"]["component"]["bom-ref"].as_str().unwrap()];
    while let Some(reference) = next.pop() {
        if reached.insert(reference) {
            next.extend(&targets[reference]);
        }
    }
    for component in sbom["components"].as_array().unwrap() {
        let reference = component["bom-ref"].as_str().unwrap();
        assert!(reached.contains(reference), "{reference}");
    }
}

#[test]
fn a_missing_program_is_refused() {
    let folder = with_programs(&cnitool());
    fs::remove_file(folder.path().join("mesh-cni-agent")).unwrap();
    let refused = make(folder.path(), &folder.path().join("sbom.json"));
    assert_eq!(refused.code, 2);
    let named = "mesh-cni-agent is missing";
    assert!(refused.stderr.contains(named), "{}", refused.stderr);
}

fn make(folder: &Path, file: &Path) -> Finished {
    let script = repository().join("scripts/sbom");
    finish(Command::new(script).arg(folder).arg(file).arg(PLATFORM), "")
}

/// `NAME@VERSION` of a component.
fn id(component: &Value) -> String {
    let field = |name: &str| component[name].as_str().unwrap();
    format!("{}@{}", field("name"), field("version"))
}

/// The crates that cargo builds the programs from, as `NAME@VERSION`, with their licences.
fn used() -> BTreeMap<String, String> {
    let mut used = BTreeMap::new();
    for (package, platform) in BUILDS {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .args(["tree", "--locked", "--package", package])
            .args(["--edges=no-dev", "--no-dedupe", "--target", platform])
            .args(["--prefix=none", "--format={p}|{l}"])
            .current_dir(repository());
        let tree = finish(&mut cargo, "");
        assert_eq!(tree.code, 0, "{}", tree.stderr);
        for line in tree.stdout.lines() {
            let (package, licence) = line.split_once('|').unwrap();
            let mut words = package.split(' ');
            let (name, version) = (words.next().unwrap(), words.next().unwrap());
            let id = format!("{name}@{}", version.trim_start_matches('v'));
            used.insert(id, licence.to_owned());
        }
    }
    used
}

/// The checksums of `Cargo.lock` by `NAME@VERSION`.
fn locked() -> BTreeMap<String, Option<String>> {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let packages = lock.split("[[package]]").skip(1).map(|package| {
        let field = |name: &str| {
            let start = format!("{name} = \"");
            let mut lines = package.lines();
            let value = lines.find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'));
            value.map(str::to_owned)
        };
        let id = format!("{}@{}", field("name").unwrap(), field("version").unwrap());
        (id, field("checksum"))
    });
    packages.collect()
}
