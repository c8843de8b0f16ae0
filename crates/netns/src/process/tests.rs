//! Tests on a directory that looks like `/proc`.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
const OTHER_ID: &str = "ffff2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
const UID: &str = "6c1a9d52-7a55-4f0e-9b0a-2f1f4d3c8e11";
const OTHER_UID: &str = "5f6c1f7e-0a3e-4a52-9d43-2f1a0c7b9e11";
const STATIC_UID: &str = "6c1a9d527a554f0e9b0a2f1f4d3c8e11";

/// Replaces `ID`, `UUU` (a UID) and `U_U` (the same as systemd writes it).
fn expand(text: &str) -> String {
    text.replace("ID", ID)
        .replace("UUU", UID)
        .replace("U_U", &UID.replace('-', "_"))
}

/// The pod UID and the container ID of a process in that group.
fn parse(path: &str) -> (Option<String>, Option<String>) {
    ContainerProcess::parse(1, &format!("0::/{}\n", expand(path)))
        .map_or((None, None), |it| (it.pod_uid, it.container_id))
}

/// A directory like `/proc`, with the text of each process's `cgroup` file.
fn proc_with(processes: &[(&str, &str)]) -> TempDir {
    let proc = tempfile::tempdir().unwrap();
    for (pid, cgroup) in processes {
        let directory = proc.path().join(pid);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("cgroup"), expand(cgroup)).unwrap();
        write_stat(&proc, pid, 7000);
    }
    proc
}

/// Writes `stat` of a process whose name looks like further fields.
fn write_stat(proc: &TempDir, pid: &str, start_time: u64) {
    let name = "a) S 1 (b";
    let others = "S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0";
    let stat = format!("{pid} ({name}) {others} {start_time} 4096 1 18446744073709551615\n");
    fs::write(proc.path().join(pid).join("stat"), stat).unwrap();
}

fn open(table: &ProcessTable) -> Result<(NetNs, &ContainerProcess), ProcessError> {
    table.open_netns(is_of_pod, NetnsOwner::Node)
}

/// The processes of the pod, in the order of the table.
fn pids_of_pod(proc: &TempDir, uid: &str) -> Vec<u32> {
    let table = ProcessTable::read(proc.path()).unwrap();
    let of_pod = table.iter().filter(|it| it.pod_uid.as_deref() == Some(uid));
    of_pod.map(|it| it.pid).collect()
}

fn is_of_pod(process: &ContainerProcess) -> bool {
    process.pod_uid.as_deref() == Some(UID)
}

#[test]
fn the_groups_of_every_runtime_contain_the_container_id() {
    let (id, uid) = (Some(ID.to_owned()), Some(UID.to_owned()));
    for path in [
        // cgroupfs driver
        "kubepods/besteffort/podUUU/ID",
        "kubepods/podUUU/crio-ID",
        // systemd driver: containerd, CRI-O, Docker
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_U.slice/cri-containerd-ID.scope",
        "kubepods.slice/kubepods-podU_U.slice/crio-ID.scope/container",
        "kubepods.slice/kubepods-podU_U.slice/docker-ID.scope",
        // containerd configured for cgroupfs under a kubelet with the systemd driver
        "system.slice/containerd.service/kubepods-besteffort-podU_U.slice:cri-containerd:ID",
        // kind: kubelet with a cgroup root, seen from inside and outside of the node's container
        "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-podU_U.slice/cri-containerd-ID.scope",
        &format!("docker/{OTHER_ID}/kubelet/kubepods/podUUU/ID"),
        // seen from another cgroup namespace
        "../../kubepods-podU_U.slice/cri-containerd-ID.scope",
    ] {
        assert_eq!(parse(path), (uid.clone(), id.clone()), "{path}");
    }
    for path in [
        "system.slice/docker-ID.scope",
        "docker/ID",
        "cri-containerd-ID.scope",
    ] {
        assert_eq!(parse(path), (None, id.clone()), "{path}");
    }
}

#[test]
fn a_pod_is_found_in_all_cgroup_v1_hierarchies() {
    let cgroup = "12:pids:/system.slice/containerd.service\n\
                  11:cpu,cpuacct:/kubepods/podUUU\n\
                  1:name=systemd:/kubepods/podUUU/ID\n\
                  0::/system.slice\n";
    let process = ContainerProcess::parse(7, &expand(cgroup)).unwrap();
    assert_eq!(process.pod_uid.as_deref(), Some(UID));
    assert_eq!(process.container_id.as_deref(), Some(ID));
    assert_eq!(process.depth, 0);
}

#[test]
fn the_uid_of_a_static_pod_has_no_dashes() {
    for path in [
        format!("kubepods/pod{STATIC_UID}/ID"),
        format!("kubepods-pod{STATIC_UID}.slice/crio-ID.scope"),
    ] {
        let (uid, id) = parse(&path);
        assert_eq!(uid.as_deref(), Some(STATIC_UID), "{path}");
        assert_eq!(id.as_deref(), Some(ID), "{path}");
    }
}

#[test]
fn other_groups_and_short_ids_are_refused() {
    for path in [
        "",
        "init.scope",
        "user.slice/user-1000.slice",
        "tripod/xyz",
        "machine.slice/libpod-short.scope",
        "docker/0123456789abcdef0123456789abcdef",
        &format!("machine.slice/tripod-{STATIC_UID}"),
        &format!("kubepods/pod{UID}0/0a1b"),
        &format!("docker/{ID}0"),
    ] {
        assert_eq!(parse(path), (None, None), "{path}");
    }
}

