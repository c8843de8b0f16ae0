//! Results between all versions, as the reference's library converts them.
//!
//! The reference plugin `bridge` reads the answer of its address management in whatever version
//! that names, and writes its own in the configuration's. A stand-in for the address management
//! answers in every version, and ours must turn it into the same. The host side of `bridge` runs
//! in a namespace of its own too, so nothing on this machine's network is touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_cni_spec::{CniResult, IpConfig, ResultShape, SpecVersion};
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::process::{SPOKEN, answer, reference};

/// A folder with a plugin `stand-in` that answers what stands in `result.json`.
struct StandIn(PathBuf);

impl StandIn {
    fn new() -> Self {
        let folder =
            std::env::temp_dir().join(format!("mesh-cni-spec-ipam-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let script =
            "#!/bin/sh\nif [ \"$CNI_COMMAND\" = ADD ]; then cat \"${0%/*}/result.json\"; fi\n";
        fs::write(folder.join("stand-in"), script).unwrap();
        fs::set_permissions(folder.join("stand-in"), fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn answers(&self, result: &Value) -> &Path {
        fs::write(self.0.join("result.json"), result.to_string()).unwrap();
        &self.0
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What address management answers: addresses and routes of both families.
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
        "ipam": {"type": "stand-in"},
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
    let answer = answer(&mut command, stdin.to_string().as_bytes());
    assert_eq!(answer.exit, 0, "{answer:?}");
    answer.document()
}

/// All thirty-six ways. `bridge` adds its interfaces, which we take over before we convert, and
/// answers the name resolution of its own configuration, which is empty.
#[test]
fn results_of_every_version_in_every_version() {
    let stand_in = StandIn::new();
    for from in SPOKEN {
        for to in SPOKEN {
            let mut theirs = bridge(*to, stand_in.answers(&addresses(*from)));
            theirs.as_object_mut().unwrap().shift_remove("dns");
            let mut result = CniResult::from_value(&addresses(*from)).unwrap();
            if to.shape() != ResultShape::PerFamily {
                result.interfaces = CniResult::from_value(&theirs).unwrap().interfaces;
                let inside = |ip: &mut IpConfig| ip.interface = Some(2);
                result.ips.iter_mut().for_each(inside);
            }
            assert_eq!(result.to_value(*to), theirs, "{from} -> {to}");
        }
    }
}
