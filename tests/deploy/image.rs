//! The image of `scripts/image`: an OCI layout with correct digests.

use std::fs;
use std::path::Path;
use std::process::Command;

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

    let again = folder.path().join("again.tar");
    assert_eq!(make(folder.path(), &again).code, 0);
    assert_eq!(fs::read(archive).unwrap(), fs::read(again).unwrap());
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

fn with_programs(program: &Path) -> tempfile::TempDir {
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

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