#[test]
fn conmon_is_not_a_process_of_the_pod() {
    let proc = proc_with(&[
        (
            "5",
            "0::/kubepods.slice/kubepods-podU_U.slice/crio-conmon-ID.scope",
        ),
        ("6", "0::/kubepods/podUUU/crio-conmon-ID"),
        (
            "9",
            "0::/kubepods.slice/kubepods-podU_U.slice/crio-ID.scope",
        ),
    ]);
    assert_eq!(pids_of_pod(&proc, UID), [9]);
}

#[test]
fn entries_that_are_not_processes_are_ignored() {
    let proc = proc_with(&[("self", "0::/kubepods/podUUU/ID"), ("1", "0::/init.scope")]);
    fs::create_dir(proc.path().join("42")).unwrap();
    assert_eq!(ProcessTable::read(proc.path()).unwrap().iter().count(), 0);
    assert!(ProcessTable::read(&proc.path().join("none")).is_err());
}

#[test]
fn processes_close_to_the_containers_group_come_first() {
    let proc = proc_with(&[
        ("9", "0::/kubepods/podUUU/ID/docker/ffff"),
        ("30", "0::/kubepods/podUUU/ID"),
        ("31", "0::/kubepods/podUUU/ID"),
        ("40", "0::/kubepods/podUUU/sandbox"),
        ("41", &format!("0::/kubepods/pod{OTHER_UID}/{OTHER_ID}")),
    ]);
    assert_eq!(pids_of_pod(&proc, UID), [30, 31, 40, 9]);
}

#[test]
fn nested_containers_belong_to_the_outermost_pod_and_container() {
    let path = format!("kubepods/podUUU/ID/kubepods/pod{OTHER_UID}/{OTHER_ID}");
    assert_eq!(parse(&path), (Some(UID.to_owned()), Some(ID.to_owned())));
}

#[test]
fn a_process_that_reuses_an_id_is_another_process() {
    let proc = proc_with(&[("42", "0::/kubepods/podUUU/ID")]);
    let table = ProcessTable::read(proc.path()).unwrap();
    assert_eq!(table.iter().next().unwrap().start_time, 7000);
    let directory = proc.path().join("42/ns");
    fs::create_dir(&directory).unwrap();
    symlink("/proc/self/ns/net", directory.join("net")).unwrap();
    let error = open(&table).unwrap_err();
    assert!(matches!(error, ProcessError::HostNetwork), "{error:?}");
    write_stat(&proc, "42", 7001);
    let error = open(&table).unwrap_err();
    assert!(matches!(error, ProcessError::Ended), "{error:?}");
}

#[test]
fn a_process_without_a_start_time_is_ignored() {
    let proc = proc_with(&[
        ("41", "0::/kubepods/podUUU/ID"),
        ("42", "0::/kubepods/podUUU/ID"),
    ]);
    for stat in [
        "",
        "42",
        "42 (sh) S 1",
        "42 (sh) S 1 1 1 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 x",
    ] {
        fs::write(proc.path().join("42/stat"), stat).unwrap();
        assert_eq!(pids_of_pod(&proc, UID), [41], "{stat}");
    }
}

#[test]
fn the_reason_for_a_missing_namespace_is_reported() {
    let proc = proc_with(&[("42", "0::/kubepods/podUUU/ID")]);
    let table = ProcessTable::read(proc.path()).unwrap();
    let error = table.open_netns(|_| false, NetnsOwner::Node).unwrap_err();
    assert!(matches!(error, ProcessError::NotFound), "{error:?}");
    let error = open(&table).unwrap_err();
    assert!(matches!(error, ProcessError::Ended), "{error:?}");

    let directory = proc.path().join("42/ns");
    fs::create_dir(&directory).unwrap();
    symlink("/proc/self/ns/net", directory.join("net")).unwrap();
    let error = open(&table).unwrap_err();
    assert!(matches!(error, ProcessError::HostNetwork), "{error:?}");

    fs::write(proc.path().join("42/cgroup"), "0::/init.scope").unwrap();
    let error = open(&table).unwrap_err();
    assert!(matches!(error, ProcessError::Ended), "{error:?}");
}

#[cfg(feature = "root-tests")]
#[test]
fn the_first_process_outside_of_the_nodes_namespace_counts() {
    let netns = NetNs::scratch().unwrap();
    let proc = proc_with(&[
        ("41", "0::/kubepods/podUUU/ID"),
        ("42", "0::/kubepods/podUUU/ID"),
        ("43", "0::/init.scope"),
    ]);
    for (pid, path) in [("41", Path::new("/proc/self/ns/net")), ("42", netns.path())] {
        fs::create_dir(proc.path().join(pid).join("ns")).unwrap();
        symlink(path, proc.path().join(pid).join("ns/net")).unwrap();
    }
    let table = ProcessTable::read(proc.path()).unwrap();
    let (found, process) = open(&table).unwrap();
    assert!(found.is_same(&netns));
    assert_eq!(process.pid, 42);
    assert_eq!(table.pod_process_in(&netns), Some(process));
    assert_eq!(table.pod_process_in(&NetNs::scratch().unwrap()), None);
}
