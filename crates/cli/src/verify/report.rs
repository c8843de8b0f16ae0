//! Prints the result of `verify`, as text and as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use anstyle::Style;
use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netfilter::{Drift, Listing, RuleSet};
use mesh_cni_netns::Backend;
use mesh_cni_rules::ANY_MESH;
use mesh_cni_selector::PodFacts;
use serde::Serialize;

use super::compare::Comparison;
use super::place::Found;
use super::wanted::By;
use crate::case::ShownWarning;
use crate::console::{BAD, Console, DIM, GOOD};
use crate::failure::Failure;
use crate::live::Live;

/// The result for one pod; with `--all`, an array of these.
#[derive(Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Document {
    /// The pod's namespace; null if the pod is not known.
    namespace: Option<String>,
    /// The pod's name; null if the pod is not known.
    name: Option<String>,
    /// The pod's UID.
    uid: Option<String>,
    /// The path of its network namespace.
    netns: Option<String>,
    /// A process in it.
    pid: Option<u32>,
    /// Whether the live rules are as wanted.
    verdict: Verdict,
    /// Why nothing was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What applies the wanted rules; null if they are not known.
    wanted: Option<ShownWanted>,
    /// Problems of the pod's settings that do not refuse the pod.
    warnings: Vec<ShownWarning>,
    /// The differences, in the order of the rules.
    differences: Vec<Difference>,
    /// A packet that ends elsewhere than it should.
    misrouted: Option<ShownMisrouted>,
    /// The back end that holds the rules.
    backend: Option<&'static str>,
    /// Every back end that holds rules of ours.
    backends_with_rules: Vec<&'static str>,
    /// The live rules by family and table, as `iptables -L -n -v --line-numbers -x` prints them.
    listings: BTreeMap<String, BTreeMap<&'static str, String>>,
}

/// Whether the live rules are as wanted.
#[derive(Clone, Copy, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    AsWanted,
    NotAsWanted,
    #[default]
    NotCompared,
}

/// What applies the rules that a pod should have.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ShownWanted {
    /// `plugin`, `istio-init`, `linkerd-init` or `kuma-init`; null if the pod should have no rules.
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
    pub(super) found: &'run Found,
    pub(super) live: &'run Live,
    /// An error if there was nothing to compare with.
    pub(super) compared: Result<&'run Comparison, &'run Failure>,
}

