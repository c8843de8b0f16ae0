//! containerd in an isolated host.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cri::{PAUSE, install_reference_plugins, write_pause};
use crate::{IsolatedHost, Process};

/// The timeout until it is ready; long, for slow and busy machines.
const TIMEOUT: Duration = Duration::from_secs(300);

/// containerd with runc and the reference CNI plugins in `/opt/cni/bin`, without a network
/// configuration.
#[derive(Debug)]
pub struct Containerd {
    process: Process,
}

impl Containerd {
    /// Its socket in the isolated host.
    pub(crate) const SOCKET: &str = "/run/containerd/containerd.sock";

    /// Starts it with its log in `state`, and imports the image of the sandboxes.
    pub fn start(isolated_host: &IsolatedHost, state: &Path) -> Self {
        let config = isolated_host.path("/etc/mesh-cni-tests.containerd.toml");
        fs::write(config, configuration()).expect("the isolated host's /etc can be written");
        install_reference_plugins(isolated_host);
        let mut command = isolated_host.command("containerd");
        command.args(["--config", "/etc/mesh-cni-tests.containerd.toml"]);
        let (log, socket) = (
            state.join("containerd.log"),
            state.join("containerd.notify"),
        );
        let process = Process::start_ready(&mut command, &log, &socket, TIMEOUT);
        let pause = write_pause(state);
        Self::import(isolated_host, &pause);
        Self { process }
    }

    /// Imports an image.
    pub fn import(isolated_host: &IsolatedHost, archive: &Path) {
        let archive = archive.display();
        isolated_host.must(&format!("ctr --namespace k8s.io images import {archive}"));
    }

    /// The process, for tests that stop it or read its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn configuration() -> String {
    format!(
        r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
# Without CAP_SYS_RESOURCE a process cannot decrease an OOM score below its own.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"#
    )
}
