//! From a pod to one of its processes, and so to the pod's network namespace.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::pod::Pod;

/// What the name of a pod's control group has before its UID.
const POD: &str = "pod";

/// No id and no UID is shorter.
const SHORTEST: usize = 32;

/// The annotation by which the mirror of a static pod tells the UID that the kubelet runs it under.
const STATIC_POD_UID: &str = "kubernetes.io/config.hash";

/// The processes of a node, as they were at one moment, by the pods and containers of their control
/// groups.
#[derive(Debug, Default)]
pub(super) struct Processes {
    proc: PathBuf,
    /// For each mark, the process nearest to its group, the oldest of them.
    nearest: HashMap<String, Place>,
}

/// How many groups lie between a container's and the process, and the process' number.
type Place = (usize, u32);

impl Processes {
    /// Those that are seen below `proc` now.
    pub(super) fn look(proc: &Path) -> Self {
        let entries = fs::read_dir(proc).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut nearest: HashMap<String, Place> = HashMap::new();
        for number in numbers {
            let Ok(groups) = fs::read_to_string(cgroup(proc, number)) else {
                continue;
            };
            for (mark, depth) in marks_in(&groups) {
                let place = nearest.entry(mark).or_insert((depth, number));
                *place = (*place).min((depth, number));
            }
        }
        let proc = proc.to_owned();
        Self { proc, nearest }
    }

    /// The network namespace of a pod, as a path below `proc`; `None` where no process of the pod
    /// is visible from here.
    ///
    /// A sandbox holds the namespace even while no container of the pod runs; its process is in a
    /// group of the pod's. What a container starts in groups below its own may be in a namespace
    /// of its own, so the process nearest to the pod's group counts, the oldest of them first.
    pub(super) fn network_of(&self, pod: &Pod) -> Option<PathBuf> {
        let marks = marks_of(pod);
        let places = marks.iter().filter_map(|mark| self.nearest.get(mark));
        let (_, number) = places.min()?;
        Some(self.proc.join(number.to_string()).join("ns/net"))
    }
}

/// Whether the process whose namespace that is belongs to the pod still.
pub(super) fn is_of(network: &Path, pod: &Pod) -> bool {
    let process = network.parent().and_then(Path::parent);
    let groups = process.and_then(|process| fs::read_to_string(process.join("cgroup")).ok());
    let marks = marks_of(pod);
    groups.is_some_and(|groups| marks_in(&groups).any(|(mark, _)| marks.contains(&mark)))
}

fn cgroup(proc: &Path, number: u32) -> PathBuf {
    proc.join(number.to_string()).join("cgroup")
}

/// What the control groups of a pod's processes are known by: kubelets make one for each pod that
/// ends with `pod` and the pod's UID, runtimes one for each container that holds its id.
fn marks_of(pod: &Pod) -> Vec<String> {
    let facts = pod.facts.as_ref().ok();
    let kubelet = facts.and_then(|facts| facts.annotations.get(STATIC_POD_UID));
    let uids = [Some(&pod.uid), kubelet].into_iter().flatten();
    let uids = uids.map(|uid| format!("{POD}{uid}"));
    let ids = pod.all_containers();
    let ids = ids.filter_map(|it| hexadecimal(it.id.as_deref()?));
    uids.chain(ids.map(str::to_owned)).collect()
}

/// The marks of pods and containers in the text of a `cgroup`, each with the number of groups
/// between a container's and the process.
fn marks_in(groups: &str) -> impl Iterator<Item = (String, usize)> {
    let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(|path| {
        let steps = path.rsplit('/').enumerate();
        steps.flat_map(|(below, step)| {
            let pod = pod_in(step).map(|mark| (mark, below.saturating_sub(1)));
            let pieces = step.split(|sign: char| !sign.is_ascii_hexdigit());
            let ids = pieces.filter(|piece| piece.len() >= SHORTEST);
            let ids = ids.map(move |id| (id.to_owned(), below));
            pod.into_iter().chain(ids)
        })
    })
}

/// The mark of a pod that the group's name ends with; systemd's names have no dash within.
fn pod_in(step: &str) -> Option<String> {
    let name = step.strip_suffix(".slice").unwrap_or(step);
    let (_, uid) = name.rsplit_once(POD)?;
    (uid.len() >= SHORTEST).then(|| format!("{POD}{}", uid.replace('_', "-")))
}

/// The id in `RUNTIME://ID`, if it is one that no other text contains by accident.
fn hexadecimal(id: &str) -> Option<&str> {
    let (_, id) = id.split_once("://")?;
    let long = id.len() >= SHORTEST && id.bytes().all(|byte| byte.is_ascii_hexdigit());
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
