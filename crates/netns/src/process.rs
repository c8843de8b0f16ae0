//! Finds the processes of pods and containers, and through them a pod's network namespace.
//!
//! The control groups in `/proc/PID/cgroup` identify a container process: the kubelet creates one
//! group for each pod, named after its UID, and the container runtime one for each container, named
//! after its ID. Both cgroup versions and both drivers (`cgroupfs`, `systemd`) are read.
//!
//! - A container ID has exactly 64 hexadecimal digits: containerd, CRI-O and Docker all create such
//!   IDs. Shorter runs of digits are refused, because the UID of a static pod (32 digits) and parts
//!   of other names look the same.
//! - A pod UID comes from a group named `podUID` or `…kubepods…-podUID[.slice]`. The text before
//!   `kubepods` is free, because kind and others set the kubelet's `--cgroup-root`.
//! - `conmon`, the monitor that CRI-O starts for each container, does not count: it runs in the
//!   node's network namespace, even where its group is in the pod's.
//! - A container that runs containers of its own nests their groups below its group. The outermost
//!   pod counts, and within it the outermost container.
//! - Any process of a pod may provide the network namespace, not only the sandbox (`pause`), which
//!   CRI-O does not always start. [`ProcessTable::open_netns`] describes which of several counts.

mod open;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::netns::NetNs;
pub use open::{NetnsOwner, ProcessError};

/// The length of a container ID, in hexadecimal digits.
const CONTAINER_ID: usize = 64;

/// The lengths of a pod UID: 32 hexadecimal digits, with or without 4 dashes.
const POD_UID: [usize; 2] = [32, 36];

/// A process that runs in a pod or in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerProcess {
    /// The process ID.
    pub pid: u32,
    /// When it started, in clock ticks since boot: another process with the same ID differs here.
    pub start_time: u64,
    /// The UID of its pod, as Kubernetes writes it.
    pub pod_uid: Option<String>,
    /// The ID of its container or sandbox: 64 hexadecimal digits.
    pub container_id: Option<String>,
    /// The number of groups between the container's group and the process.
    depth: usize,
}

/// The container processes of a node at one moment.
#[derive(Clone, Debug, Default)]
pub struct ProcessTable {
    proc: PathBuf,
    /// The closest to their container's group first, then by PID.
    processes: Vec<ContainerProcess>,
}

impl ContainerProcess {
    /// Reads one process below `proc` (usually `/proc`); `None` where it has ended or runs in no
    /// container.
    pub fn read(proc: &Path, pid: u32) -> Option<Self> {
        let directory = proc.join(pid.to_string());
        let cgroup = fs::read_to_string(directory.join("cgroup")).ok()?;
        let process = Self::parse(pid, &cgroup)?;
        let stat = fs::read(directory.join("stat")).ok()?;
        let start_time = start_time(&stat)?;
        Some(Self {
            start_time,
            ..process
        })
    }

    /// Parses `/proc/PID/cgroup`: one line `HIERARCHY:CONTROLLERS:PATH` for each hierarchy
    /// (cgroups(7)). The line with the most information counts. The start time is not in it.
    fn parse(pid: u32, cgroup: &str) -> Option<Self> {
        if cgroup.contains("conmon") {
            return None;
        }
        cgroup
            .lines()
            .filter_map(|line| Self::in_group(pid, line.splitn(3, ':').nth(2)?))
            .min_by_key(|it| (it.pod_uid.is_none(), it.container_id.is_none(), it.depth))
    }

    fn in_group(pid: u32, path: &str) -> Option<Self> {
        let names: Vec<_> = path.split('/').collect();
        let last = names.len() - 1;
        let mut numbered = names.iter().enumerate();
        let pod = numbered.find_map(|(at, name)| Some((at, pod_uid(name)?)));
        let below = pod.as_ref().map_or(0, |(at, _)| *at);
        let mut numbered = names.iter().enumerate().skip(below);
        let container = numbered.find_map(|(at, name)| Some((at, container_id(name)?)));
        let depth = match (&pod, &container) {
            (_, Some((at, _))) => last - at,
            (Some((at, _)), None) => (last - at).saturating_sub(1),
            (None, None) => return None,
        };
        Some(Self {
            pid,
            start_time: 0,
            pod_uid: pod.map(|(_, uid)| uid),
            container_id: container.map(|(_, id)| id),
            depth,
        })
    }
}

impl ProcessTable {
    /// Reads every process below `proc` (usually `/proc`). This takes milliseconds on a busy node:
    /// do not call it on an event loop.
    pub fn read(proc: &Path) -> io::Result<Self> {
        let mut processes: Vec<_> = fs::read_dir(proc)?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|pid| ContainerProcess::read(proc, pid))
            .collect();
        processes.sort_by_key(|process| (process.depth, process.pid));
        let proc = proc.to_owned();
        Ok(Self { proc, processes })
    }

    /// The processes, the closest to their container's group first, then by PID.
    pub fn iter(&self) -> impl Iterator<Item = &ContainerProcess> {
        self.processes.iter()
    }

    /// A pod's process in that network namespace.
    pub fn pod_process_in(&self, netns: &NetNs) -> Option<&ContainerProcess> {
        self.iter().find(|process| {
            let is_same = |own: NetNs| own.is_same(netns);
            process.pod_uid.is_some()
                && NetNs::open(&self.netns_path(process.pid)).is_ok_and(is_same)
        })
    }

    fn netns_path(&self, pid: u32) -> PathBuf {
        self.proc.join(pid.to_string()).join("ns/net")
    }
}

/// The 22nd field of `/proc/PID/stat` (`proc_pid_stat(5)`). The second, in parentheses, is a name that
/// the process chose.
fn start_time(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let after_name = str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    after_name.split_whitespace().nth(22 - 3)?.parse().ok()
}

/// The ID in `ID`, `cri-containerd-ID.scope`, `crio-ID.scope`, `docker-ID.scope` or
/// `SLICE:cri-containerd:ID`.
fn container_id(group: &str) -> Option<String> {
    let group = group.strip_suffix(".scope").unwrap_or(group);
    let id = group.rsplit(['-', ':']).next()?;
    (id.len() == CONTAINER_ID && id.bytes().all(is_hex)).then(|| id.to_owned())
}

/// The UID in `podUID` or `kubepods-burstable-podUID.slice`, where systemd has `_` for `-`.
fn pod_uid(group: &str) -> Option<String> {
    let slice = group.split_once(".slice").map_or(group, |(slice, _)| slice);
    let (parent, uid) = slice.rsplit_once("pod")?;
    let is_kubelets = parent.is_empty() || parent.contains("kubepods");
    let uid = uid.replace('_', "-");
    let is_uid = POD_UID.contains(&uid.len()) && uid.bytes().all(|it| is_hex(it) || it == b'-');
    (is_kubelets && is_uid).then_some(uid)
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests;
