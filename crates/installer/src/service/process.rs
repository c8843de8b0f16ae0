//! From a pod to one of its processes, and so to the pod's network namespace.

use std::fs;
use std::path::{Path, PathBuf};

use super::pod::Pod;

/// The annotation by which the mirror of a static pod tells the UID that the kubelet runs it under.
const STATIC_POD_UID: &str = "kubernetes.io/config.hash";

/// The processes of a node, as they were at one moment, by their control groups.
#[derive(Debug, Default)]
pub(super) struct Processes {
    proc: PathBuf,
    /// Each number, with the text of its `cgroup`.
    groups: Vec<(u32, String)>,
}

/// What the control groups of a pod's processes are known by.
struct Marks {
    /// How the group of the pod ends: kubelets make one for each pod.
    pods: Vec<String>,
    /// What the group of a container holds: runtimes make one for each container.
    containers: Vec<String>,
}

impl Processes {
    /// Those that are seen below `proc` now.
    pub(super) fn look(proc: &Path) -> Self {
        let entries = fs::read_dir(proc).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let groups = numbers.filter_map(|number: u32| Some((number, groups_of(proc, number)?)));
        Self {
            proc: proc.to_owned(),
            groups: groups.collect(),
        }
    }

    /// The network namespace of a pod, as a path below `proc`; `None` where no process of the pod
    /// is visible from here.
    ///
    /// A sandbox holds the namespace even while no container of the pod runs; its process is in a
    /// group of the pod's. What a container starts in groups below its own may be in a namespace
    /// of its own, so the process nearest to the pod's group counts, the oldest of them first.
    pub(super) fn network_of(&self, pod: &Pod) -> Option<PathBuf> {
        let marks = Marks::of(pod);
        let near = self.groups.iter().filter_map(|(number, groups)| {
            let depth = marks.depth(groups)?;
            Some((depth, *number))
        });
        let (_, number) = near.min()?;
        Some(self.proc.join(number.to_string()).join("ns/net"))
    }
}

/// Whether the process whose namespace that is belongs to the pod still.
pub(super) fn is_of(network: &Path, pod: &Pod) -> bool {
    let process = network.parent().and_then(Path::parent);
    let groups = process.and_then(|process| fs::read_to_string(process.join("cgroup")).ok());
    groups.is_some_and(|groups| Marks::of(pod).depth(&groups).is_some())
}

fn groups_of(proc: &Path, number: u32) -> Option<String> {
    fs::read_to_string(proc.join(number.to_string()).join("cgroup")).ok()
}

impl Marks {
    fn of(pod: &Pod) -> Self {
        let facts = pod.facts.as_ref().ok();
        let kubelet = facts.and_then(|facts| facts.annotations.get(STATIC_POD_UID));
        let uids = [Some(&pod.uid), kubelet].into_iter().flatten();
        let uids = uids.filter(|uid| uid.len() >= 32);
        // systemd's names of groups have no dash within.
        let pods =
            uids.flat_map(|uid| [format!("pod{uid}"), format!("pod{}", uid.replace('-', "_"))]);
        let ids = pod.all_containers();
        let containers = ids.filter_map(|it| hexadecimal(it.id.as_deref()?));
        Self {
            pods: pods.collect(),
            containers: containers.map(str::to_owned).collect(),
        }
    }

    /// How many groups lie between a container of the pod and the process; `None` for a process
    /// that is none of the pod's.
    fn depth(&self, groups: &str) -> Option<usize> {
        let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        paths.filter_map(|path| self.depth_of(path)).min()
    }

    fn depth_of(&self, path: &str) -> Option<usize> {
        let steps: Vec<&str> = path.split('/').collect();
        let is_container = |step: &&str| self.containers.iter().any(|id| step.contains(id));
        if let Some(at) = steps.iter().position(is_container) {
            return Some(steps.len() - 1 - at);
        }
        let is_pod = |step: &&str| {
            let step = step.strip_suffix(".slice").unwrap_or(step);
            self.pods.iter().any(|pod| step.ends_with(pod))
        };
        let at = steps.iter().position(is_pod)?;
        Some((steps.len() - 1 - at).saturating_sub(1))
    }
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
    use tempfile::TempDir;

    const ID: &str = "0123456789abcdef0123456789abcdef";
    const UID: &str = "5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11";

    fn proc_with(processes: &[(&str, String)]) -> TempDir {
        let proc = tempfile::tempdir().expect("a temporary directory can be made");
        for (pid, groups) in processes {
            let directory = proc.path().join(pid);
            fs::create_dir(&directory).expect("it is empty");
            fs::write(directory.join("cgroup"), groups).expect("it can be written");
        }
        proc
    }

    fn pod(uid: &str, id: &str) -> Pod {
        let object = json!({
            "metadata": {"namespace": "a", "name": "b", "uid": uid},
            "spec": {"containers": []},
            "status": {"containerStatuses": [{"name": "x", "containerID": id}]},
        });
        Pod::from_object(&object).expect("it is a pod")
    }

    fn found(proc: &TempDir, pod: &Pod) -> Option<String> {
        let network = Processes::look(proc.path()).network_of(pod)?;
        assert!(is_of(&network, pod));
        let path = network.strip_prefix(proc.path()).expect("it is below");
        Some(path.display().to_string())
    }

    #[test]
    fn a_process_is_found_by_the_control_group_of_its_container() {
        let proc = proc_with(&[
            ("1", "0::/init.scope".to_owned()),
            (
                "42",
                format!("0::/kubepods.slice/cri-containerd-{ID}.scope"),
            ),
            ("self", format!("0::/{ID}")),
        ]);
        let of = |id: &str| found(&proc, &pod("c", id));
        assert_eq!(
            of(&format!("containerd://{ID}")).as_deref(),
            Some("42/ns/net")
        );
        for other in [
            "containerd://ffff6789abcdef0123456789abcdef00",
            "",
            "containerd://",
            "cri-o://init",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_sandbox_is_found_by_the_control_group_of_its_pod() {
        let below =
            |pod: &str| proc_with(&[("7", format!("12:pids:/x\n1:name=systemd:{pod}/0a1b"))]);
        let systemd = UID.replace('-', "_");
        for group in [
            format!("/kubepods/burstable/pod{UID}"),
            format!("/../../kubepods-besteffort-pod{systemd}.slice"),
            format!("/kubepods.slice/kubepods-pod{systemd}.slice"),
        ] {
            let found = found(&below(&group), &pod(UID, ""));
            assert_eq!(found.as_deref(), Some("7/ns/net"), "{group}");
        }
        let other = below(&format!("/kubepods/pod{UID}0"));
        assert_eq!(found(&other, &pod(UID, "")), None);
    }

    #[test]
    fn what_a_container_starts_in_groups_of_its_own_does_not_count() {
        let container = format!("0::/kubepods/pod{UID}/{ID}");
        let proc = proc_with(&[
            ("9", format!("{container}/docker/ffff")),
            ("30", container.clone()),
            ("31", container),
            ("40", format!("0::/kubepods/pod{UID}/sandbox")),
        ]);
        let pod = pod(UID, &format!("containerd://{ID}"));
        assert_eq!(found(&proc, &pod).as_deref(), Some("30/ns/net"));
    }
}
