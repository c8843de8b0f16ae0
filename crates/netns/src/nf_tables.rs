//! The two back ends that program `nf_tables` themselves: look, find the changes, commit them as one
//! batch, and look again where another program was faster.

mod error;
mod flavour;
mod look;

use mesh_cni_netfilter::RuleSet;
use mesh_cni_netfilter::ruleset::{Family, PolicyRouting};
use mesh_cni_nftables::{Batch, Change as Message, Query};
use nix::errno::Errno;

pub use error::NfTablesError;
pub(crate) use flavour::Flavour;
pub(crate) use look::Look;

use crate::apply::{Applied, Change};
use crate::nfnetlink::{CommitError, Nfnetlink};
use crate::policy_route;
use crate::user_ns::Owner;

/// How often another program may change the rules between our look and our change.
///
/// An attempt takes a millisecond or two; one who writes without pause leaves few gaps as long.
const ATTEMPTS: usize = 256;

/// Makes the wanted rule sets stand in that flavour, one for each family, in the calling thread's
/// namespace: every family or none. What of ours stands in the other flavour goes in the same batch.
pub(crate) fn apply(
    owner: Option<&Owner>,
    flavour: Flavour,
    wanted: &[RuleSet],
) -> Result<Applied, NfTablesError> {
    settle(owner, |netlink| {
        let look = Look::take(netlink)?;
        let flavour = flavour.beside(&look);
        let messages = flavour.changes(wanted, &look)?;
        with_routing(wanted, &look, || {
            commit(netlink, &messages, look.generation)
        })?;
        let routed = Family::ALL
            .into_iter()
            .all(|family| routing_of(wanted, family) == look.routing(family));
        let change = match (messages.is_empty() && routed, look.holds_ours()) {
            (true, _) => Change::Unchanged,
            (false, true) => Change::Replaced,
            (false, false) => Change::Created,
        };
        let backend = flavour.backend();
        Ok(Applied { backend, change })
    })
}

/// Removes whatever of ours stands, in either flavour and both families.
pub(crate) fn remove(owner: Option<&Owner>) -> Result<Change, NfTablesError> {
    settle(owner, |netlink| {
        let look = Look::take(netlink)?;
        let messages = look.removal();
        with_routing(&[], &look, || commit(netlink, &messages, look.generation))?;
        Ok(if messages.is_empty() {
            Change::Unchanged
        } else {
            Change::Removed
        })
    })
}

/// Looks at the calling thread's namespace.
pub(crate) fn look() -> Result<Look, NfTablesError> {
    settle(None, Look::take)
}

/// Whether `nf_tables` answers, in the calling thread's namespace; nothing is changed.
pub(crate) fn answers() -> Result<(), NfTablesError> {
    let mut netlink = Nfnetlink::open().map_err(NfTablesError::Socket)?;
    netlink.generation()?;
    Ok(())
}

/// Whether it has the extensions of `x_tables` besides, without which `iptables-nft` has no words
/// for the documented rules.
pub(crate) fn answers_with_extensions() -> Result<(), NfTablesError> {
    answers()?;
    let mut netlink = Nfnetlink::open().map_err(NfTablesError::Socket)?;
    let extension = |name: &str, revision| (name.to_owned(), revision);
    let matches = [("owner", 1), ("conntrack", 3), ("multiport", 1)];
    let matches = matches.map(|(name, revision)| {
        let (name, revision) = extension(name, revision);
        Query::Match { name, revision }
    });
    let (name, revision) = extension("REDIRECT", 0);
    let queries = matches
        .into_iter()
        .chain([Query::Target { name, revision }]);
    for query in queries {
        let outcome = netlink.check(&query);
        outcome.map_err(|error| NfTablesError::lacking(&query, error))?;
    }
    Ok(())
}

