//! The two back ends that program `nf_tables` over netlink: take a snapshot, compute the changes,
//! commit them as one batch, and retry if another program changed the rules in between.

mod encoding;
mod error;
mod snapshot;

use mesh_cni_netfilter::ruleset::{Family, PolicyRouting};
use mesh_cni_netfilter::{Ownership, RuleSet};
use mesh_cni_nftables::{Batch, Change as Message, Query};
use nix::errno::Errno;

pub(crate) use encoding::Encoding;
pub use error::NfTablesError;
pub(crate) use snapshot::Snapshot;

use crate::change::{Applied, Change};
use crate::nfnetlink::{CommitError, Nfnetlink};
use crate::policy_route;
use crate::user_ns::UserNs;
use error::ATTEMPTS;

/// Applies the wanted rule sets in the calling thread's namespace, one for each family: every family
/// or none. Rules of ours in the other encoding are removed in the same batch.
pub(crate) fn apply(
    user_ns: Option<&UserNs>,
    encoding: Encoding,
    wanted: &[RuleSet],
    ownership: &'static Ownership,
) -> Result<Applied, NfTablesError> {
    // Most pods are new: the kernel accepts a batch for them without any question before it. Where it
    // refuses, for whatever reason, nothing has changed. Policy routing is not part of the batch, so
    // it is never changed on an assumption.
    let has_routing = wanted.iter().any(|rules| rules.routing.is_some());
    let mut assumed = (!has_routing).then(|| Snapshot::of_new_namespace(ownership));
    retry(user_ns, |netlink| {
        if let Some(new) = assumed.take()
            && let Ok(applied) = apply_to(&new, netlink, encoding, wanted)
            && applied.change == Change::Created
        {
            return Ok(applied);
        }
        let snapshot = Snapshot::take(netlink, ownership)?;
        apply_to(&snapshot, netlink, encoding, wanted)
    })
}

/// Changes the rules of the snapshot into the wanted ones.
fn apply_to(
    snapshot: &Snapshot,
    netlink: &mut Nfnetlink<'_>,
    encoding: Encoding,
    wanted: &[RuleSet],
) -> Result<Applied, NfTablesError> {
    let encoding = encoding.resolve(snapshot);
    let messages = encoding.changes(wanted, snapshot)?;
    with_routing(wanted, snapshot, || {
        commit(netlink, &messages, snapshot.generation)
    })?;
    let same_routing = Family::ALL.into_iter().all(|family| {
        PolicyRouting::is_found(routing_of(wanted, family), snapshot.routing(family))
    });
    let change = match (messages.is_empty() && same_routing, snapshot.has_rules()) {
        (true, _) => Change::Unchanged,
        (false, true) => Change::Replaced,
        (false, false) => Change::Created,
    };
    let backend = encoding.backend();
    Ok(Applied { backend, change })
}

/// Removes all rules of ours, in both encodings and families.
pub(crate) fn remove(
    user_ns: Option<&UserNs>,
    ownership: &'static Ownership,
) -> Result<Change, NfTablesError> {
    retry(user_ns, |netlink| {
        let snapshot = Snapshot::take(netlink, ownership)?;
        let messages = snapshot.removal();
        with_routing(&[], &snapshot, || {
            commit(netlink, &messages, snapshot.generation)
        })?;
        Ok(if messages.is_empty() {
            Change::Unchanged
        } else {
            Change::Removed
        })
    })
}

/// Reads the rules of the calling thread's namespace.
pub(crate) fn snapshot(ownership: &'static Ownership) -> Result<Snapshot, NfTablesError> {
    retry(None, |netlink| Snapshot::take(netlink, ownership))
}

/// Whether the kernel has `nf_tables` and grants access, in the calling thread's namespace.
pub(crate) fn check() -> Result<(), NfTablesError> {
    connect().map(|_netlink| ())
}

/// Whether it also has the `x_tables` extensions that the documented rules need.
pub(crate) fn check_extensions() -> Result<(), NfTablesError> {
    let mut netlink = connect()?;
    let extension = |name: &str, revision| Query::Match {
        name: name.to_owned(),
        revision,
    };
    for query in [
        extension("owner", 1),
        extension("conntrack", 3),
        extension("multiport", 1),
        Query::Target {
            name: "REDIRECT".to_owned(),
            revision: 0,
        },
    ] {
        netlink
            .check(&query)
            .map_err(|error| NfTablesError::lacking(&query, error))?;
    }
    Ok(())
}

