//! Prints the result of `verify`, as text and as JSON.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netfilter::{Drift, Listing, RuleSet};
use mesh_cni_netns::Backend;
use mesh_cni_rules::{OWNERSHIP, PORT_NAMES};
use serde::Serialize;

use super::compare::Comparison;
use super::wanted::By;
use crate::case::ShownWarning;
use crate::console::{BAD, Console, DIM, GOOD};
use crate::live::Live;

/// The result for one pod; with `--all`, an array of these.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Document {
    /// The pod's namespace; null if the pod is not known.
    namespace: Option<String>,
    /// The pod's name; null if the pod is not known.
    name: Option<String>,
    /// The pod's UID.
    uid: Option<String>,
    /// The path of its network namespace.
    netns: String,
    /// A process in it.
    pid: Option<u32>,
    /// `as-wanted`, `not-as-wanted` or `not-compared`.
    verdict: &'static str,
    /// What applies the wanted rules; null if they are not known.
    wanted: Option<ShownWanted>,
    /// Problems of the pod's settings that do not refuse the pod.
    warnings: Vec<ShownWarning>,
    /// The differences, in the order of the rules.
    differences: Vec<Difference>,
    /// A packet that ends elsewhere than it should.
    misrouted: Option<ShownMisrouted>,
    /// The back end that holds the rules.
    backend: &'static str,
    /// Every back end that holds rules of ours.
    backends_with_rules: Vec<&'static str>,
    /// The live rules by family and table, as `iptables -L -n -v --line-numbers -x` prints them.
    listings: BTreeMap<String, BTreeMap<&'static str, String>>,
}

/// What applies the rules that a pod should have.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownWanted {
    /// `plugin` or `istio-init`; null if the pod should have no rules.
    by: Option<&'static str>,
    /// Why the pod should have no rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A difference between the live and the wanted rules.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Difference {
    /// `IPv4` or `IPv6`.
    family: String,
    /// What differs, and where.
    message: String,
}

/// A packet that ends elsewhere than it should.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownMisrouted {
    /// The packet, as `explain --packet` reads it.
    packet: String,
    /// Where it ends with the wanted rules.
    wanted: String,
    /// Where it ends with the live rules.
    live: String,
}

/// The result to print.
pub(super) struct Report<'run> {
    pub(super) pid: Option<u32>,
    pub(super) uid: Option<String>,
    pub(super) netns: &'run Path,
    pub(super) live: &'run Live,
    /// None if there was nothing to compare with.
    pub(super) compared: Option<&'run Comparison>,
}

impl Report<'_> {
    /// Prints the verdict to stderr, then the live rules to stdout unless `quiet`.
    pub(super) fn text(&self, quiet: bool, console: &mut Console<'_>) -> io::Result<()> {
        if let Some(compared) = self.compared {
            verdict(compared, console);
        }
        if quiet {
            return Ok(());
        }
        let backend = self.live.backend;
        let process = self
            .pid
            .map(|pid| format!("process {pid}, "))
            .unwrap_or_default();
        console.note(format_args!("{process}rules read by {backend}"));
        console.result(&self.dump())
    }

    pub(super) fn document(&self) -> Document {
        let compared = self.compared;
        Document {
            namespace: compared.map(|compared| compared.namespace.clone()),
            name: compared.map(|compared| compared.name.clone()),
            uid: self.uid.clone(),
            netns: self.netns.display().to_string(),
            pid: self.pid,
            verdict: self.verdict(),
            wanted: compared.map(ShownWanted::from),
            warnings: compared
                .map(|compared| ShownWarning::all(&compared.wanted.warnings))
                .unwrap_or_default(),
            differences: compared.map(differences).unwrap_or_default(),
            misrouted: compared.and_then(misrouted),
            backend: self.live.backend.as_str(),
            backends_with_rules: names(&self.live.holders),
            listings: self.listings(),
        }
    }

    fn listings(&self) -> BTreeMap<String, BTreeMap<&'static str, String>> {
        let of_family = |rules: &RuleSet| {
            let tables = shown(rules).into_iter();
            let tables = tables.map(|table| (table.as_str(), list(rules, table)));
            (rules.family.to_string(), tables.collect())
        };
        self.live.rule_sets.iter().map(of_family).collect()
    }

    fn verdict(&self) -> &'static str {
        match self.compared.map(Comparison::is_as_wanted) {
            Some(true) => "as-wanted",
            Some(false) => "not-as-wanted",
            None => "not-compared",
        }
    }

    /// The tables of each family that have rules, and always IPv4's nat table first.
    fn dump(&self) -> String {
        let mut parts = Vec::new();
        for rules in &self.live.rule_sets {
            for table in shown(rules) {
                let listing = list(rules, table);
                parts.push(match table {
                    TableName::Nat => listing,
                    other => format!("# {} table {}\n{listing}", rules.family, other.as_str()),
                });
            }
        }
        parts.join("\n")
    }
}

fn list(rules: &RuleSet, table: TableName) -> String {
    Listing::of(rules, table, &OWNERSHIP).to_string()
}

