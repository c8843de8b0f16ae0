//! Judgements about a cluster with or without mesh-cni.

use super::finding::{CheckId, Finding};
use super::groups::{count, counts};
use super::node::Node;
use super::observed::Observed;

pub(super) fn api_server(observed: &Observed) -> Finding {
    let text = format!("the API server answers; its version is {}", observed.server);
    Finding::ok(CheckId::ApiServer, text)
}

/// What could not be read.
pub(super) fn objects(observed: &Observed) -> Vec<Finding> {
    let unlisted = observed.unlisted.iter().map(|what| {
        Finding::failed(CheckId::Objects, what)
            .hint("use credentials that may list this kind; the checks that need it are incomplete")
    });
    let number = observed.unreadable.len();
    let unreadable = (number > 0).then(|| {
        let text = format!("{} cannot be read", count(number, "object"));
        Finding::warning(CheckId::Objects, text)
            .hint("read the object with `kubectl get -o json`; the checks ignore it")
            .names(observed.unreadable.clone())
    });
    let number = observed.ignored.len();
    let ignored = (number > 0).then(|| {
        let text = format!("the configuration has {}", count(number, "unknown field"));
        Finding::warning(CheckId::Objects, text)
            .hint("correct or remove it: the plugin ignores it")
            .names(observed.ignored.clone())
    });
    unlisted.chain(unreadable).chain(ignored).collect()
}

/// The directories that an agent on that node must be given.
pub(super) fn directories(node: &Node) -> (&'static [&'static str], &'static str) {
    node.known_platform()
        .map_or((&["/opt/cni/bin"], "/etc/cni/net.d"), |platform| {
            (platform.bin_dirs, platform.conf_dir)
        })
}

/// How many pods are redirected and skipped, and which are refused.
pub(super) fn pods(observed: &Observed, verbs: [&str; 2]) -> Vec<Finding> {
    let Some(pods) = &observed.pods else {
        return Vec::new();
    };
    let [redirected, refused] = verbs;
    let skipped: usize = pods.skipped.values().sum();
    let reasons = pods.skipped.iter().map(|(code, number)| (*code, *number));
    let reasons = match counts(reasons) {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    };
    let redirected_pods = count(pods.redirected, "pod");
    let text = format!("{redirected_pods} {redirected}, {skipped} skipped{reasons}");
    let mut findings = vec![Finding::ok(CheckId::Pods, text)];
    for (reason, names) in &pods.refused {
        let text = format!("{} {refused}: {reason}", count(names.len(), "pod"));
        findings.push(
            Finding::failed(CheckId::PodsRefused, text)
                .hint(
                    "correct the setting; `mesh-cnictl select --pod FILE` shows the decision for one pod",
                )
                .names(names.clone()),
        );
    }
    findings
}