fn connect() -> Result<Nfnetlink<'static>, NfTablesError> {
    let mut netlink = Nfnetlink::open().map_err(NfTablesError::Socket)?;
    netlink.generation()?;
    Ok(netlink)
}

/// Retries while other programs change the rules at the same time.
pub(crate) fn retry<T>(
    user_ns: Option<&UserNs>,
    mut attempt: impl FnMut(&mut Nfnetlink<'_>) -> Result<T, NfTablesError>,
) -> Result<T, NfTablesError> {
    let mut netlink = Nfnetlink::open()
        .map_err(NfTablesError::Socket)?
        .writing_from(user_ns);
    for _ in 1..ATTEMPTS {
        match attempt(&mut netlink) {
            Err(NfTablesError::Unsettled { .. }) => {}
            outcome => return outcome,
        }
    }
    attempt(&mut netlink)
}

/// Commits the messages if the rules still have that generation.
pub(crate) fn commit(
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
        CommitError::NotConfirmed => NfTablesError::NotConfirmed,
        CommitError::Refused { refusal, .. } if refusal.errno == Errno::ERESTART as i32 => {
            NfTablesError::Unsettled { attempts: ATTEMPTS }
        }
        CommitError::Refused { sequence, refusal } => {
            let message = batch.change(sequence).and_then(|at| messages.get(at));
            NfTablesError::refused(message, &refusal)
        }
    })
}

/// Rules that mark packets never exist without the routing for the mark: it is added before them
/// and removed after them. If the rules are refused, the added routing is removed.
fn with_routing(
    wanted: &[RuleSet],
    snapshot: &Snapshot,
    commit: impl FnOnce() -> Result<(), NfTablesError>,
) -> Result<(), NfTablesError> {
    let mut added = Vec::new();
    let add_and_commit = || {
        for family in Family::ALL {
            let (wanted, found) = (routing_of(wanted, family), snapshot.routing(family));
            if let Some(routing) = wanted
                && !PolicyRouting::is_found(wanted, found)
            {
                policy_route::add(family, routing).map_err(NfTablesError::Routing)?;
                added.push((family, wanted, found));
            }
        }
        commit()
    };
    if let Err(error) = add_and_commit() {
        for (family, added, before) in added {
            let _outcome = policy_route::remove_stale(family, added, before);
        }
        return Err(error);
    }
    for family in Family::ALL {
        policy_route::remove_stale(family, snapshot.routing(family), routing_of(wanted, family))
            .map_err(NfTablesError::Routing)?;
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
    use mesh_cni_rules::ANY_MESH;

    use super::*;
    use crate::NetNs;

    /// More foreign rules than fit into the datagrams that the kernel prepares in advance.
    const RULES: usize = 2_000;

    #[test]
    fn a_dump_that_a_change_interrupts_is_read_again() {
        let netns = NetNs::scratch().unwrap();
        let (mut attempts, mut changed) = (0, false);
        let snapshot = netns.run(|| {
            nft(&many_rules());
            retry(None, |netlink| {
                attempts += 1;
                if attempts > 1 {
                    return Snapshot::take(netlink, &ANY_MESH);
                }
                let mut dump = Dump::default();
                netlink.request(&Query::Rules, |content| {
                    if !changed {
                        changed = true;
                        nft("insert rule ip foreign some counter\n");
                    }
                    dump.take(content);
                })?;
                panic!("{} rules were read although they changed", dump.rules.len());
            })
        });
        let snapshot = snapshot.unwrap().unwrap();
        assert_eq!(attempts, 2);
        // There is a table of iptables, so that the rules are read at all.
        assert_eq!(snapshot.dump().rules.len(), RULES + 1);
    }

    fn many_rules() -> String {
        let tables = "add table ip nat\nadd table ip foreign\nadd chain ip foreign some\n";
        let rule = |port| format!("add rule ip foreign some tcp dport {port} accept\n");
        tables.to_owned() + &(1..=RULES).map(rule).collect::<String>()
    }

    /// In the calling thread's namespace.
    fn nft(script: &str) {
        let mut command = Command::new("nft");
        let child = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn();
        let mut child = child.expect("`scripts/setup demo` installs nft");
        let mut stdin = child.stdin.take().expect("it is a pipe");
        let written = stdin.write_all(script.as_bytes());
        written.expect("nft reads its input");
        drop(stdin);
        let ended = child.wait().expect("the child exists");
        assert!(ended.success(), "nft refused {script:.200}");
    }
}
