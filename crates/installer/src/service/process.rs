//! From a container to one of its processes, and so to the pod's network namespace.

use std::fs;
use std::path::{Path, PathBuf};

use super::pod::Pod;

/// The network namespace of a running pod, as a path below `proc`; `None` where no process of its
/// containers is visible from here.
///
/// A process belongs to a container if its control groups name the container's id: runtimes make
/// one for each container.
pub(super) fn network_of(proc: &Path, pod: &Pod) -> Option<PathBuf> {
    let ids: Vec<&str> = pod
        .all_containers()
        .filter_map(|it| hexadecimal(it.id.as_deref()?))
        .collect();
    if ids.is_empty() {
        return None;
    }
    let entries = fs::read_dir(proc).ok()?.flatten();
    let processes = entries.filter(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .bytes()
            .all(|b| b.is_ascii_digit())
    });
    let belongs = |directory: &PathBuf| {
        let groups = fs::read_to_string(directory.join("cgroup")).unwrap_or_default();
        ids.iter().any(|id| groups.contains(id))
    };
    let process = processes.map(|entry| entry.path()).find(belongs)?;
    Some(process.join("ns/net"))
}

/// The id in `RUNTIME://ID`, if it is one that no other text contains by accident.
fn hexadecimal(id: &str) -> Option<&str> {
    let (_, id) = id.split_once("://")?;
    let long = id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    long.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_process_is_found_by_the_control_group_of_its_container() {
        let id = "0123456789abcdef0123456789abcdef";
        let proc = tempfile::tempdir().expect("a temporary directory can be made");
        let process = |pid: &str, groups: &str| {
            let directory = proc.path().join(pid);
            fs::create_dir(&directory).expect("it is empty");
            fs::write(directory.join("cgroup"), groups).expect("it can be written");
        };
        process("1", "0::/init.scope");
        process(
            "42",
            &format!("0::/kubepods.slice/cri-containerd-{id}.scope"),
        );
        process("self", &format!("0::/{id}"));
        let pod = |id: &str| {
            let object = json!({
                "metadata": {"namespace": "a", "name": "b", "uid": "c"},
                "status": {"containerStatuses": [{"name": "x", "containerID": id}]},
            });
            Pod::from_object(&object).expect("it is a pod")
        };
        let found = |id: &str| network_of(proc.path(), &pod(id));
        let wanted = Some(proc.path().join("42/ns/net"));
        assert_eq!(found(&format!("containerd://{id}")), wanted);
        for other in [
            "containerd://ffff6789abcdef0123456789abcdef00",
            "",
            "containerd://",
            "cri-o://init",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
