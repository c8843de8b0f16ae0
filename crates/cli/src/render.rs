//! `render`: the rules that a pod would get, in one of several formats.

use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netfilter::{Listing, RuleSet, render};
use mesh_cni_nftables::native;
use mesh_cni_plan::Redirection;
use mesh_cni_rules::{OWNERSHIP, compile, redirects};

use crate::arguments::{FamilyNumber, Format, ListedTable, RenderArguments};
use crate::case::Case;
use crate::console::Console;
use crate::failure::{Exit, Failure};

/// Prints the rules, or the reason on stderr if the pod gets none.
pub(crate) fn run(arguments: &RenderArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    if arguments.table.is_some() && arguments.format != Format::List {
        let error = "--table requires `--format list`: the other formats print all tables";
        return Err(Failure::wrong(error).hint("remove --table"));
    }
    let case = Case::read(&arguments.subject, console)?;
    let Some(redirection) = case.redirection(console)? else {
        return Ok(Exit::No);
    };
    let rule_sets = rule_sets(&case, redirection, arguments.family);
    let text = match arguments.format {
        Format::List => list(&rule_sets, arguments.table),
        Format::Restore => rule_sets.iter().map(render::restore).collect(),
        Format::Nft => nft(&rule_sets)?,
        Format::Json => render::json(&rule_sets),
    };
    console.result(&text)?;
    Ok(Exit::Done)
}

fn rule_sets(case: &Case, redirection: Redirection, family: Option<FamilyNumber>) -> Vec<RuleSet> {
    let Some(family) = family else {
        return redirection.rule_sets;
    };
    let (family, dialect) = (family.into(), case.conf.dialect());
    let mut rule_sets = redirection.rule_sets.into_iter();
    let found = rule_sets.find(|rules| rules.family == family);
    vec![found.unwrap_or_else(|| compile(&redirection.interception, dialect, family))]
}

fn nft(rule_sets: &[RuleSet]) -> Result<String, Failure> {
    let scripts = rule_sets.iter().map(native::script);
    scripts.collect::<Result<_, _>>().map_err(Failure::wrong)
}

fn list(rule_sets: &[RuleSet], table: Option<ListedTable>) -> String {
    let listing = |rules: &RuleSet| {
        // Rules that only refuse are in another table.
        let usual = if redirects(rules) {
            TableName::Nat
        } else {
            TableName::Filter
        };
        let table = table.map_or(usual, TableName::from);
        Listing::of(rules, table, &OWNERSHIP).to_string()
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
