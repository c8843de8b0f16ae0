//! How etcd and kube-apiserver are started.

use std::path::Path;
use std::process::Command;

use crate::{Place, cluster_binary};

/// What differs between an API server alone and one of a whole node.
#[derive(Debug)]
pub(crate) struct Serving {
    /// Where it listens.
    pub(crate) bind: &'static str,
    /// At which port.
    pub(crate) port: u16,
    /// The address at which pods reach it through the service `kubernetes`; none where there are
    /// no pods that run.
    pub(crate) advertised: Option<&'static str>,
}

/// etcd with its data in `directory`, and its sockets beside it.
pub(crate) fn etcd(place: &Place, directory: &Path) -> Command {
    let mut command = place.command(cluster_binary("etcd"));
    let shown = directory.display();
    command
        .arg(format!("--data-dir={shown}/etcd"))
        // Sockets of its own: no port that another might have.
        .arg(format!("--listen-client-urls={}", etcd_url(directory)))
        .arg(format!("--listen-peer-urls=unix://{shown}/peer.sock"))
        // Nobody reads this one, and it must be a host.
        .arg("--advertise-client-urls=http://localhost:2379")
        // What a test writes need not outlive the machine.
        .arg("--unsafe-no-fsync");
    command
}

/// kube-apiserver with that etcd, and the keys and tokens of `directory`.
pub(crate) fn apiserver(place: &Place, directory: &Path, serving: &Serving) -> Command {
    let mut command = place.command(cluster_binary("kube-apiserver"));
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
        // It would refuse pods whose account no controller has made.
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
