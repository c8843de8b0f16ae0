//! The chart finds the CNI directories by the cluster's platform, and refuses others.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mesh_cni_installer::{PLATFORMS, Platform};
use mesh_cni_tests::{Finished, Host, KubeApi, Kubectl, Process};
use serde_json::Value;

use crate::chart::{folder, run_helm, try_render, try_render_with};
use crate::renders::assert_platform;
use crate::rights::ATTACHMENTS;

/// Values that contradict the platform, and what the error must contain.
const CONTRADICTIONS: &[(&str, &[&str], &str)] = &[
    (
        "v1.34.1-gke.100",
        &[r#"platform="k3s""#],
        "platform is `k3s`, but the cluster (Kubernetes v1.34.1-gke.100) is `gke`",
    ),
    (
        "v1.34.1-gke.100",
        &[r#"cniBinDir="/opt/cni/bin""#],
        "the runtime of platform `gke` searches plugins in /home/kubernetes/bin",
    ),
    (
        "v1.34.1+k3s1",
        &[r#"cniConfDir="/etc/cni/net.d""#],
        "the runtime of platform `k3s` reads /var/lib/rancher/k3s/agent/etc/cni/net.d",
    ),
    (
        "v1.34.1+rke2r1",
        &[r#"global.platform="k3s""#],
        "platform is `k3s`, but the cluster (Kubernetes v1.34.1+rke2r1) is `rke2`",
    ),
    (
        "v1.34.1-eks-113cf36",
        &[r#"cniBinDir="/home/kubernetes/bin""#],
        "the runtime of platform `eks` searches plugins in /opt/cni/bin",
    ),
    (
        "v1.34.1",
        &[r#"platform="microk8s""#, r#"cniBinDir="/opt/cni/bin""#],
        "the runtime of platform `microk8s`",
    ),
    (
        "v1.34.1-gke.100",
        &[r#"platform="custom""#, r#"cniBinDir="/opt/cni/bin""#],
        "set cniBinDir and cniConfDir",
    ),
];

/// Values that fit, and the directory of plugins that they set.
const FITTING: &[(&str, &[&str], &str)] = &[
    ("v1.34.1", &[], "/opt/cni/bin"),
    ("v1.34.1", &[r#"platform="gke""#], "/home/kubernetes/bin"),
    (
        "v1.34.1",
        &[r#"cniBinDir="/usr/libexec/cni""#],
        "/usr/libexec/cni",
    ),
    (
        "v1.34.1-gke.100",
        &[r#"cniBinDir="/home/kubernetes/bin/""#],
        "/home/kubernetes/bin/",
    ),
    (
        "v1.34.1-eks-113cf36",
        &[r#"platform="bottlerocket""#],
        "/opt/cni/bin",
    ),
    (
        "v1.34.1+k3s1",
        &[r#"platform="k3d""#, r#"cniBinDir="/bin""#],
        "/bin",
    ),
    (
        "v1.34.1+k3s1",
        &[r#"cniBinDir="/var/lib/rancher/k3s/data/current/bin""#],
        "/var/lib/rancher/k3s/data/current/bin",
    ),
    (
        "v1.34.1+k3s1",
        &[
            r#"provider="multus""#,
            r#"cniConfDir="/etc/cni/multus/net.d""#,
        ],
        "/var/lib/rancher/k3s/data/cni",
    ),
    (
        "v1.34.1+k3s1",
        &[
            r#"platform="custom""#,
            r#"cniBinDir="/opt/cni/bin""#,
            r#"cniConfDir="/etc/cni/net.d""#,
        ],
        "/opt/cni/bin",
    ),
];

#[test]
fn the_version_of_the_api_server_decides_about_directories() {
    let cluster = Cluster::start();
    for platform in PLATFORMS {
        if let Some(mark) = platform.version_mark {
            let version = format!("v1.34.1{mark}1");
            assert_eq!(Platform::of_version(&version), Some(platform));
            let installed = cluster.install(&version, &[]);
            let noted = format!(", for platform {}:", platform.name);
            assert!(installed.stdout.contains(&noted), "{}", installed.stdout);
            assert_platform(&daemon_set(&installed), platform);
        }
    }
    for (version, options, refusal) in CONTRADICTIONS {
        let refused = cluster.install(version, options);
        assert_ne!(refused.code, 0, "{version} {options:?}");
        assert!(refused.stderr.contains(refusal), "{}", refused.stderr);
    }
    for (version, options, directory) in FITTING {
        let daemon_set = daemon_set(&cluster.install(version, options));
        let volumes = &daemon_set["spec"]["template"]["spec"]["volumes"];
        assert_eq!(
            volumes[0]["hostPath"]["path"], *directory,
            "{version} {options:?}"
        );
    }
}

#[test]
fn an_api_of_the_platform_decides_too() {
    for platform in PLATFORMS {
        if let Some(api) = platform.api_version {
            let rendered = try_render_with(&["--kube-version=1.34.0", "--api-versions", api], &[]);
            assert_platform(&daemon_set(&rendered), platform);
            let refused = try_render_with(
                &["--kube-version=1.34.0", "--api-versions", api],
                &[r#"platform="talos""#],
            );
            let named = format!("is `{}`: remove platform", platform.name);
            assert!(refused.stderr.contains(&named), "{}", refused.stderr);
        }
    }
}

#[test]
fn a_form_of_a_platform_has_its_directories() {
    for platform in PLATFORMS {
        let Some(name) = platform.form_of else {
            continue;
        };
        let other = Platform::named(name).unwrap();
        assert_eq!(platform.bin_dirs[0], other.bin_dirs[0]);
        assert_eq!(platform.conf_dir, other.conf_dir);
    }
}

#[test]
fn each_directory_of_a_platform_is_accepted() {
    for platform in PLATFORMS {
        for directory in platform.bin_dirs {
            let values = [
                format!("platform=\"{}\"", platform.name),
                format!("cniBinDir=\"{directory}\""),
                format!("cniConfDir=\"{}\"", platform.conf_dir),
            ];
            let accepted = try_render(&values.each_ref().map(|value| &**value));
            assert_eq!(accepted.code, 0, "{values:?}: {}", accepted.stderr);
        }
    }
}

/// The `DaemonSet` in the output of Helm.
fn daemon_set(rendered: &Finished) -> Value {
    assert_eq!(rendered.code, 0, "{}", rendered.stderr);
    let document = rendered
        .stdout
        .split("\n---\n")
        .find(|text| text.contains("kind: DaemonSet"));
    let document = document.unwrap().split("\nNOTES:").next().unwrap();
    serde_saphyr::from_str(document).unwrap()
}

/// A real API server whose version is another one. `helm template --kube-version` is not enough: since
/// Helm 3.19 it drops what distributions append to the version.
struct Cluster {
    url: String,
    version: Arc<Mutex<String>>,
    _proxy: Process,
    _api: KubeApi,
    _folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let api = KubeApi::start();
        api.apply(ATTACHMENTS);
        api.must("wait --for=condition=Established crd --all --timeout=60s");
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("proxy.sock");
        let mut command = Kubectl::new(Host::Local, api.kubeconfig()).command();
        command.arg("proxy").arg("--unix-socket").arg(&socket);
        let mut proxy = Process::start(&command, &folder.path().join("log"));
        proxy.wait_for("does not listen", Duration::from_secs(30), || {
            UnixStream::connect(&socket).ok()
        });
        let version = Arc::new(Mutex::new(String::new()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answered = Arc::clone(&version);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (socket, version) = (socket.clone(), answered.lock().unwrap().clone());
                thread::spawn(move || answer(client, &socket, &version));
            }
        });
        Self {
            url,
            version,
            _proxy: proxy,
            _api: api,
            _folder: folder,
        }
    }

    /// What `helm install` would create.
    fn install(&self, version: &str, options: &[&str]) -> Finished {
        version.clone_into(&mut self.version.lock().unwrap());
        let folder = folder();
        let mut words = vec!["install", "mesh-cni", folder.to_str().unwrap()];
        words.extend(["--dry-run=server", "--namespace=kube-system"]);
        words.extend(["--kube-apiserver", &self.url]);
        for option in options {
            words.extend(["--set-json", option]);
        }
        run_helm(&words)
    }
}

/// Answers one request: the version, or what the API server answers.
fn answer(client: TcpStream, socket: &Path, version: &str) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let mut client = reader.get_ref();
    if head.starts_with("GET /version") {
        let body = format!(r#"{{"major":"1","minor":"34","gitVersion":"{version}"}}"#);
        return write!(
            client,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
    }
    let mut server = UnixStream::connect(socket)?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    server.write_all(head.as_bytes())?;
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}
