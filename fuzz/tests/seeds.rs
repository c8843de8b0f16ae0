//! Each target accepts its seeds: valid inputs, and those that a target has refused before.

use std::fs;
use std::path::Path;

use mesh_cni_fuzz::TARGETS;

#[test]
#[expect(clippy::print_stdout, reason = "names the seed that fails")]
fn every_target_runs_its_seeds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let mut folders: Vec<_> = fs::read_dir(&seeds)
        .unwrap()
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(folders, names, "each target has a folder of seeds");
    for target in TARGETS {
        let mut count = 0;
        for seed in fs::read_dir(seeds.join(target.name)).unwrap() {
            let path = seed.unwrap().path();
            // A failure shows the last name.
            println!("{}", path.display());
            (target.run)(&fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count >= 3, "{}: {count} seeds", target.name);
    }
}
