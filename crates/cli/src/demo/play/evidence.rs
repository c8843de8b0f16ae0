//! The evidence: the documented command, our own reading of the rules, and the documented dump.

use mesh_cni_netfilter::Listing;
use nix::unistd::Pid;
use serde_json::json;

use super::{START_LIMIT, Stage};
use crate::console::{BOLD, Styled};
use crate::demo::dump::{self, difference, documented_command};
use crate::demo::error::DemoError;
use crate::demo::story::Story;

/// A chain, what one of its rules ends with, how many connections that rule has counted, and what
/// they are.
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
    ("ISTIO_INBOUND", "tcp dpt:15021", 1, "kubelet's probe"),
    ("ISTIO_OUTPUT", "tcp dpt:15020", 1, "the excluded port"),
];

type Told = Result<(), DemoError>;

impl Stage<'_> {
    /// Runs the documented command on the proxy's process.
    pub(super) fn show_dump(&self, story: &mut Story<'_, '_>) -> Result<Listing, DemoError> {
        story.step("The documented command")?;
        let pid = self.productpage.container("proxy")?.pid();
        let patience = self.interrupt.patience(START_LIMIT);
        let printed = dump::print(pid, self.tools, self.node, patience)?;
        let command = documented_command(pid);
        story.say(format_args!("# {}", Styled(BOLD, &command)))?;
        story.block(&printed)?;
        story.record("command", json!(command));
        story.record("dump", json!(printed));
        let listing = Listing::parse(&printed).map_err(|_error| DemoError::Unreadable {
            program: command,
            said: printed,
        })?;
        let mut rules = listing.chains.iter().flat_map(|chain| &chain.rules);
        if rules.any(|rule| rule.protocol == "6") {
            let version = &self.iptables.version;
            story.block("")?;
            story.aside(format_args!(
                "{version} prints protocols as numbers: 6 is tcp, 0 is all"
            ))?;
        }
        Ok(listing)
    }

    /// Reads the same rules by ourselves.
    pub(super) fn show_listing(&self, story: &mut Story<'_, '_>) -> Result<Listing, DemoError> {
        story.step("The same rules, read back and listed by mesh-cnictl")?;
        let listing = dump::listing(&self.productpage.sandbox.netns, self.tools)?;
        let listing = listing.unwrap_or_else(dump::nothing);
        story.block(&listing.to_string())?;
        story.record("listing", json!(listing.to_string()));
        Ok(listing)
    }

    /// What a person can do with pods that stay.
    pub(super) fn say_how_to_play(&self, node: Pid, story: &mut Story<'_, '_>) -> Told {
        story.step("The pods stay, to play with")?;
        let pod = self.productpage.container("proxy")?.pid();
        let page = self.productpage.at(9080);
        let reviews = self.reviews.at(9080);
        story.say("the rules, with live counters:")?;
        story.say(format_args!("  {}", documented_command(pod)))?;
        story.say("a request in, from the node, as through a NodePort:")?;
        story.say(format_args!(
            "  nsenter -t {node} -n curl -s http://{page}/productpage"
        ))?;
        story.say("a request out, as the application:")?;
        story.say(format_args!(
            "  nsenter -t {pod} -n setpriv --reuid 1000 --regid 1000 --clear-groups \
             curl -s http://{reviews}/"
        ))?;
        story.say("the links of the node, and what it all ends with:")?;
        story.say(format_args!("  nsenter -t {node} -n ip -brief address"))?;
        story.say("  mesh-cnictl demo --cleanup")?;
        Ok(())
    }
}

/// Holds both against the documented dump.
pub(super) fn compare(printed: Listing, listed: Listing, story: &mut Story<'_, '_>) -> Told {
    story.step("Compared with the documented dump")?;
    story.aside("white space and counters aside; the dump masks 127.0.0.6 and 127.0.0.1")?;
    for (name, listing) in [("iptables prints", printed), ("mesh-cnictl lists", listed)] {
        let rules: usize = listing.chains.iter().map(|chain| chain.rules.len()).sum();
        let difference = difference(listing);
        let line = match &difference {
            None => format!("what {name}: all {rules} rules are the documented ones"),
            Some(_) => format!("what {name} is not the documented dump"),
        };
        story.check(difference.is_none(), line)?;
        if let Some((found, wanted)) = difference {
            story.say(format_args!("     found      {found}"))?;
            story.say(format_args!("     documented {wanted}"))?;
        }
    }
    Ok(())
}

/// Each connection was counted where it was decided on: nat sees the first packet alone.
pub(super) fn count(listed: &Listing, story: &mut Story<'_, '_>) -> Told {
    story.block("")?;
    for (chain, needle, packets, meaning) in COUNTED {
        let found = counted(listed, chain, needle);
        let line = format!("{meaning}: {packets} counted in {chain} at `{needle}`");
        if found == Some(packets) {
            story.check(true, line)?;
        } else {
            story.check(false, format_args!("{line}, found {found:?}"))?;
        }
    }
    Ok(())
}

fn counted(listed: &Listing, chain: &str, needle: &str) -> Option<u64> {
    let chain = listed.chains.iter().find(|each| each.name == chain)?;
    let rule = chain.rules.iter().find(|rule| rule.details == needle)?;
    Some(rule.counters.packets)
}
