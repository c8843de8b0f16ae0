//! The commands that start etcd and kube-apiserver.

use std::path::Path;
use std::process::Command;

use crate::{Host, cluster_binary};

/// The settings that differ between a single API server and one of a node.
#[derive(Debug)]
pub(crate) struct Serving {
    /// The address on which it listens.
    pub(crate) bind: &'static str,
    /// The port.
    pub(crate) port: u16,
    /// The address for pods, through the service `kubernetes`; `None` if no pods run.
    pub(crate) advertised: Option<&'static str>,
}

/// etcd with its data and its sockets in `directory`.
pub(crate) fn etcd(host: &Host, directory: &Path) -> Command {
    let mut command = host.command(cluster_binary("etcd"));
    let shown = directory.display();
    command
        .arg(format!("--data-dir={shown}/etcd"))
        // Unix sockets cannot conflict with ports of other programs.
        .arg(format!("--listen-client-urls={}", etcd_url(directory)))
        .arg(format!("--listen-peer-urls=unix://{shown}/peer.sock"))
        // Required, but not used.
        .arg("--advertise-client-urls=http://localhost:2379")
        // Test data does not need to survive a crash of the machine.
        .arg("--unsafe-no-fsync");
    command
}

/// kube-apiserver with this etcd, and the keys and tokens in `directory`.
pub(crate) fn apiserver(host: &Host, directory: &Path, serving: &Serving) -> Command {
    let mut command = host.command(cluster_binary("kube-apiserver"));
    let mut flag = |name: &str, value: &str| {
        command.arg(format!("--{name}={value}"));
    };
    flag("etcd-servers", &etcd_url(directory));
    flag("bind-address", serving.bind);
    flag("secure-port", &serving.port.to_string());
    flag("permit-port-sharing", "true");
    flag("service-cluster-ip-range", "10.96.0.0/16,fd00:96::/112");
    flag("authorization-mode", "Node,RBAC");
    flag("allow-privileged", "true");
    flag("service-account-issuer", "https://kubernetes.default.svc");
    for (name, file) in [
        ("tls-cert-file", "server.crt"),
        ("tls-private-key-file", "server.key"),
        ("service-account-key-file", "tokens.pub"),
        ("service-account-signing-key-file", "tokens.key"),
        ("token-auth-file", "tokens.csv"),
    ] {
        flag(name, &directory.join(file).to_string_lossy());
    }
    if let Some(address) = serving.advertised {
        flag("advertise-address", address);
        flag("kubelet-preferred-address-types", "InternalIP");
    } else {
        flag("external-hostname", serving.bind);
        flag("endpoint-reconciler-type", "none");
        // It would reject pods, since no controller creates their service account.
        flag("disable-admission-plugins", "ServiceAccount");
        for (name, file) in [
            ("audit-policy-file", "audit.json"),
            ("audit-log-path", "audit.log"),
        ] {
            flag(name, &directory.join(file).to_string_lossy());
        }
    }
    command
}

fn etcd_url(directory: &Path) -> String {
    format!("unix://{}/etcd.sock", directory.display())
}
