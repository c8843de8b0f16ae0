//! The image of `scripts/image`: an OCI layout with correct digests.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use mesh_cni_tests::{Finished, cnitool, finish, mesh_cni_agent};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::chart::repository;

/// The image's programs.
pub(crate) const PROGRAMS: [&str; 3] = ["mesh-cni", "mesh-cni-agent", "mesh-cnictl"];

#[test]
fn the_archive_is_an_oci_index_of_images_with_three_programs() {
    // Any static program works, because the image is not run here.
    let own = with_programs(&cnitool());
    let other = of_another_architecture();
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("image.tar");
    let made = make(&[own.path(), other.path()], &archive);
    assert_eq!(made.code, 0, "{}", made.stderr);

    let images = images(&archive, folder.path());
    assert_eq!(images.keys().collect::<Vec<_>>(), ["amd64", "arm64"]);
    for root in images.values() {
        let mut programs: Vec<_> = fs::read_dir(root.join("bin"))
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        programs.sort();
        assert_eq!(programs, PROGRAMS);
    }
}

/// The programs are the same, and everything else that a build may change is not.
#[test]
fn the_same_programs_make_the_same_bytes() {
    let [first, second] = [1, 2].map(|_| with_programs(&cnitool()));
    let archives = [&first, &second].map(|folder| folder.path().join("image.tar"));
    let made = make(&[first.path()], &archives[0]);
    assert_eq!(made.code, 0, "{}", made.stderr);

    for name in PROGRAMS.into_iter().rev() {
        let path = second.path().join(name);
        let bytes = fs::read(&path).unwrap();
        // Removed and written again: another inode, in another order of the directory.
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_001))
            .unwrap();
    }
    let script = repository().join("scripts/image");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#"umask 077; exec "$0" "$@""#])
        .args([&script, archives[1].as_path(), second.path()])
        .env("TAR_OPTIONS", "--format=pax")
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "C.UTF-8")
        .current_dir(second.path());
    let made = finish(&mut shell, "");
    assert_eq!(made.code, 0, "{}", made.stderr);
    let [first, second] = archives.map(|archive| fs::read(archive).unwrap());
    assert!(first == second, "the archives differ");
}

#[test]
fn a_dynamically_linked_program_is_refused() {
    let folder = with_programs(&mesh_cni_agent());
    let refused = make(&[folder.path()], &folder.path().join("image.tar"));
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("is not static"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_program_that_cannot_be_examined_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let programs = with_programs(&script);
    let refused = make(&[programs.path()], &folder.path().join("image.tar"));
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("readelf cannot read"),
        "{}",
        refused.stderr
    );
}

#[test]
fn programs_of_two_architectures_are_refused_in_one_image() {
    let folder = with_programs(&cnitool());
    let other = of_another_architecture();
    fs::copy(
        other.path().join("mesh-cnictl"),
        folder.path().join("mesh-cnictl"),
    )
    .unwrap();
    let refused = make(&[folder.path()], &folder.path().join("image.tar"));
    assert_eq!(refused.code, 2);
    let message = "the other programs are for";
    assert!(refused.stderr.contains(message), "{}", refused.stderr);
}

#[test]
fn two_images_of_one_architecture_are_refused() {
    let [first, second] = [1, 2].map(|_| with_programs(&cnitool()));
    let archive = first.path().join("image.tar");
    let refused = make(&[first.path(), second.path()], &archive);
    assert_eq!(refused.code, 2);
    let message = "two folders contain programs for";
    assert!(refused.stderr.contains(message), "{}", refused.stderr);
}

pub(crate) fn with_programs(program: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in PROGRAMS {
        fs::copy(program, folder.path().join(name)).unwrap();
    }
    folder
}

/// A folder like that of [`with_programs`], for an architecture that is not this machine's: only the
/// headers of the programs differ.
fn of_another_architecture() -> tempfile::TempDir {
    let mut program = fs::read(cnitool()).unwrap();
    let [amd64, arm64] = [62, 183];
    // `e_machine` of the ELF header (elf(5)).
    program[18] = if program[18] == amd64 { arm64 } else { amd64 };
    let folder = with_programs(&cnitool());
    for name in PROGRAMS {
        fs::write(folder.path().join(name), &program).unwrap();
    }
    folder
}

fn make(folders: &[&Path], archive: &Path) -> Finished {
    let script = repository().join("scripts/image");
    finish(Command::new(script).arg(archive).args(folders), "")
}

/// Unpacks the archive, checks its metadata, and returns the root directory of each architecture's image.
pub(crate) fn images(archive: &Path, folder: &Path) -> BTreeMap<String, PathBuf> {
    let layout = unpack(archive, &folder.join("layout"));
    let outer = json(&layout.join("index.json"));
    let index = json(&checked(&layout, &outer["manifests"][0]));
    let images = index["manifests"].as_array().unwrap().iter();
    images
        .map(|image| {
            let manifest = json(&checked(&layout, image));
            let config = json(&checked(&layout, &manifest["config"]));
            assert_eq!(config["config"]["Entrypoint"][0], "/bin/mesh-cni-agent");
            assert_eq!(config["architecture"], image["platform"]["architecture"]);
            let layer = &manifest["layers"][0];
            assert_eq!(config["rootfs"]["diff_ids"][0], layer["digest"]);
            let architecture = config["architecture"].as_str().unwrap().to_owned();
            let root = unpack(&checked(&layout, layer), &folder.join(&architecture));
            (architecture, root)
        })
        .collect()
}

fn unpack(archive: &Path, folder: &Path) -> PathBuf {
    fs::create_dir(folder).unwrap();
    let mut tar = Command::new("tar");
    let done = finish(tar.arg("xf").arg(archive).arg("-C").arg(folder), "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    folder.to_owned()
}

/// The blob of a descriptor, after checking its digest and size.
fn checked(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    let bytes = fs::read(&path).unwrap();
    let digits = Sha256::digest(&bytes).into_iter();
    let sum = digits.fold(String::new(), |sum, byte| sum + &format!("{byte:02x}"));
    assert_eq!(format!("sha256:{sum}"), digest);
    assert_eq!(descriptor["size"], bytes.len());
    path
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
