//! CRI-O in an isolated host, with conmon and runc.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cri::{PAUSE, install_reference_plugins, write_pause};
use crate::{IsolatedHost, Process, crio, pinns, write_script};

/// The timeout until it is ready; long, for slow and busy machines.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The image store of `skopeo` and CRI-O.
const STORE: &str =
    "containers-storage:[overlay@/var/lib/containers/storage+/run/containers/storage]";

/// runc, without what a container cannot have here: control of huge pages, and an OOM score below that
/// of its parent. containerd leaves both out if they are missing.
const RUNC: &str = r#"#!/bin/sh
bundle=
previous=
for argument; do
  [ "$previous" != --bundle ] || bundle=$argument
  previous=$argument
done
if [ -n "$bundle" ]; then
  sed -i -z -e 's/"hugepageLimits": *\[[^]]*\]/"hugepageLimits": []/g' \
    -e 's/"oomScoreAdj": *-[0-9]*/"oomScoreAdj": 0/' "$bundle/config.json"
fi
exec /usr/sbin/runc "$@"
"#;

/// CRI-O with the reference CNI plugins in `/opt/cni/bin`, without a network configuration. It reads
/// `/etc/crio.conf` and then the files in `/etc/crio.conf.d`.
#[derive(Debug)]
pub struct Crio {
    process: Process,
}

impl Crio {
    /// Its socket in the isolated host.
    pub(crate) const SOCKET: &str = "/run/crio/crio.sock";

    /// Stores the image of the sandboxes, and starts it with its log in `state`.
    pub fn start(isolated_host: &IsolatedHost, state: &Path) -> Self {
        let etc = isolated_host.path("/etc");
        fs::write(etc.join("crio.conf"), configuration()).expect("/etc can be written");
        fs::create_dir_all(etc.join("crio.conf.d")).expect("/etc can be written");
        let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        fs::write(etc.join("policy.json"), policy).expect("/etc can be written");
        install_reference_plugins(isolated_host);
        write_script(&etc.join("runc-for-crio"), RUNC);
        Self::import(isolated_host, PAUSE, &write_pause(state));
        Self::run(isolated_host, state)
    }

    /// Stores an image under this name.
    pub fn import(isolated_host: &IsolatedHost, name: &str, archive: &Path) {
        let archive = archive.display();
        isolated_host.must(&format!(
            "skopeo --policy /etc/policy.json copy --quiet oci-archive:{archive} {STORE}{name}"
        ));
    }

    /// Starts it again with the files of an earlier run; containers keep running.
    pub fn restart(&mut self, isolated_host: &IsolatedHost, state: &Path) {
        // Two of them must not run at the same time.
        self.process.kill();
        *self = Self::run(isolated_host, state);
    }

    /// Its log.
    pub fn log(state: &Path) -> String {
        fs::read_to_string(state.join("crio.log")).expect("the log is text")
    }

    /// Calls `probe` with its log now, and again after each output, until it returns a value; `what`
    /// describes the failure.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        state: &Path,
        mut probe: impl FnMut(&str) -> Option<T>,
    ) -> T {
        self.process
            .wait_for(what, TIMEOUT, || probe(&Self::log(state)))
    }

    fn run(isolated_host: &IsolatedHost, state: &Path) -> Self {
        let mut command = isolated_host.command(crio());
        command
            .args([
                "--config",
                "/etc/crio.conf",
                "--config-dir",
                "/etc/crio.conf.d",
            ])
            .args(["--log-level", "info"]);
        let (log, socket) = (state.join("crio.log"), state.join("crio.notify"));
        let process = Process::start_ready(&mut command, &log, &socket, TIMEOUT);
        Self { process }
    }
}

fn configuration() -> String {
    format!(
        r#"[crio]
root = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
storage_driver = "overlay"
version_file = "/run/crio/version"
[crio.api]
listen = "/run/crio/crio.sock"
[crio.runtime]
default_runtime = "runc"
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
pinns_path = "{pinns}"
seccomp_profile = "unconfined"
[crio.runtime.runtimes.runc]
runtime_path = "/etc/runc-for-crio"
monitor_path = "/usr/bin/conmon"
monitor_cgroup = "pod"
[crio.image]
pause_image = "{PAUSE}"
signature_policy = "/etc/policy.json"
[crio.network]
network_dir = "/etc/cni/net.d/"
plugin_dirs = ["/opt/cni/bin/"]
[crio.nri]
enable_nri = false
"#,
        pinns = pinns().display()
    )
}
