//! The image of `scripts/image`: an OCI layout with correct digests.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use mesh_cni_tests::{Finished, cnitool, finish, mesh_cni_agent};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::chart::repository;

#[test]
fn the_archive_is_an_oci_layout_of_two_programs() {
    // Any static program works, because the image is not run here.
    let folder = with_programs(&cnitool());
    let archive = folder.path().join("image.tar");
    let made = make(folder.path(), &archive);
    assert_eq!(made.code, 0, "{}", made.stderr);

    let layout = unpack(&archive, &folder.path().join("layout"));
    let index = json(&layout.join("index.json"));
    let manifest = json(&checked(&layout, &index["manifests"][0]));
    let config = json(&checked(&layout, &manifest["config"]));
    assert_eq!(config["config"]["Entrypoint"][0], "/bin/mesh-cni-agent");
    let layer = checked(&layout, &manifest["layers"][0]);
    assert_eq!(
        config["rootfs"]["diff_ids"][0],
        manifest["layers"][0]["digest"]
    );
    let root = unpack(&layer, &folder.path().join("root"));
    let mut programs: Vec<_> = fs::read_dir(root.join("bin"))
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    programs.sort();
    assert_eq!(programs, ["mesh-cni", "mesh-cni-agent"]);
}

/// The programs are the same, and everything else that a build may change is not.
#[test]
fn the_same_programs_make_the_same_bytes() {
    let [first, second] = [1, 2].map(|_| with_programs(&cnitool()));
    let archives = [&first, &second].map(|folder| folder.path().join("image.tar"));
    let made = make(first.path(), &archives[0]);
    assert_eq!(made.code, 0, "{}", made.stderr);

    for name in ["mesh-cni-agent", "mesh-cni"] {
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
        .args([&script, second.path(), &archives[1]])
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
    let refused = make(folder.path(), &folder.path().join("image.tar"));
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
    let refused = make(programs.path(), &folder.path().join("image.tar"));
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("readelf cannot read"),
        "{}",
        refused.stderr
    );
}

pub(crate) fn with_programs(program: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["mesh-cni", "mesh-cni-agent"] {
        fs::copy(program, folder.path().join(name)).unwrap();
    }
    folder
}

fn make(folder: &Path, archive: &Path) -> Finished {
    let script = repository().join("scripts/image");
    finish(Command::new(script).arg(folder).arg(archive), "")
}

fn unpack(archive: &Path, folder: &Path) -> std::path::PathBuf {
    fs::create_dir(folder).unwrap();
    let mut tar = Command::new("tar");
    let done = finish(tar.arg("xf").arg(archive).arg("-C").arg(folder), "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    folder.to_owned()
}

/// The blob of a descriptor, after checking its digest and size.
fn checked(layout: &Path, descriptor: &Value) -> std::path::PathBuf {
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
