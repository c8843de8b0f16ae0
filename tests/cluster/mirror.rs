//! Pods' manifests, written where pod source `file` reads them, as soon as the API server tells.

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use mesh_cni_tests::{Kubectl, Node};
use serde_json::{Deserializer, Value};

/// Where they are written, on the node.
pub(crate) const PODS: &str = "/etc/mesh-cni/pods";

/// The watch; it ends with this value.
#[derive(Debug)]
pub(crate) struct Mirror {
    watch: Child,
}

impl Mirror {
    pub(crate) fn start(node: &Node, kubectl: &Kubectl) -> Self {
        let pods = node.enclosure().path(PODS);
        fs::create_dir_all(&pods).expect("the enclosure's /etc can be written");
        let mut command = kubectl.command();
        command.args([
            "get",
            "pods",
            "--all-namespaces",
            "--watch",
            "--output=json",
        ]);
        let watch = command.stdout(Stdio::piped()).spawn();
        let mut watch = watch.expect("kubectl starts");
        let stdout = watch.stdout.take().expect("stdout is a pipe");
        thread::spawn(move || {
            let told = Deserializer::from_reader(BufReader::new(stdout)).into_iter::<Value>();
            for pod in told.map_while(Result::ok) {
                write(&pods, &pod);
            }
        });
        Self { watch }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        drop(self.watch.kill());
        drop(self.watch.wait());
    }
}

fn write(pods: &Path, pod: &Value) {
    let name = |key: &str| pod["metadata"][key].as_str().unwrap_or_default().to_owned();
    let file = format!("{}_{}.json", name("namespace"), name("name"));
    let part = pods.join(format!(".{file}"));
    let written =
        fs::write(&part, pod.to_string()).and_then(|()| fs::rename(part, pods.join(file)));
    drop(written);
}
