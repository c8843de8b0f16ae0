//! `render`: the rules that a pod would get, in one of several formats.

use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netfilter::{Listing, RuleSet, render};
use mesh_cni_nftables::native;
use mesh_cni_plan::Redirection;
use mesh_cni_rules::{Mesh, ownership, redirects};
use serde::Serialize;
use serde_json::Value;

use crate::arguments::{FamilyNumber, Format, ListedTable, Output, RenderArguments};
use crate::case::{Case, Cases};
use crate::console::{Console, json};
use crate::effect::PodEffect;
use crate::failure::{Exit, Failure};

/// Prints the rules, or the reason on stderr if the pod gets none.
pub(crate) fn run(arguments: &RenderArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    if arguments.table.is_some() && arguments.format != Format::List {
        let error = "--table requires `--format list`: the other formats print all tables";
        return Err(Failure::wrong(error).hint("remove --table"));
    }
    let cases = Cases::read(&arguments.subject.pod, &arguments.subject.conf, console)?;
    if arguments.output == Output::Json {
        return effects(cases, console);
    }
    let are_several = cases.are_several;
    let mut documents = Vec::new();
    let exit = cases.each(console, |case, console| {
        let Some(redirection) = case.redirection(console)? else {
            return Ok(Exit::No);
        };
        let mesh = redirection.interception.mesh();
        let rule_sets = rule_sets(redirection, arguments.family);
        let text = match arguments.format {
            Format::List => list(mesh, &rule_sets, arguments.table),
            Format::Restore => rule_sets.iter().map(render::restore).collect(),
            Format::Nft => nft(&rule_sets)?,
            Format::Json if are_several => {
                documents.push(Document::new(&case, &rule_sets));
                return Ok(Exit::Done);
            }
            Format::Json => render::json(&rule_sets),
        };
        if are_several {
            console.line(format_args!("# pod {}", case.pod()))?;
        }
        console.result(&text)?;
        Ok(Exit::Done)
    })?;
    if are_several && arguments.format == Format::Json {
        console.result(&json(&documents))?;
    }
    Ok(exit)
}

/// Prints the decision for each pod, and its rules as text; exit code 1 if one gets none, 2 if the plugin
/// rejects one.
fn effects(cases: Cases, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let are_several = cases.are_several;
    let mut effects = Vec::new();
    let exit = cases.each(console, |case, _console| {
        let pod = PodEffect::new(&case.facts, &case.conf);
        let exit = pod.effect.exit();
        effects.push(pod);
        Ok(exit)
    })?;
    console.result(&match effects.as_slice() {
        [effect] if !are_several => json(effect),
        effects => json(&effects),
    })?;
    Ok(exit)
}

/// The rules of one of several pods.
#[derive(Serialize)]
struct Document {
    namespace: String,
    name: String,
    rule_sets: Value,
}

impl Document {
    fn new(case: &Case, rule_sets: &[RuleSet]) -> Self {
        let rule_sets = serde_json::from_str(&render::json(rule_sets));
        Self {
            namespace: case.facts.namespace.clone(),
            name: case.facts.name.clone(),
            rule_sets: rule_sets.expect("rules are rendered as JSON"),
        }
    }
}

fn rule_sets(redirection: Redirection, family: Option<FamilyNumber>) -> Vec<RuleSet> {
    let Some(family) = family else {
        return redirection.rule_sets;
    };
    let family = family.into();
    let mut rule_sets = redirection.rule_sets.into_iter();
    let found = rule_sets.find(|rules| rules.family == family);
    vec![found.unwrap_or_else(|| redirection.interception.compile(family))]
}

fn nft(rule_sets: &[RuleSet]) -> Result<String, Failure> {
    let scripts = rule_sets.iter().map(native::script);
    scripts.collect::<Result<_, _>>().map_err(Failure::wrong)
}

fn list(mesh: Mesh, rule_sets: &[RuleSet], table: Option<ListedTable>) -> String {
    let listing = |rules: &RuleSet| {
        // Rules that only refuse are in another table.
        let usual = if redirects(rules) {
            TableName::Nat
        } else {
            TableName::Filter
        };
        let table = table.map_or(usual, TableName::from);
        Listing::of(rules, table, ownership(mesh)).to_string()
    };
    let listings: Vec<_> = rule_sets.iter().map(listing).collect();
    listings.join("\n")
}

impl From<FamilyNumber> for Family {
    fn from(number: FamilyNumber) -> Self {
        match number {
            FamilyNumber::Four => Self::V4,
            FamilyNumber::Six => Self::V6,
        }
    }
}

impl From<ListedTable> for TableName {
    fn from(table: ListedTable) -> Self {
        match table {
            ListedTable::Nat => Self::Nat,
            ListedTable::Mangle => Self::Mangle,
            ListedTable::Raw => Self::Raw,
            ListedTable::Filter => Self::Filter,
        }
    }
}
