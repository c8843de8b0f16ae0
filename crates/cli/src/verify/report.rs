//! Prints the result of `verify`, as text and as JSON.

use std::io;
use std::path::Path;

use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netfilter::{Listing, RuleSet};
use mesh_cni_netns::Backend;
use mesh_cni_rules::{OWNERSHIP, PORT_NAMES};
use serde_json::{Map, Value, json};

use super::compare::Comparison;
use super::wanted::By;
use crate::case::warnings_json;
use crate::console::{BAD, Console, DIM, GOOD, json};
use crate::live::Live;

/// The result to print.
pub(super) struct Report<'run> {
    pub(super) pid: Option<u32>,
    pub(super) uid: Option<String>,
    pub(super) namespace: &'run Path,
    pub(super) live: &'run Live,
    /// None if there was nothing to compare with.
    pub(super) compared: Option<&'run Comparison>,
}

impl Report<'_> {
    /// Prints the live rules to stdout and the verdict to stderr.
    pub(super) fn text(&self, console: &mut Console<'_>) -> io::Result<()> {
        console.result(&self.dump())?;
        let backend = self.live.backend;
        let process = self
            .pid
            .map(|pid| format!("process {pid}, "))
            .unwrap_or_default();
        console.note(format_args!("{process}rules read by {backend}"));
        if let Some(compared) = self.compared {
            verdict(compared, console);
        }
        Ok(())
    }

    pub(super) fn json(&self) -> String {
        let dump: Map<_, _> = self
            .live
            .rule_sets
            .iter()
            .map(|rules| {
                let tables: Map<_, _> = shown(rules)
                    .into_iter()
                    .map(|table| (table.as_str().to_owned(), json!(list(rules, table))))
                    .collect();
                (rules.family.to_string(), Value::from(tables))
            })
            .collect();
        let document = json!({
            "namespace": self.namespace.display().to_string(),
            "pid": self.pid,
            "uid": self.uid,
            "backend": self.live.backend.as_str(),
            "holders": names(&self.live.holders),
            "verdict": self.verdict(),
            "pod": self.compared.map(|compared| &compared.pod),
            "wanted": self.compared.map(wanted),
            "warnings": self.compared.map(|compared| warnings_json(&compared.wanted.warnings)),
            "difference": self.compared.and_then(difference),
            "stray": self.compared.and_then(misrouted),
            "dump": dump,
        });
        json(&document)
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
    let pod = &compared.pod;
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
    match (&compared.difference, none) {
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
            console.message("not as wanted", BAD, format!("{pod}: {family}, {drift}"));
        }
        (Some((family, drift)), Some(reason)) => {
            let line = format!("{pod} should have no rules ({reason}), but {family}, {drift}");
            console.message("not as wanted", BAD, line);
        }
    }
    effect(compared, console);
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

fn wanted(compared: &Comparison) -> Value {
    match &compared.wanted.by {
        By::Plugin => json!({"by": "plugin"}),
        By::OwnInit => json!({"by": "istio-init"}),
        By::None(reason) => json!({"by": null, "reason": reason}),
    }
}

fn difference(compared: &Comparison) -> Option<Value> {
    let (family, drift) = compared.difference.as_ref()?;
    Some(json!({"family": family.to_string(), "text": drift.to_string()}))
}

fn misrouted(compared: &Comparison) -> Option<Value> {
    let misrouted = compared.misrouted.as_ref()?;
    Some(json!({
        "packet": misrouted.packet,
        "wanted": misrouted.wanted.display(PORT_NAMES).to_string(),
        "live": misrouted.live.display(PORT_NAMES).to_string(),
    }))
}
