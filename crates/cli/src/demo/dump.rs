//! Runs the documented command for the demo's pod, and compares its output with the documented dump.

use std::process::Command;

use mesh_cni_netfilter::listing::Layout;
use mesh_cni_netfilter::ruleset::{Family, TableName};
use mesh_cni_netfilter::{Listing, RuleSet, only_ours};
use mesh_cni_netns::{Backend, BackendChoice, NetNs, Xtables, read};
use mesh_cni_rules::{Mesh, ownership};
use nix::unistd::Pid;

use super::error::DemoError;
use super::node::Node;
use super::program;
use super::tools::Tools;
use super::wait::Wait;

/// The dump of the documentation, unchanged: white space is folded, two addresses are masked.
const DOCUMENTED: &str = include_str!("../../demo/documented-dump.txt");
const MASKED: &str = "127.0.X.X";

/// The iptables program of the documented command.
#[derive(Clone, Debug)]
pub(crate) struct Iptables {
    /// Its version, such as `iptables v1.8.9 (nf_tables)`.
    pub(crate) version: String,
}

impl Iptables {
    /// Reads the version of iptables.
    pub(crate) fn find(tools: &Tools, node: &Node, wait: Wait<'_>) -> Result<Self, DemoError> {
        let mut command = Command::new(&tools.iptables);
        command.arg("--version");
        let finished = program::run(&node.netns, command, "", wait)?;
        let version = finished.successful("iptables --version")?.stdout;
        Ok(Self {
            version: version.trim().to_owned(),
        })
    }

    /// The back end whose rules the documented command prints.
    pub(crate) fn backend(&self) -> &'static str {
        if self.version.contains("nf_tables") {
            Backend::IptablesNft.as_str()
        } else {
            Backend::IptablesLegacy.as_str()
        }
    }
}

/// The documented command for a process.
pub(crate) fn documented_command(pid: Pid) -> String {
    format!("nsenter -t {pid} -n iptables -L -t nat -n -v --line-numbers -x")
}

/// Runs the documented command, and returns its output.
pub(crate) fn print(
    pid: Pid,
    tools: &Tools,
    node: &Node,
    wait: Wait<'_>,
) -> Result<String, DemoError> {
    let text = documented_command(pid);
    let mut command = Command::new(&tools.nsenter);
    command
        .args(text.split(' ').skip(1))
        .env("PATH", &tools.path)
        .env("XTABLES_LOCKFILE", node.xtables_lock());
    let finished = program::run(&node.netns, command, "", wait)?;
    Ok(finished.successful(&text)?.stdout)
}

/// Lists the same table ourselves, with counters; none without rules of ours.
pub(crate) fn listing(
    netns: &NetNs,
    tools: &Tools,
    mesh: Mesh,
) -> Result<Option<Listing>, DemoError> {
    let xtables = Xtables::search(Some(&tools.path));
    let found = read(netns, &xtables, BackendChoice::Auto, &[Family::V4])?;
    let ours = found.rule_sets.first().filter(|rules| {
        let nat = only_ours(rules, ownership(mesh));
        !nat.tables.is_empty()
    });
    Ok(ours.map(|rules| of(rules, mesh)))
}

/// The listing of the nat table.
pub(crate) fn of(rules: &RuleSet, mesh: Mesh) -> Listing {
    Listing::of(rules, TableName::Nat, ownership(mesh))
}

/// The first line that differs from the wanted listing: found and wanted.
pub(crate) fn difference(listing: Listing, wanted: &Listing) -> Option<(String, String)> {
    let found = normalize(listing, wanted).print(Layout::Folded);
    let wanted = wanted.print(Layout::Folded);
    let longest = found.lines().count().max(wanted.lines().count());
    (0..longest).find_map(|at| {
        let line = |text: &str| text.lines().nth(at).unwrap_or("no line").to_owned();
        let (found, wanted) = (line(&found), line(&wanted));
        (found != wanted).then_some((found, wanted))
    })
}

/// The documented dump without counters, and with the addresses that it masks.
pub(crate) fn documented() -> Listing {
    let lines = DOCUMENTED.lines().map(|line| {
        let passthrough = line.contains(&format!("* lo {MASKED} 0.0.0.0/0"));
        let address = if passthrough {
            "127.0.0.6"
        } else {
            "127.0.0.1"
        };
        line.replace(MASKED, address) + "\n"
    });
    let text: String = lines.collect();
    let listing =
        Listing::parse(&text).expect("the documented dump is a listing, which a test checks");
    listing.without_counters()
}

/// Removes counters, sorts chains as wanted, and names protocols: iptables 1.8.9 prints their
/// numbers.
fn normalize(listing: Listing, wanted: &Listing) -> Listing {
    let mut listing = listing.without_counters();
    let order: Vec<_> = wanted.chains.iter().map(|chain| &chain.name).collect();
    let place = |name: &String| order.iter().position(|wanted| *wanted == name);
    listing
        .chains
        .sort_by_key(|chain| place(&chain.name).unwrap_or(order.len()));
    for rule in listing.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
        let name = match rule.protocol.as_str() {
            "6" => "tcp",
            "17" => "udp",
            "0" => "all",
            _ => continue,
        };
        name.clone_into(&mut rule.protocol);
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_dump_equals_itself() {
        assert_eq!(difference(documented(), &documented()), None);
    }

    #[test]
    fn protocol_numbers_and_the_order_of_chains_are_ignored() {
        let mut listing = documented();
        listing.chains.reverse();
        listing.chains[0].rules[1].protocol = "0".to_owned();
        assert_eq!(difference(listing, &documented()), None);
    }

    #[test]
    fn a_missing_rule_is_a_difference() {
        let mut listing = documented();
        listing.chains[0].rules.clear();
        let (found, wanted) = difference(listing, &documented()).unwrap();
        assert_eq!(found, "");
        assert!(wanted.contains("ISTIO_INBOUND"), "{wanted}");
    }
}
