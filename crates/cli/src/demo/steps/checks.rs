//! Prints the rules with the documented command, and compares them and our own listing with the
//! documented dump.

use std::env;

use mesh_cni_netfilter::Listing;
use nix::unistd::Pid;
use serde_json::json;

use super::{Demo, START_LIMIT};
use crate::arguments::NAME;
use crate::console::{BOLD, Styled};
use crate::demo::dump::{self, difference, documented_command};
use crate::demo::error::DemoError;
use crate::demo::report::Report;

/// A chain, the details of one of its rules, the expected number of connections, and their kind.
const COUNTED: [(&str, &str, u64, &str); 4] = [
    (
        "ISTIO_IN_REDIRECT",
        "redir ports 15006",
        2,
        "inbound through the proxy",
    ),
    (
        "ISTIO_REDIRECT",
        "redir ports 15001",
        1,
        "outbound through the proxy",
    ),
    ("ISTIO_INBOUND", "tcp dpt:15021", 1, "the kubelet's probe"),
    ("ISTIO_OUTPUT", "tcp dpt:15020", 1, "the excluded port"),
];

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
        let listing =
            dump::listing(&self.productpage.sandbox.netns, self.tools)?.unwrap_or_else(dump::empty);
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
            "{own} verify --quiet --pid {pod} --manifest /proc/{node}/root{}",
            manifest.display()
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
                format!("nsenter -t {pod} -n iptables -t nat -D ISTIO_INBOUND 6"),
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
}

/// Compares both listings with the documented dump.
pub(super) fn compare(
    printed: Listing,
    listed: Listing,
    report: &mut Report<'_, '_>,
) -> Result<(), DemoError> {
    report.step("Comparison with the documented dump")?;
    report.detail("without white space and counters; the dump masks 127.0.0.6 and 127.0.0.1")?;
    for (name, listing) in [("iptables", printed), ("mesh-cnictl", listed)] {
        let rules: usize = listing.chains.iter().map(|chain| chain.rules.len()).sum();
        let difference = difference(listing);
        let line = match &difference {
            None => format!("output of {name}: all {rules} rules are as documented"),
            Some(_) => format!("output of {name} differs from the documented dump"),
        };
        report.check(difference.is_none(), line)?;
        if let Some((found, wanted)) = difference {
            report.line(format_args!("     found      {found}"))?;
            report.line(format_args!("     documented {wanted}"))?;
        }
    }
    Ok(())
}

/// Checks that the rules counted the connections. A packet is one connection, because only the first
/// one traverses the nat table.
pub(super) fn count(listed: &Listing, report: &mut Report<'_, '_>) -> Result<(), DemoError> {
    report.block("")?;
    for (chain, details, wanted, kind) in COUNTED {
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
    let rule = chain.rules.iter().find(|rule| rule.details == details)?;
    Some(rule.counters.packets)
}
