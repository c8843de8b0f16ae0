//! The programs in the archive of `make image`, started for each architecture. QEMU runs those of another
//! architecture than this machine's.

use std::env;
use std::path::Path;
use std::process::Command;

use mesh_cni_tests::{Finished, finish};
use serde_json::Value;

use crate::chart::repository;
use crate::image::images;

const CONF: &str =
    r#"{"cniVersion": "1.1.0", "name": "network", "type": "mesh-cni", "pod_source": "runtime"}"#;

#[test]
fn the_programs_of_each_architecture_start_and_answer_alike() {
    let archive = env::var_os("IMAGE_ARCHIVE").expect("`make image-test` sets IMAGE_ARCHIVE");
    let folder = tempfile::tempdir().unwrap();
    let images = images(Path::new(&archive), folder.path());
    assert_eq!(images.keys().collect::<Vec<_>>(), ["amd64", "arm64"]);
    let mut answers = images.iter().map(|(architecture, root)| {
        let start = |program: &str| command(architecture, &root.join("bin").join(program));
        let call = |name: &str| finish(start("mesh-cni").env("CNI_COMMAND", name), CONF);
        let status = call("STATUS");
        let error = status.stdout.parse::<Value>().unwrap_or_default();
        assert!(
            status.code == 0 || error["code"] == 50,
            "{architecture}: {status:?}"
        );
        let pod = repository().join("examples/bookinfo/productpage.yaml");
        let render = finish(start("mesh-cnictl").args(["render", "--pod"]).arg(pod), "");
        let version = finish(start("mesh-cni-agent").arg("--version"), "");
        [call("VERSION"), render, version].map(|answer| successful(architecture, answer))
    });
    let [first, second] = [answers.next(), answers.next()];
    assert_eq!(first, second);
    let [version, render, agent] = first.unwrap();
    assert!(version.contains("\"1.1.0\""), "{version}");
    assert!(render.contains("Chain ISTIO_INBOUND"), "{render}");
    assert!(agent.starts_with("mesh-cni-agent "), "{agent}");
}

fn successful(architecture: &str, answer: Finished) -> String {
    assert_eq!(answer.code, 0, "{architecture}: {}", answer.stderr);
    answer.stdout
}

/// The program, or QEMU with it as the first argument.
fn command(architecture: &str, program: &Path) -> Command {
    let machine = match architecture {
        "amd64" => "x86_64",
        _ => "aarch64",
    };
    if machine == env::consts::ARCH {
        return Command::new(program);
    }
    let mut command = Command::new(format!("qemu-{machine}"));
    command.arg(program);
    command
}
