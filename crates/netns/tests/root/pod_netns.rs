//! The network namespace of a pod whose processes are in several: in its sandbox's, and in those
//! that an unprivileged user of the pod created.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mesh_cni_netns::{NetNs, NetnsOwner, ProcessError, ProcessTable, interface_addresses};

use crate::control_group::ControlGroup;

const ADDRESS: &str = "10.99.7.2";

const AS_USER: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

/// A process of a pod, which ends with its input.
struct Process {
    child: Child,
    _group: ControlGroup,
}

impl Process {
    /// Starts it with a prefix such as `unshare --net`, in these groups of the pod, and adds the pod's
    /// address.
    fn start(uid: &str, groups: &[&str], prefix: &[&str]) -> Self {
        let script = format!(
            "ip link add eth0 type bridge; ip address add {ADDRESS}/24 dev eth0; ip link set eth0 up"
        );
        let process = Self::run(uid, groups, prefix, &script);
        let addresses = process.netns().run(interface_addresses).unwrap().unwrap();
        let address = ADDRESS.parse().unwrap();
        assert!(addresses.contains(&address), "{prefix:?}: {addresses:?}");
        process
    }

    /// The same, with a script that sets up the namespace.
    fn run(uid: &str, groups: &[&str], prefix: &[&str], script: &str) -> Self {
        let script = format!("{script}; echo ready; exec cat >/dev/null");
        let mut words = prefix.to_vec();
        words.extend(["sh", "-c", &script]);
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux is installed: run `make test`");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let read = BufReader::new(stdout).read_line(&mut line);
        assert_eq!((read.unwrap(), line.as_str()), (6, "ready\n"), "{words:?}");
        let pod = format!("pod{uid}");
        let path: Vec<_> = [pod.as_str()]
            .into_iter()
            .chain(groups.iter().copied())
            .collect();
        let group = ControlGroup::of(child.id(), &path);
        Self {
            child,
            _group: group,
        }
    }

    /// A process that isolates itself from the network beside the sandbox, as gVisor's `gofer` does.
    fn isolated(uid: &str) -> Self {
        Self::run(
            uid,
            &["sandbox"],
            &["unshare", "--net"],
            "ip link set lo up",
        )
    }

    /// The sandbox of a pod that uses the users of the node.
    fn sandbox(uid: &str) -> Self {
        Self::start(uid, &["sandbox"], &["unshare", "--net"])
    }

    /// The sandbox of a pod with users of its own.
    fn sandbox_with_users(uid: &str) -> Self {
        let prefix = ["unshare", "--user", "--map-root-user", "--net"];
        Self::start(uid, &["sandbox"], &prefix)
    }

    /// A process of an unprivileged user who created namespaces.
    fn hostile(uid: &str) -> Self {
        Self::start(
            uid,
            &["sandbox"],
            &[&AS_USER[..], &["unshare", "-Urn"]].concat(),
        )
    }

    /// The same in a pod with users of its own.
    fn hostile_inside(uid: &str, sandbox: &Self) -> Self {
        let target = format!("--target={}", sandbox.child.id());
        let enter = ["nsenter", "--user", "--net", &target];
        Self::start(
            uid,
            &["sandbox"],
            &[&enter[..], &["unshare", "-Urn"]].concat(),
        )
    }

    fn netns(&self) -> NetNs {
        NetNs::open(Path::new(&format!("/proc/{}/ns/net", self.child.id()))).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _status = self.child.wait();
    }
}

/// The namespace of the pod with that UID.
fn found(uid: &str, owner: NetnsOwner) -> Result<NetNs, ProcessError> {
    let table = ProcessTable::read(Path::new("/proc")).unwrap();
    let is_of_pod = |uid_of: Option<&str>| uid_of == Some(uid);
    let opened = table.open_netns(|process| is_of_pod(process.pod_uid.as_deref()), owner);
    opened.map(|(netns, _process)| netns)
}

#[test]
fn a_namespace_that_a_user_of_the_pod_created_is_not_the_pods() {
    let uid = "11111111-0000-4000-8000-000000000001";
    // Its process has the lower ID.
    let hostile = Process::hostile(uid);
    for owner in [NetnsOwner::Node, NetnsOwner::NodeOrPod] {
        let sandbox = Process::sandbox(uid);
        let netns = found(uid, owner).unwrap();
        assert!(netns.is_same(&sandbox.netns()), "{owner:?}");
    }
    let error = found(uid, NetnsOwner::Node).unwrap_err();
    assert!(matches!(error, ProcessError::CreatedByPod), "{error:?}");
    drop(hostile);
    let error = found(uid, NetnsOwner::Node).unwrap_err();
    assert!(matches!(error, ProcessError::NotFound), "{error:?}");
}

#[test]
fn a_pod_with_its_own_users_has_the_namespace_of_its_sandbox() {
    let uid = "11111111-0000-4000-8000-000000000002";
    let sandbox = Process::sandbox_with_users(uid);
    let hostile = Process::hostile_inside(uid, &sandbox);
    let netns = found(uid, NetnsOwner::NodeOrPod).unwrap();
    assert!(netns.is_same(&sandbox.netns()));
    let error = found(uid, NetnsOwner::Node).unwrap_err();
    assert!(matches!(error, ProcessError::CreatedByPod), "{error:?}");
    drop(sandbox);
    let error = found(uid, NetnsOwner::NodeOrPod).unwrap_err();
    assert!(matches!(error, ProcessError::CreatedByPod), "{error:?}");
    drop(hostile);
}

#[test]
fn several_namespaces_of_the_node_are_ambiguous_unless_one_is_nested() {
    let uid = "11111111-0000-4000-8000-000000000003";
    let nested = Process::start(uid, &["sandbox", "docker", "x"], &["unshare", "--net"]);
    let sandbox = Process::sandbox(uid);
    let netns = found(uid, NetnsOwner::Node).unwrap();
    assert!(netns.is_same(&sandbox.netns()), "{:?}", nested.netns());
    let second = Process::sandbox(uid);
    let error = found(uid, NetnsOwner::Node).unwrap_err();
    assert!(matches!(error, ProcessError::Ambiguous), "{error:?}");
    drop(second);
    assert!(
        found(uid, NetnsOwner::Node)
            .unwrap()
            .is_same(&sandbox.netns())
    );
}

#[test]
fn a_namespace_without_an_address_is_not_the_pods_beside_one_with_an_address() {
    let uid = "11111111-0000-4000-8000-000000000004";
    let before = Process::isolated(uid);
    let sandbox = Process::sandbox(uid);
    let _after = Process::isolated(uid);
    let netns = found(uid, NetnsOwner::Node).unwrap();
    assert!(netns.is_same(&sandbox.netns()));
    let _second = Process::sandbox(uid);
    let error = found(uid, NetnsOwner::Node).unwrap_err();
    assert!(matches!(error, ProcessError::Ambiguous), "{error:?}");
    drop((sandbox, before));
}

#[test]
fn a_pod_without_an_address_has_the_only_namespace_of_its_processes() {
    let uid = "11111111-0000-4000-8000-000000000005";
    let first = Process::isolated(uid);
    assert!(
        found(uid, NetnsOwner::Node)
            .unwrap()
            .is_same(&first.netns())
    );
    let _second = Process::isolated(uid);
    let error = found(uid, NetnsOwner::Node).unwrap_err();
    assert!(matches!(error, ProcessError::Ambiguous), "{error:?}");
}
