//! The processes of this machine by the control groups that they run in, where every container
//! runtime writes the container's id and kubelet the pod's UID.

use std::path::PathBuf;
use std::{fs, io};

/// A process that runs in a container or in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) pid: u32,
    pub(super) group: Group,
}

/// What the names of a process's control groups tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// The container's id, 64 hexadecimal digits.
    pub(super) container: Option<String>,
    /// The pod's UID, as Kubernetes writes it.
    pub(super) pod: Option<String>,
}

/// The network namespace of a process.
pub(super) fn namespace(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/net"))
}

/// What is known of one process; nothing of one that has ended.
pub(super) fn group(pid: u32) -> Group {
    let told = fs::read_to_string(format!("/proc/{pid}/cgroup"));
    told.map(|told| Group::read(&told)).unwrap_or_default()
}

/// Every process of a container or of a pod, by ascending number.
pub(super) fn all() -> io::Result<Vec<Member>> {
    let mut members: Vec<_> = numbers()?
        .into_iter()
        .map(|pid| Member {
            pid,
            group: group(pid),
        })
        .filter(|member| member.group != Group::default())
        .collect();
    members.sort_by_key(|member| member.pid);
    Ok(members)
}

fn numbers() -> io::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
    let names = entries.map(|entry| entry.file_name());
    Ok(names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect())
}

impl Group {
    /// Reads `/proc/PID/cgroup`: a line `ID:CONTROLLERS:PATH` for each hierarchy.
    fn read(text: &str) -> Self {
        let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        let mut group = Self::default();
        for step in paths.flat_map(|path| path.split('/')) {
            group.container = group.container.or_else(|| container(step));
            group.pod = group.pod.or_else(|| pod(step));
        }
        group
    }
}

/// The id in a step such as `ID`, `cri-containerd-ID.scope`, `crio-ID` or `docker-ID.scope`.
fn container(step: &str) -> Option<String> {
    let step = step.strip_suffix(".scope").unwrap_or(step);
    // The monitor of a container runs on the host.
    if step.contains("conmon") {
        return None;
    }
    let id = step.rsplit(['-', ':']).next()?;
    (id.len() == 64 && id.bytes().all(is_digit)).then(|| id.to_owned())
}

/// The UID in a step such as `podUID` or `kubepods-burstable-podUID.slice`, where `_` is for `-`.
fn pod(step: &str) -> Option<String> {
    let slice = step.split_once(".slice").map_or(step, |(slice, _)| slice);
    let (before, uid) = slice.rsplit_once("pod")?;
    let is_place = before.is_empty() || before.starts_with("kubepods");
    let uid = uid.replace('_', "-");
    let is_uid = uid.len() >= 32 && uid.bytes().all(|byte| is_digit(byte) || byte == b'-');
    (is_place && is_uid).then_some(uid)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
    const UID: &str = "6c1a9d52-7a55-4f0e-9b0a-2f1f4d3c8e11";

    fn read(path: &str) -> (Option<String>, Option<String>) {
        let path = path.replace("ID", ID).replace("UUU", UID);
        let group = Group::read(&format!(
            "0::/{}\n",
            path.replace("U_U", &UID.replace('-', "_"))
        ));
        (group.container, group.pod)
    }

    #[test]
    fn every_runtime_names_its_groups_after_the_container() {
        let (id, uid) = (Some(ID.to_owned()), Some(UID.to_owned()));
        for path in [
            "kubepods/besteffort/podUUU/ID",
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_U.slice/cri-containerd-ID.scope",
            "kubepods.slice/kubepods-podU_U.slice/crio-ID.scope/container",
            "kubepods.slice/kubepods-podU_U.slice/docker-ID.scope",
            "system.slice/containerd.service/kubepods-besteffort-podU_U.slice:cri-containerd:ID",
        ] {
            assert_eq!(read(path), (id.clone(), uid.clone()), "{path}");
        }
        assert_eq!(read("system.slice/docker-ID.scope"), (id.clone(), None));
        assert_eq!(read("docker/ID"), (id, None));
    }

    #[test]
    fn other_groups_tell_nothing() {
        for path in [
            "",
            "user.slice/user-1000.slice",
            "kubepods.slice/kubepods-podU_U.slice/crio-conmon-ID.scope",
            "tripod/xyz",
            "machine.slice/libpod-short.scope",
        ] {
            assert_eq!(read(path).0, None, "{path}");
        }
        assert_eq!(
            read("machine.slice/tripod-6c1a9d527a554f0e9b0a2f1f4d3c8e11").1,
            None
        );
    }

    #[test]
    fn a_static_pod_has_a_uid_without_dashes() {
        let uid = "6c1a9d527a554f0e9b0a2f1f4d3c8e11";
        assert_eq!(pod(&format!("pod{uid}")), Some(uid.to_owned()));
    }
}
