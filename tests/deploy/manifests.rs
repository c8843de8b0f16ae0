//! The plain manifests are the rendered chart.

use std::fs;
use std::process::Command;

use mesh_cni_tests::finish;

use crate::chart::repository;

#[test]
fn the_manifests_are_up_to_date() {
    let fresh = tempfile::tempdir().unwrap();
    let script = repository().join("scripts/manifests");
    let made = finish(Command::new(script).arg(fresh.path()), "");
    assert_eq!(made.code, 0, "{}", made.stderr);
    let kept = repository().join("deploy/manifests");
    let names = |folder| {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let made = names(fresh.path().to_owned());
    assert_eq!(made, names(kept.clone()));
    for name in made {
        let [made, kept] =
            [fresh.path(), &kept].map(|folder| fs::read_to_string(folder.join(&name)));
        assert_eq!(
            made.unwrap(),
            kept.unwrap(),
            "{name:?} is stale: run `make manifests`"
        );
    }
}