impl Report<'_> {
    /// Prints the verdict to stderr, then the live rules to stdout unless `quiet`.
    pub(super) fn text(&self, quiet: bool, console: &mut Console<'_>) -> io::Result<()> {
        if let Ok(compared) = self.compared {
            verdict(compared, console);
        }
        self.print_failure(console);
        console.print_later();
        if quiet {
            return Ok(());
        }
        let backend = self.live.backend;
        let pid = self.found.pid;
        let process = pid
            .map(|pid| format!("process {pid}, "))
            .unwrap_or_default();
        console.note(format_args!("{process}rules read by {backend}"));
        console.result(&self.dump())
    }

    /// Prints why there was nothing to compare with, if so.
    pub(super) fn print_failure(&self, console: &mut Console<'_>) {
        if let Err(failure) = self.compared {
            failure.print(console);
        }
    }

    pub(super) fn document(&self) -> Document {
        let found = Document {
            uid: self.found.uid.clone(),
            netns: Some(self.found.netns.path().display().to_string()),
            pid: self.found.pid,
            backend: Some(self.live.backend.as_str()),
            backends_with_rules: names(&self.live.holders),
            listings: self.listings(),
            ..Document::default()
        };
        match self.compared {
            Ok(compared) => Document {
                namespace: Some(compared.namespace.clone()),
                name: Some(compared.name.clone()),
                verdict: if compared.is_as_wanted() {
                    Verdict::AsWanted
                } else {
                    Verdict::NotAsWanted
                },
                wanted: Some(compared.into()),
                warnings: ShownWarning::all(&compared.wanted.warnings),
                differences: differences(compared),
                misrouted: misrouted(compared),
                ..found
            },
            Err(failure) => Document {
                reason: Some(failure.message()),
                ..found
            },
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
    Listing::of(rules, table, &ANY_MESH).to_string()
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

impl Document {
    /// A pod of the node whose rules were not compared.
    pub(super) fn not_compared(uid: &str, facts: Option<&PodFacts>, failure: &Failure) -> Self {
        Self {
            namespace: facts.map(|facts| facts.namespace.clone()),
            name: facts.map(|facts| facts.name.clone()),
            uid: Some(uid.to_owned()),
            reason: Some(failure.message()),
            ..Self::default()
        }
    }
}

/// Prints the verdict, its effect, the remedy, and then what the verdict depends on.
pub(super) fn verdict(compared: &Comparison, console: &mut Console<'_>) {
    let (kind, style) = kind(compared);
    console.message(kind, style, finding(compared));
    if compared.conflicting.is_empty() {
        effect(compared, console);
    } else {
        let hint =
            "let only one program set up the pod, then delete the pod so that it is recreated";
        console.message("hint", DIM, hint);
    }
    if let By::OwnInit(name) = compared.wanted.by {
        console.note(format_args!(
            "the pod's {name} container applies its rules: comparing with its settings"
        ));
    }
    for warning in &compared.wanted.warnings {
        console.warn(warning);
    }
}

/// The verdict as one line of the result.
pub(super) fn line(compared: &Comparison) -> String {
    let (kind, style) = kind(compared);
    format!("{style}{kind}:{style:#} {}", finding(compared))
}

fn kind(compared: &Comparison) -> (&'static str, Style) {
    if compared.is_as_wanted() {
        ("as wanted", GOOD)
    } else {
        ("not as wanted", BAD)
    }
}

/// What was found, after the pod's name.
fn finding(compared: &Comparison) -> String {
    let pod = compared.pod();
    if let [first, others @ ..] = &compared.conflicting[..] {
        // Only one of the sets was read, so the differences mean little.
        let others = names(others).join(" and ");
        return format!(
            "{pod}: both {first} and {others} hold rules of ours, and packets traverse all of them"
        );
    }
    match (compared.differences.first(), compared.reason_for_none()) {
        (None, None) => {
            let families = compared.families_wanted().join(" and ");
            let rules = compared.rules_wanted();
            format!("{pod}: all {rules} rules of {families} are installed")
        }
        (None, Some(reason)) => format!("{pod} gets no rules, and has none: {reason}"),
        (Some((family, drift)), None) => {
            format!("{pod}: {family}, {drift}{}", further(compared))
        }
        (Some((family, drift)), Some(reason)) => format!(
            "{pod} should have no rules ({reason}), but {family}, {drift}{}",
            further(compared)
        ),
    }
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
            misrouted.wanted.display(compared.ports)
        ));
        console.detail(format_args!(
            "  now:    {}",
            misrouted.live.display(compared.ports)
        ));
    }
    if !compared.is_as_wanted() {
        console.message("hint", DIM, hint(compared));
    }
}

fn hint(compared: &Comparison) -> Cow<'static, str> {
    match &compared.wanted.by {
        By::None(_) => {
            "to remove the rules, run \
             `mesh-cnictl init --cleanup-only --network-namespace /proc/PID/ns/net`, and for rules of \
             Linkerd `mesh-cnictl init --mesh linkerd --cleanup-only --netns /proc/PID/ns/net`"
                .into()
        }
        By::OwnInit(name) => format!(
            "the rules were compared with those that {name} writes in current versions, and an \
             image of another version can write others: see `kubectl logs POD -c {name}`; if \
             another program changed the rules, delete the pod so that it is recreated"
        )
        .into(),
        By::Plugin => {
            "delete the pod so that it is recreated; if this happens again, another program on the \
             node changes the rules, or the plugin was not in the chain when the pod started: see \
             `mesh-cni-agent status`"
                .into()
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
            By::OwnInit(name) => (Some(*name), None),
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
        wanted: misrouted.wanted.display(compared.ports).to_string(),
        live: misrouted.live.display(compared.ports).to_string(),
    })
}
