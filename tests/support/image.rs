//! Builds container images from programs of this machine, without a registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::finish;

/// The content of an image.
#[derive(Debug)]
pub struct Image<'image> {
    /// Its full name, such as `mesh-cni.test/tools:1`.
    pub name: &'image str,
    /// Programs and their paths in the image; their libraries are added.
    pub programs: &'image [(&'image Path, &'image str)],
    /// The entry point.
    pub entrypoint: &'image [&'image str],
}

impl Image<'_> {
    /// Writes an OCI archive for `ctr images import`.
    pub fn write(&self, archive: &Path) {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let (root, layout) = (
            directory.path().join("root"),
            directory.path().join("layout"),
        );
        for (program, path) in self.programs {
            strip_into(&root, program, path);
            for library in libraries(program) {
                copy_into(&root, &library, &library.to_string_lossy());
            }
        }
        let layer = directory.path().join("layer.tar");
        tar(&root, &layer);
        fs::create_dir_all(layout.join("blobs/sha256")).expect("a folder can be created");
        self.write_layout(&layout, &layer);
        tar(&layout, archive);
    }

    fn write_layout(&self, layout: &Path, layer: &Path) {
        let kind = |kind: &str| format!("application/vnd.oci.image.{kind}");
        let layer = stored(layout, &kind("layer.v1.tar"), layer);
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {"Entrypoint": self.entrypoint, "Env": ["PATH=/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        });
        let config = blob(
            layout,
            &kind("config.v1+json"),
            config.to_string().as_bytes(),
        );
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": kind("manifest.v1+json"),
            "config": config,
            "layers": [layer],
        });
        let text = manifest.to_string();
        let mut manifest = blob(layout, &kind("manifest.v1+json"), text.as_bytes());
        manifest["annotations"] = json!({"io.containerd.image.name": self.name});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        let files = [
            ("index.json", index.to_string()),
            (
                "oci-layout",
                json!({"imageLayoutVersion": "1.0.0"}).to_string(),
            ),
        ];
        for (name, text) in files {
            fs::write(layout.join(name), text).expect("the layout can be written");
        }
    }
}

/// Stores the bytes, and returns their descriptor.
fn blob(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let file = layout.join("blob");
    fs::write(&file, bytes).expect("a blob can be written");
    stored(layout, media_type, &file)
}

/// Stores a file by moving it, and returns its descriptor. `sha256sum` is much faster than an
/// unoptimized build of a hash function.
fn stored(layout: &Path, media_type: &str, file: &Path) -> Value {
    let summed = finish(Command::new("sha256sum").arg(file), "");
    let sum = summed.stdout.split(' ').next();
    let sum = sum.filter(|sum| sum.len() == 64);
    let sum = sum.unwrap_or_else(|| panic!("sha256sum: {}", summed.stderr));
    let size = fs::metadata(file).expect("the blob exists").len();
    let target = layout.join("blobs/sha256").join(sum);
    fs::rename(file, target).expect("a file can be moved in a directory");
    json!({"mediaType": media_type, "digest": format!("sha256:{sum}"), "size": size})
}

/// The name of the architecture in Go and in images.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn copy_into(root: &Path, from: &Path, to: &str) {
    let to = root.join(to.trim_start_matches('/'));
    let folder = to.parent().expect("a file is in a directory");
    fs::create_dir_all(folder).expect("a folder can be created");
    let copied = fs::copy(from, &to);
    copied.unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// Copies the program without its debug information.
fn strip_into(root: &Path, program: &Path, to: &str) {
    let to = root.join(to.trim_start_matches('/'));
    let folder = to.parent().expect("a file is in a directory");
    fs::create_dir_all(folder).expect("a folder can be created");
    let mut command = Command::new("strip");
    command.arg("-o").arg(&to).arg(program);
    let made = finish(&mut command, "");
    assert_eq!(made.code, 0, "{command:?}: {}", made.stderr);
}

/// The shared libraries of a program; none if it is static.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let listed = finish(Command::new("ldd").arg(program), "");
    let words = listed.stdout.split_whitespace();
    words
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

/// Creates a reproducible archive.
fn tar(folder: &Path, archive: &Path) {
    let mut command = Command::new("tar");
    command
        .args(["--create", "--sort=name", "--mtime=@0", "--numeric-owner"])
        .args(["--owner=0", "--group=0", "--file"])
        .arg(archive)
        .arg("--directory")
        .arg(folder)
        .arg(".");
    let made = finish(&mut command, "");
    assert_eq!(made.code, 0, "{command:?}: {}", made.stderr);
}
