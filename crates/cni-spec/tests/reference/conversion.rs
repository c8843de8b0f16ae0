//! Compares conversions between all versions with those of the reference's library.
//!
//! The reference plugin `bridge` reads the result of its IPAM plugin in any version, and writes its
//! own in the configuration's version. A fake IPAM plugin returns results of every version, which
//! this crate must convert to the same output. The host side of `bridge` also runs in a separate
//! namespace, so the machine's network does not change.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_spec::{CniResult, IpConfig, ResultShape, SpecVersion};
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::process::{SUPPORTED, output, reference};

/// A directory with an IPAM plugin `fake` that returns the content of `result.json`.
struct FakeIpam(PathBuf);

impl FakeIpam {
    fn new() -> Self {
        let folder =
            std::env::temp_dir().join(format!("mesh-cni-spec-ipam-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let script =
            "#!/bin/sh\nif [ \"$CNI_COMMAND\" = ADD ]; then cat \"${0%/*}/result.json\"; fi\n";
        fs::write(folder.join("fake"), script).unwrap();
        fs::set_permissions(folder.join("fake"), fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn returning(&self, result: &Value) -> &Path {
        fs::write(self.0.join("result.json"), result.to_string()).unwrap();
        &self.0
    }
}

impl Drop for FakeIpam {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The result of the IPAM plugin: addresses and routes of both families.
fn addresses(version: SpecVersion) -> Value {
    let mut result = match version.shape() {
        ResultShape::PerFamily => json!({
            "ip4": {"ip": "10.0.0.2/24", "gateway": "10.0.0.1", "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}, {"dst": "10.1.0.0/16"}]},
            "ip6": {"ip": "fd00::2/64", "gateway": "fd00::1", "routes": [{"dst": "fd01::/64"}]},
        }),
        ResultShape::VersionedIps => json!({
            "ips": [{"version": "4", "address": "10.0.0.2/24", "gateway": "10.0.0.1"}, {"version": "6", "address": "fd00::2/64", "gateway": "fd00::1"}],
            "routes": [{"dst": "fd01::/64"}, {"dst": "0.0.0.0/0", "gw": "10.0.0.1"}, {"dst": "10.1.0.0/16"}],
        }),
        ResultShape::PlainIps => json!({
            "ips": [{"address": "10.0.0.2/24", "gateway": "10.0.0.1"}, {"address": "fd00::2/64", "gateway": "fd00::1"}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}, {"dst": "fd01::/64"}],
        }),
    };
    result["cniVersion"] = version.as_str().into();
    result
}

fn bridge(to: SpecVersion, path: &Path) -> Value {
    let (host, container) = (Namespace::new(), Namespace::new());
    let stdin = json!({
        "cniVersion": to.as_str(), "name": "net", "type": "bridge", "bridge": "cni0",
        "ipam": {"type": "fake"},
    });
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net={}", host.path()))
        .arg(reference("bridge"));
    command
        .env("CNI_COMMAND", "ADD")
        .env("CNI_CONTAINERID", "c1")
        .env("CNI_IFNAME", "eth0");
    command
        .env("CNI_NETNS", container.path())
        .env("CNI_PATH", path);
    let output = output(&mut command, stdin.to_string().as_bytes());
    assert_eq!(output.exit, 0, "{output:?}");
    output.document()
}

/// All thirty-six conversions. `bridge` adds its interfaces, which are copied before the conversion,
/// and returns the `dns` of its own configuration, which is empty.
#[test]
fn results_of_every_version_in_every_version() {
    let ipam = FakeIpam::new();
    for from in SUPPORTED {
        for to in SUPPORTED {
            let mut theirs = bridge(*to, ipam.returning(&addresses(*from)));
            theirs.as_object_mut().unwrap().shift_remove("dns");
            let mut result = CniResult::from_value(&addresses(*from)).unwrap();
            if to.shape() != ResultShape::PerFamily {
                result.interfaces = CniResult::from_value(&theirs).unwrap().interfaces;
                let set_interface = |ip: &mut IpConfig| ip.interface = Some(2);
                result.ips.iter_mut().for_each(set_interface);
            }
            assert_eq!(result.to_value(*to), theirs, "{from} -> {to}");
        }
    }
}