/// Tries again while other programs change the rules at the same time.
fn settle<T>(
    owner: Option<&Owner>,
    mut attempt: impl FnMut(&mut Nfnetlink<'_>) -> Result<T, NfTablesError>,
) -> Result<T, NfTablesError> {
    let mut netlink = Nfnetlink::open()
        .map_err(NfTablesError::Socket)?
        .written_by(owner);
    let mut outcome = Err(NfTablesError::Unsettled { attempts: ATTEMPTS });
    for _ in 0..ATTEMPTS {
        outcome = attempt(&mut netlink);
        if !matches!(outcome, Err(NfTablesError::Unsettled { .. })) {
            break;
        }
    }
    outcome
}

/// Commits the messages if the rules are still of that generation.
fn commit(
    netlink: &mut Nfnetlink<'_>,
    messages: &[Message],
    generation: u32,
) -> Result<(), NfTablesError> {
    if messages.is_empty() {
        return Ok(());
    }
    let batch = Batch::new(messages).at_generation(generation).encode();
    netlink.commit(&batch).map_err(|error| match error {
        CommitError::Socket(source) => NfTablesError::Socket(source),
        CommitError::Malformed(source) => NfTablesError::Malformed(source),
        CommitError::Silent => NfTablesError::Silent,
        CommitError::Refused { refusal, .. } if refusal.errno == Errno::ERESTART as i32 => {
            NfTablesError::Unsettled { attempts: ATTEMPTS }
        }
        CommitError::Refused { sequence, refusal } => {
            let message = batch.change(sequence).and_then(|at| messages.get(at));
            NfTablesError::refused(message, &refusal)
        }
    })
}

/// Rules that mark packets stand only where the routing for the mark does: it comes first and goes
/// last, and goes again where the rules were refused.
fn with_routing(
    wanted: &[RuleSet],
    look: &Look,
    commit: impl FnOnce() -> Result<(), NfTablesError>,
) -> Result<(), NfTablesError> {
    let wanted_of = |family| routing_of(wanted, family);
    let mut added = Vec::new();
    let take_back = |added: &[(Family, PolicyRouting)]| {
        for (family, routing) in added {
            // The refusal is the one to tell.
            let _outcome = policy_route::remove(*family, *routing);
        }
    };
    for family in Family::ALL {
        let standing = look.routing(family);
        if let Some(routing) = wanted_of(family)
            && standing != Some(routing)
        {
            if let Err(source) = policy_route::add(family, routing) {
                take_back(&added);
                return Err(NfTablesError::Routing(source));
            }
            added.push((family, routing));
        }
    }
    if let Err(refusal) = commit() {
        take_back(&added);
        return Err(refusal);
    }
    for family in Family::ALL {
        if let Some(stale) = look.routing(family)
            && wanted_of(family) != Some(stale)
        {
            policy_route::remove(family, stale).map_err(NfTablesError::Routing)?;
        }
    }
    Ok(())
}

fn routing_of(wanted: &[RuleSet], family: Family) -> Option<PolicyRouting> {
    let rules = wanted.iter().find(|rules| rules.family == family);
    rules.and_then(|rules| rules.routing)
}

#[cfg(all(test, feature = "root-tests"))]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use mesh_cni_nftables::Dump;

    use super::*;
    use crate::NetNs;

    /// Rules of a stranger, too many for the few datagrams that the kernel fills ahead.
    const RULES: usize = 2_000;

    #[test]
    fn a_dump_that_a_change_interrupts_is_read_again_until_it_is_whole() {
        let netns = NetNs::scratch().unwrap();
        let (mut attempts, mut changed) = (0, false);
        let look = netns.run(|| {
            nft(&many_rules());
            settle(None, |netlink| {
                attempts += 1;
                if attempts > 1 {
                    return Look::take(netlink);
                }
                let mut dump = Dump::default();
                netlink.ask(&Query::Rules, |content| {
                    if !changed {
                        changed = true;
                        nft("insert rule ip stranger some counter\n");
                    }
                    dump.take(content);
                })?;
                panic!(
                    "{} rules were told as if nothing had changed",
                    dump.rules.len()
                );
            })
        });
        let look = look.unwrap().unwrap();
        assert_eq!(attempts, 2);
        // Iptables' table is there, so that the rules are asked for at all.
        assert_eq!(look.dump().rules.len(), RULES + 1);
    }

    fn many_rules() -> String {
        let tables = "add table ip nat\nadd table ip stranger\nadd chain ip stranger some\n";
        let rule = |port| format!("add rule ip stranger some tcp dport {port} accept\n");
        tables.to_owned() + &(1..=RULES).map(rule).collect::<String>()
    }

    /// In the calling thread's namespace.
    fn nft(script: &str) {
        let mut command = Command::new("nft");
        let child = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn();
        let mut child = child.expect("`scripts/setup demo` installs nft");
        let mut stdin = child.stdin.take().expect("it was asked for");
        let written = stdin.write_all(script.as_bytes());
        written.expect("nft reads its input");
        drop(stdin);
        let ended = child.wait().expect("nobody else waits for it");
        assert!(ended.success(), "nft refused {script:.200}");
    }
}