fn shown(rules: &RuleSet) -> Vec<TableName> {
    let has_rules = |name: &TableName| {
        let table = rules.table(*name);
        table.is_some_and(|table| table.chains.iter().any(|chain| !chain.rules.is_empty()))
    };
    let always = |name: &TableName| *name == TableName::Nat && rules.family == Family::V4;
    [
        TableName::Nat,
        TableName::Mangle,
        TableName::Raw,
        TableName::Filter,
    ]
    .into_iter()
    .filter(|name| always(name) || has_rules(name))
    .collect()
}

fn verdict(compared: &Comparison, console: &mut Console<'_>) {
    let pod = compared.pod();
    for warning in &compared.wanted.warnings {
        console.warn(warning);
    }
    if compared.wanted.by == By::OwnInit {
        console
            .note("the pod's istio-init container applies its rules: comparing with its settings");
    }
    if let [first, others @ ..] = &compared.conflicting[..] {
        // Only one of the sets was read, so the difference means little.
        let others = names(others).join(" and ");
        let line = format!(
            "{pod}: both {first} and {others} hold rules of ours, and packets traverse all of them"
        );
        console.message("not as wanted", BAD, line);
        let hint =
            "let only one program set up the pod, then delete the pod so that it is recreated";
        console.message("hint", DIM, hint);
        return;
    }
    let none = compared.reason_for_none();
    match (compared.differences.first(), none) {
        (None, None) => {
            let families = compared.families_wanted().join(" and ");
            let rules = compared.rules_wanted();
            let line = format!("{pod}: all {rules} rules of {families} are installed");
            console.message("as wanted", GOOD, line);
        }
        (None, Some(reason)) => {
            let line = format!("{pod} gets no rules, and has none: {reason}");
            console.message("as wanted", GOOD, line);
        }
        (Some((family, drift)), None) => {
            let line = format!("{pod}: {family}, {drift}{}", further(compared));
            console.message("not as wanted", BAD, line);
        }
        (Some((family, drift)), Some(reason)) => {
            let line = format!(
                "{pod} should have no rules ({reason}), but {family}, {drift}{}",
                further(compared)
            );
            console.message("not as wanted", BAD, line);
        }
    }
    effect(compared, console);
}

/// For example `; 3 further differences`.
fn further(compared: &Comparison) -> String {
    match compared.differences.len().saturating_sub(1) {
        0 => String::new(),
        1 => "; 1 further difference".to_owned(),
        count => format!("; {count} further differences"),
    }
}

/// Prints the effect on a packet, and the remedy.
fn effect(compared: &Comparison, console: &mut Console<'_>) {
    if let Some(misrouted) = &compared.misrouted {
        let packet = &misrouted.packet;
        if compared.is_as_wanted() {
            console.warn(format_args!("rules of another program affect `{packet}`"));
        } else {
            console.message("effect", BAD, format!("`{packet}`"));
        }
        console.detail(format_args!(
            "  wanted: {}",
            misrouted.wanted.display(PORT_NAMES)
        ));
        console.detail(format_args!(
            "  now:    {}",
            misrouted.live.display(PORT_NAMES)
        ));
    }
    if !compared.is_as_wanted() {
        console.message("hint", DIM, hint(compared));
    }
}

fn hint(compared: &Comparison) -> &'static str {
    match &compared.wanted.by {
        By::None(_) => {
            "to remove the rules, run \
             `mesh-cnictl init --cleanup-only --network-namespace /proc/PID/ns/net`"
        }
        By::OwnInit => {
            "the rules were compared with those that istio-init writes in current versions, and an \
             image of another version can write others: see `kubectl logs POD -c istio-init`; if \
             another program changed the rules, delete the pod so that it is recreated"
        }
        By::Plugin => {
            "delete the pod so that it is recreated; if this happens again, another program on the \
             node changes the rules, or the plugin was not in the chain when the pod started: see \
             `mesh-cni-agent status`"
        }
    }
}

fn names(backends: &[Backend]) -> Vec<&'static str> {
    backends.iter().map(|backend| backend.as_str()).collect()
}

impl From<&Comparison> for ShownWanted {
    fn from(compared: &Comparison) -> Self {
        let (by, reason) = match &compared.wanted.by {
            By::Plugin => (Some("plugin"), None),
            By::OwnInit => (Some("istio-init"), None),
            By::None(reason) => (None, Some(reason.clone())),
        };
        Self { by, reason }
    }
}

fn differences(compared: &Comparison) -> Vec<Difference> {
    let difference = |(family, drift): &(Family, Drift)| Difference {
        family: family.to_string(),
        message: drift.to_string(),
    };
    compared.differences.iter().map(difference).collect()
}

fn misrouted(compared: &Comparison) -> Option<ShownMisrouted> {
    let misrouted = compared.misrouted.as_ref()?;
    Some(ShownMisrouted {
        packet: misrouted.packet.clone(),
        wanted: misrouted.wanted.display(PORT_NAMES).to_string(),
        live: misrouted.live.display(PORT_NAMES).to_string(),
    })
}
