//! Every way in which the agent is put to work: nodes, modes, and changes of mode.

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

/// A node, what was installed on it before, and what is installed now.
#[derive(Debug)]
pub(crate) struct Situation {
    pub(crate) name: &'static str,
    file: (&'static str, &'static str),
    /// Flags of an install that came before.
    before: Option<&'static [&'static str]>,
    /// Flags of the install.
    pub(crate) install: &'static [&'static str],
    /// Flags of the uninstall that undoes it.
    pub(crate) uninstall: &'static [&'static str],
    /// The plugin is called for a pod that is added.
    called: bool,
}

impl Situation {
    /// The node before the install.
    pub(crate) fn node(&self) -> Node {
        let node = self.untouched();
        if let Some(flags) = self.before {
            node.must("install", flags);
        }
        node
    }

    /// The node as it was before anything of ours.
    pub(crate) fn untouched(&self) -> Node {
        Node::with(&[self.file])
    }

    /// How often the plugin is called for a pod, by a runtime that appends drop-ins or does not.
    pub(crate) fn calls(&self, appends_drop_ins: bool) -> usize {
        let reached = self.install != DROP_IN || appends_drop_ins;
        usize::from(self.called && reached)
    }

    /// The node with the install done.
    pub(crate) fn installed(&self) -> Node {
        let node = self.node();
        node.must("install", self.install);
        node
    }
}

const CHAINED: Situation = Situation {
    name: "a list",
    file: ("10-calico.conflist", LIST),
    before: None,
    install: &[],
    uninstall: &[],
    called: true,
};

const OWNED: &[&str] = &["--mode", "owned-first"];
const DROP_IN: &[&str] = &["--mode", "drop-in"];

pub(crate) const SITUATIONS: &[Situation] = &[
    CHAINED,
    Situation {
        name: "an older entry",
        before: Some(&["--profile", "istio"]),
        ..CHAINED
    },
    Situation {
        name: "a .conf that becomes a list",
        file: ("10-lab.conf", SINGLE),
        ..CHAINED
    },
    Situation {
        name: "a .json that becomes a list",
        file: ("10-lab.json", SINGLE),
        ..CHAINED
    },
    Situation {
        name: "a network of our own",
        install: &["--mode", "stand-alone"],
        called: false,
        ..CHAINED
    },
    Situation {
        name: "a copy",
        install: OWNED,
        ..CHAINED
    },
    Situation {
        name: "a copy of a .conf",
        file: ("10-lab.conf", SINGLE),
        install: OWNED,
        ..CHAINED
    },
    Situation {
        name: "a drop-in",
        install: DROP_IN,
        ..CHAINED
    },
    Situation {
        name: "a kubeconfig",
        install: &["--pod-source", "api"],
        ..CHAINED
    },
    Situation {
        name: "a kubeconfig that goes",
        before: Some(&["--pod-source", "api"]),
        install: &["--pod-source", "agent"],
        ..CHAINED
    },
    Situation {
        name: "Istio CNI replaced and given back",
        file: ("10-calico.conflist", ISTIO),
        install: &["--replace-istio-cni"],
        uninstall: &["--restore-istio-cni"],
        ..CHAINED
    },
    Situation {
        name: "from chained to a copy",
        before: Some(&[]),
        install: OWNED,
        ..CHAINED
    },
    Situation {
        name: "from a copy to chained",
        before: Some(OWNED),
        ..CHAINED
    },
    Situation {
        name: "from chained to a drop-in",
        before: Some(&[]),
        install: DROP_IN,
        ..CHAINED
    },
    Situation {
        name: "from a drop-in to a copy",
        before: Some(DROP_IN),
        install: OWNED,
        ..CHAINED
    },
    Situation {
        name: "from a converted .conf to a copy",
        file: ("10-lab.conf", SINGLE),
        before: Some(&[]),
        install: OWNED,
        ..CHAINED
    },
];
