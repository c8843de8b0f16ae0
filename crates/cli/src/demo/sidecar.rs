//! What differs between the demos of the meshes: the pod, its proxy, the path of a connection, what the
//! rules count, and what they are compared with.

use mesh_cni_selector::Mesh;

use super::process::User;
use crate::arguments::DemoMesh;

/// The sidecar of a mesh.
#[derive(Debug)]
pub(crate) struct Sidecar {
    pub(crate) mesh: Mesh,
    /// `profile` in the plugin's configuration.
    pub(crate) profile: &'static str,
    /// The pod that has it.
    pub(crate) manifest: &'static str,
    pub(crate) diagram: &'static str,
    pub(crate) user: User,
    /// The port for outbound connections.
    pub(crate) outbound: u16,
    /// The port for inbound connections.
    pub(crate) inbound: u16,
    /// The port for health checks, which is excluded.
    pub(crate) health: u16,
    /// A chain, a part of the details of one of its rules, the expected number of connections, and
    /// their kind.
    pub(crate) counted: &'static [(&'static str, &'static str, u64, &'static str)],
    /// The chain and the number of the rule that an experiment deletes.
    pub(crate) deleted: &'static str,
    pub(crate) reference: Reference,
}

/// What the rules are compared with.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) name: &'static str,
    /// What is left out of the comparison, and where the rules come from.
    pub(crate) note: &'static str,
    /// The text about rules that are equal.
    pub(crate) equal: &'static str,
    /// The mark of a rule that was expected.
    pub(crate) mark: &'static str,
}

impl Sidecar {
    pub(crate) fn of(mesh: DemoMesh) -> &'static Self {
        match mesh {
            DemoMesh::Istio => &ISTIO,
            DemoMesh::Linkerd => &LINKERD,
            DemoMesh::Kuma => &KUMA,
        }
    }
}

static ISTIO: Sidecar = Sidecar {
    mesh: Mesh::Istio,
    profile: "asm",
    manifest: include_str!("../../demo/productpage.yaml"),
    diagram: "\
in    other pod ─▶ eth0 ─▶ PREROUTING ─▶ ISTIO_INBOUND ─▶ proxy :15006 ─▶ app :9080
out   app ─▶ OUTPUT ─▶ ISTIO_OUTPUT ─▶ proxy :15001 ─▶ eth0 ─▶ other pod",
    user: User(1337),
    outbound: 15001,
    inbound: 15006,
    health: 15021,
    counted: &[
        (
            "ISTIO_IN_REDIRECT",
            "redir ports 15006",
            2,
            "inbound through the proxy",
        ),
        (
            "ISTIO_REDIRECT",
            "redir ports 15001",
            1,
            "outbound through the proxy",
        ),
        ("ISTIO_INBOUND", "tcp dpt:15021", 1, "the kubelet's probe"),
        ("ISTIO_OUTPUT", "tcp dpt:15020", 1, "the excluded port"),
    ],
    deleted: "ISTIO_INBOUND 6",
    reference: Reference {
        name: "the documented dump",
        note: "without white space and counters; the dump masks 127.0.0.6 and 127.0.0.1",
        equal: "are as documented",
        mark: "documented",
    },
};

static LINKERD: Sidecar = Sidecar {
    mesh: Mesh::Linkerd,
    profile: "linkerd",
    manifest: include_str!("../../demo/productpage-linkerd.yaml"),
    diagram: "\
in    other pod ─▶ eth0 ─▶ PREROUTING ─▶ PROXY_INIT_REDIRECT ─▶ proxy :4143 ─▶ app :9080
out   app ─▶ OUTPUT ─▶ PROXY_INIT_OUTPUT ─▶ proxy :4140 ─▶ eth0 ─▶ other pod",
    user: User(2102),
    outbound: 4140,
    inbound: 4143,
    health: 4191,
    counted: &[
        (
            "PROXY_INIT_REDIRECT",
            "redir ports 4143",
            1,
            "inbound through the proxy",
        ),
        (
            "PROXY_INIT_OUTPUT",
            "redir ports 4140",
            1,
            "outbound through the proxy",
        ),
        (
            "PROXY_INIT_REDIRECT",
            "multiport dports 4191,4190",
            1,
            "the kubelet's probe",
        ),
        (
            "PROXY_INIT_OUTPUT",
            "multiport dports 15020",
            1,
            "the excluded port",
        ),
        (
            "PROXY_INIT_OUTPUT",
            "owner UID match 2102",
            4,
            "the proxy's own connections",
        ),
    ],
    deleted: "PROXY_INIT_REDIRECT 1",
    reference: Reference {
        name: "the rules of linkerd2-proxy-init",
        note: "without white space and counters; compiled from the pod's settings, as linkerd2-proxy-init \
               2.4 writes them",
        equal: "are as compiled",
        mark: "wanted    ",
    },
};

static KUMA: Sidecar = Sidecar {
    mesh: Mesh::Kuma,
    profile: "kuma",
    manifest: include_str!("../../demo/productpage-kuma.yaml"),
    diagram: "\
in    other pod ─▶ eth0 ─▶ PREROUTING ─▶ KUMA_MESH_INBOUND ─▶ proxy :15006 ─▶ app :9080
out   app ─▶ OUTPUT ─▶ KUMA_MESH_OUTBOUND ─▶ proxy :15001 ─▶ eth0 ─▶ other pod",
    user: User(5678),
    outbound: 15001,
    inbound: 15006,
    health: 9001,
    counted: &[
        (
            "KUMA_MESH_INBOUND_REDIRECT",
            "redir ports 15006",
            2,
            "inbound through the proxy",
        ),
        (
            "KUMA_MESH_OUTBOUND_REDIRECT",
            "redir ports 15001",
            1,
            "outbound through the proxy",
        ),
        (
            "KUMA_MESH_INBOUND",
            "tcp dpt:9001",
            1,
            "the kubelet's probe",
        ),
        (
            "KUMA_MESH_OUTBOUND",
            "tcp dpt:15020",
            1,
            "the excluded port",
        ),
    ],
    deleted: "KUMA_MESH_INBOUND 1",
    reference: Reference {
        name: "the rules of kumactl",
        note: "without white space and counters; compiled from the pod's settings, as `kumactl install \
               transparent-proxy` of Kuma 2.14 writes them, with other words in comments",
        equal: "are as compiled",
        mark: "wanted    ",
    },
};
