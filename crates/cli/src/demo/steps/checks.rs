//! Prints the rules with the documented command, and compares them and our own listing with the
//! documented dump.

use std::env;

use mesh_cni_netfilter::{Family, Listing, RuleSet};
use mesh_cni_plan::{Decision, decide};
use mesh_cni_selector::Mesh;
use nix::unistd::Pid;
use serde_json::json;

use super::{Demo, START_LIMIT};
use crate::arguments::NAME;
use crate::console::{BOLD, Styled};
use crate::demo::dump::{self, difference, documented_command};
use crate::demo::error::DemoError;
use crate::demo::report::Report;
use crate::demo::sidecar::Sidecar;

impl Demo<'_> {
    /// Runs the documented command for the proxy's process.
    pub(super) fn print_dump(&self, report: &mut Report<'_, '_>) -> Result<Listing, DemoError> {
        report.step("The rules of productpage, printed by the documented command")?;
        let pid = self.productpage.container("proxy")?.pid();
        let wait = self.interrupt.wait(START_LIMIT);
        let printed = dump::print(pid, self.tools, self.node, wait)?;
        let command = documented_command(pid);
        report.line(format_args!("# {}", Styled(BOLD, &command)))?;
        report.block(&printed)?;
        report.record("command", json!(command));
        report.record("dump", json!(printed));
        let listing = Listing::parse(&printed).map_err(|_error| DemoError::Unexpected {
            program: command,
            output: printed,
        })?;
        let mut rules = listing.chains.iter().flat_map(|chain| &chain.rules);
        if rules.any(|rule| rule.protocol == "6") {
            let version = &self.iptables.version;
            report.block("")?;
            report.detail(format_args!(
                "{version} prints protocols as numbers: 6 is tcp, 0 is all"
            ))?;
        }
        Ok(listing)
    }

    /// Lists the same rules without the documented command.
    pub(super) fn list_rules(&self, report: &mut Report<'_, '_>) -> Result<Listing, DemoError> {
        let (netns, mesh) = (&self.productpage.sandbox.netns, self.sidecar.mesh);
        let listing = dump::listing(netns, self.tools, mesh)?
            .unwrap_or_else(|| dump::of(&RuleSet::new(Family::V4), mesh));
        report.record("listing", json!(listing.to_string()));
        Ok(listing)
    }

    /// Prints commands for experiments with pods that keep running.
    pub(super) fn print_commands(
        &self,
        node: Pid,
        report: &mut Report<'_, '_>,
    ) -> Result<(), DemoError> {
        report.step("The pods keep running, for experiments")?;
        let pod = self.productpage.container("proxy")?.pid();
        let page = self.productpage.at(9080);
        let reviews = self.reviews.at(9080);
        // As this program was started.
        let own = env::args().next().unwrap_or_else(|| NAME.to_owned());
        let manifest = self.productpage.sandbox.manifest_path(self.node);
        let verify = format!(
            "{own} verify --quiet --pid {pod} --manifest /proc/{node}/root{} --conf /proc/{node}/root{}",
            manifest.display(),
            self.node.entry().display()
        );
        let commands = [
            ("print the rules with counters:", documented_command(pod)),
            (
                "compare them with the rules that the pod should have:",
                verify.clone(),
            ),
            (
                "show which rules a packet meets, and where it ends:",
                format!(
                    "{own} explain --pid {pod} --matched --packet 'out tcp {reviews} uid 1000'"
                ),
            ),
            (
                "break a rule:",
                format!(
                    "nsenter -t {pod} -n iptables -t nat -D {}",
                    self.sidecar.deleted
                ),
            ),
            ("and compare again:", verify),
            (
                "send a request to the pod, from the node, as through a NodePort:",
                format!("nsenter -t {node} -n curl -s http://{page}/productpage"),
            ),
            (
                "send a request from the pod, as the application:",
                format!(
                    "nsenter -t {pod} -n setpriv --reuid 1000 --regid 1000 --clear-groups \
                     curl -s http://{reviews}/"
                ),
            ),
            (
                "print the node's links:",
                format!("nsenter -t {node} -n ip -brief address"),
            ),
            ("remove the pods:", format!("{own} demo --cleanup")),
        ];
        for (purpose, command) in commands {
            report.line(purpose)?;
            report.line(format_args!("  {command}"))?;
        }
        Ok(())
    }

    /// Compares both listings with the reference of the mesh.
    pub(super) fn compare(
        &self,
        printed: Listing,
        listed: Listing,
        report: &mut Report<'_, '_>,
    ) -> Result<(), DemoError> {
        let reference = &self.sidecar.reference;
        report.step(&format!("Comparison with {}", reference.name))?;
        report.detail(reference.note)?;
        let wanted = self.wanted();
        for (name, listing) in [("iptables", printed), ("mesh-cnictl", listed)] {
            let rules: usize = listing.chains.iter().map(|chain| chain.rules.len()).sum();
            let difference = difference(listing, &wanted);
            let line = match &difference {
                None => format!("output of {name}: all {rules} rules {}", reference.equal),
                Some(_) => format!("output of {name} differs from {}", reference.name),
            };
            report.check(difference.is_none(), line)?;
            if let Some((found, wanted)) = difference {
                report.line(format_args!("     found      {found}"))?;
                report.line(format_args!("     {} {wanted}", reference.mark))?;
            }
        }
        Ok(())
    }

    /// The documented dump for Istio, else the rules of the pod's settings.
    fn wanted(&self) -> Listing {
        let mesh = self.sidecar.mesh;
        if mesh == Mesh::Istio {
            return dump::documented();
        }
        let rules = match decide(&self.productpage.sandbox.facts, &self.runtime.conf) {
            Ok(Decision::Redirect(redirection)) => redirection.rule_sets.into_iter().next(),
            Ok(_) | Err(_) => None,
        };
        let rules = rules.unwrap_or_else(|| RuleSet::new(Family::V4));
        dump::of(&rules, mesh).without_counters()
    }
}

/// Checks that the rules counted the connections. A packet is one connection, because only the first
/// one traverses the nat table.
pub(super) fn count(
    listed: &Listing,
    sidecar: &Sidecar,
    report: &mut Report<'_, '_>,
) -> Result<(), DemoError> {
    report.block("")?;
    for &(chain, details, wanted, kind) in sidecar.counted {
        let found = packets(listed, chain, details);
        let line = format!("{kind}: {wanted} counted in {chain} by `{details}`");
        if found == Some(wanted) {
            report.check(true, line)?;
        } else {
            report.check(false, format_args!("{line}, found {found:?}"))?;
        }
    }
    Ok(())
}

fn packets(listed: &Listing, chain: &str, details: &str) -> Option<u64> {
    let chain = listed.chains.iter().find(|each| each.name == chain)?;
    let rule = chain
        .rules
        .iter()
        .find(|rule| rule.details.contains(details))?;
    Some(rule.counters.packets)
}
