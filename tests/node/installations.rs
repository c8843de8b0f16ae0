//! Every kind of installation: configurations, modes, and changes of mode.

use crate::node::Node;

const LIST: &str = r#"{
  "cniVersion": "0.4.0",
  "name": "k8s",
  "plugins": [{"type": "calico", "mtu": 0}, {"type": "portmap"}]
}
"#;

const SINGLE: &str = r#"{"cniVersion": "0.4.0", "name": "k8s", "type": "bridge"}
"#;

const ISTIO: &str = r#"{
  "cniVersion": "0.4.0",
  "name": "k8s",
  "plugins": [
    {"type": "calico"},
    {"type": "istio-cni", "exclude_namespaces": ["istio-system"]}
  ]
}
"#;

const PEERS: &str = r#"{
  "cniVersion": "0.4.0",
  "name": "k8s",
  "plugins": [
    {"type": "calico"},
    {"type": "linkerd-cni", "linkerd": {"incoming-proxy-port": 4143, "outgoing-proxy-port": 4140}},
    {"type": "kuma-cni", "kubernetes": {"exclude_namespaces": ["kube-system"]}}
  ]
}
"#;

/// A node's configuration, what was installed before, and what is installed now.
#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) name: &'static str,
    file: (&'static str, &'static str),
    /// Flags of an earlier installation.
    before: Option<&'static [&'static str]>,
    /// Flags of the installation.
    pub(crate) install: &'static [&'static str],
    /// Flags of the uninstallation that reverts it.
    pub(crate) uninstall: &'static [&'static str],
    /// Whether an ADD calls the plugin.
    called: bool,
}

impl Installation {
    /// The node before the installation.
    pub(crate) fn node(&self) -> Node {
        let node = self.untouched();
        if let Some(flags) = self.before {
            node.must("install", flags);
        }
        node
    }

    /// The node before any installation.
    pub(crate) fn untouched(&self) -> Node {
        Node::with(&[self.file])
    }

    /// How often an ADD calls the plugin, depending on whether the runtime appends drop-ins.
    pub(crate) fn calls(&self, appends_drop_ins: bool) -> usize {
        let reached = self.install != DROP_IN || appends_drop_ins;
        usize::from(self.called && reached)
    }

    /// The node after the installation.
    pub(crate) fn installed(&self) -> Node {
        let node = self.node();
        node.must("install", self.install);
        node
    }
}

const CHAINED: Installation = Installation {
    name: "a list",
    file: ("10-calico.conflist", LIST),
    before: None,
    install: &[],
    uninstall: &[],
    called: true,
};

const OWNED: &[&str] = &["--mode", "owned-first"];
const DROP_IN: &[&str] = &["--mode", "drop-in"];

pub(crate) const INSTALLATIONS: &[Installation] = &[
    CHAINED,
    Installation {
        name: "an older entry",
        before: Some(&["--profile", "istio"]),
        ..CHAINED
    },
    Installation {
        name: "a .conf that becomes a list",
        file: ("10-lab.conf", SINGLE),
        ..CHAINED
    },
    Installation {
        name: "a .json that becomes a list",
        file: ("10-lab.json", SINGLE),
        ..CHAINED
    },
    Installation {
        name: "a network of our own",
        install: &["--mode", "stand-alone"],
        called: false,
        ..CHAINED
    },
    Installation {
        name: "a copy",
        install: OWNED,
        ..CHAINED
    },
    Installation {
        name: "a copy of a .conf",
        file: ("10-lab.conf", SINGLE),
        install: OWNED,
        ..CHAINED
    },
    Installation {
        name: "a drop-in",
        install: DROP_IN,
        ..CHAINED
    },
    Installation {
        name: "a kubeconfig",
        install: &["--pod-source", "api"],
        ..CHAINED
    },
    Installation {
        name: "a kubeconfig that is removed",
        before: Some(&["--pod-source", "api"]),
        install: &["--pod-source", "agent"],
        ..CHAINED
    },
    Installation {
        name: "Istio CNI replaced and restored",
        file: ("10-calico.conflist", ISTIO),
        install: &["--replace-istio-cni"],
        uninstall: &["--restore-istio-cni"],
        ..CHAINED
    },
    Installation {
        name: "the CNI plugins of Linkerd and Kuma replaced and restored",
        file: ("10-calico.conflist", PEERS),
        install: &["--profile=linkerd,kuma", "--replace=linkerd-cni,kuma-cni"],
        uninstall: &["--restore=linkerd-cni,kuma-cni"],
        ..CHAINED
    },
    Installation {
        name: "from chained to a copy",
        before: Some(&[]),
        install: OWNED,
        ..CHAINED
    },
    Installation {
        name: "from a copy to chained",
        before: Some(OWNED),
        ..CHAINED
    },
    Installation {
        name: "from chained to a drop-in",
        before: Some(&[]),
        install: DROP_IN,
        ..CHAINED
    },
    Installation {
        name: "from a drop-in to a copy",
        before: Some(DROP_IN),
        install: OWNED,
        ..CHAINED
    },
    Installation {
        name: "from a converted .conf to a copy",
        file: ("10-lab.conf", SINGLE),
        before: Some(&[]),
        install: OWNED,
        ..CHAINED
    },
];
