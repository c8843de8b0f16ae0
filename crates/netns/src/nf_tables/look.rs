//! A look at `nf_tables`: what stands there, at one generation.

use mesh_cni_netfilter::ruleset::{Family, PolicyRouting, TableName};
use mesh_cni_netfilter::{RuleSet, only_ours};
use mesh_cni_nftables::{Change, Dump, Query, compat, native};
use mesh_cni_rules::OWNERSHIP;
use nix::errno::Errno;

use super::NfTablesError;
use crate::nfnetlink::{Nfnetlink, QueryError};
use crate::policy_route;

/// What stands in iptables' tables and in our own.
pub(crate) struct Look {
    /// The generation at which all this stood.
    pub(crate) generation: u32,
    dump: Dump,
    families: Vec<OfFamily>,
}

struct OfFamily {
    compat: compat::InstalledRules,
    native: RuleSet,
}

impl Look {
    /// Asks for the tables, and for the rest only where one could hold rules of ours: a fresh
    /// namespace costs two short questions.
    pub(crate) fn take(netlink: &mut Nfnetlink<'_>) -> Result<Self, NfTablesError> {
        let generation = netlink.generation()?;
        let mut dump = Dump::default();
        netlink.dump(&Query::Tables, &mut dump)?;
        let ours = dump.tables.iter().any(native::is_ours);
        let iptables =
            |table: &mesh_cni_nftables::Table| TableName::from_name(&table.name).is_some();
        if ours || dump.tables.iter().any(iptables) {
            netlink.dump(&Query::Chains, &mut dump)?;
            netlink.dump(&Query::Rules, &mut dump)?;
            if ours {
                take_sets(netlink, &mut dump)?;
            }
            if netlink.generation()? != generation {
                return Err(QueryError::Interrupted.into());
            }
        }
        let families = Family::ALL
            .into_iter()
            .map(|family| of_family(&dump, family));
        Ok(Self {
            generation,
            families: families.collect::<Result<_, _>>()?,
            dump,
        })
    }

    /// The rules of iptables' tables, ours and others'.
    pub(crate) fn compat(&self, family: Family) -> &compat::InstalledRules {
        &self.of(family).compat
    }

    /// The rules in tables of our own.
    pub(crate) fn native(&self, family: Family) -> &RuleSet {
        &self.of(family).native
    }

    /// Everything that was told.
    pub(crate) fn dump(&self) -> &Dump {
        &self.dump
    }

    /// Whether rules of ours stand in iptables' tables.
    pub(crate) fn holds_compat(&self) -> bool {
        let mut families = self.families.iter();
        families.any(|of| !only_ours(&of.compat.rules, &OWNERSHIP).tables.is_empty())
    }

    /// Whether tables of our own stand.
    pub(crate) fn holds_native(&self) -> bool {
        self.dump.tables.iter().any(native::is_ours)
    }

    /// Whether any rule of ours stands.
    pub(crate) fn holds_ours(&self) -> bool {
        self.holds_native() || self.holds_compat()
    }

    /// The policy routing that goes with the rules of ours that stand.
    pub(crate) fn routing(&self, family: Family) -> Option<PolicyRouting> {
        let of = self.of(family);
        of.compat.rules.routing.or(of.native.routing)
    }

    /// The changes that remove all that is ours.
    pub(crate) fn removal(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for family in Family::ALL {
            changes.extend(compat::remove(self.compat(family), &OWNERSHIP));
            changes.extend(native::remove(&self.dump, family));
        }
        changes
    }

    fn of(&self, family: Family) -> &OfFamily {
        match family {
            Family::V4 => &self.families[0],
            Family::V6 => &self.families[1],
        }
    }
}

fn of_family(dump: &Dump, family: Family) -> Result<OfFamily, NfTablesError> {
    let mut of = OfFamily {
        compat: compat::read(dump, family),
        native: native::read(dump, family),
    };
    for rules in [&mut of.compat.rules, &mut of.native] {
        rules.routing = policy_route::standing(rules).map_err(NfTablesError::Routing)?;
    }
    Ok(of)
}

fn take_sets(netlink: &mut Nfnetlink<'_>, dump: &mut Dump) -> Result<(), NfTablesError> {
    netlink.dump(&Query::Sets, dump)?;
    take_elements(netlink, dump)
}

fn take_elements(netlink: &mut Nfnetlink<'_>, dump: &mut Dump) -> Result<(), NfTablesError> {
    let ours = dump.sets.iter().filter(|set| native::is_ours(&set.table));
    let queries: Vec<_> = ours
        .map(|set| Query::Elements(set.table.clone(), set.name.clone()))
        .collect();
    for query in queries {
        netlink.dump(&query, dump).map_err(gone)?;
    }
    Ok(())
}

/// A set that was told a moment ago and is not there any more: another program was faster.
fn gone(error: QueryError) -> QueryError {
    match error {
        QueryError::Refused(refusal) if refusal.errno == Errno::ENOENT as i32 => {
            QueryError::Interrupted
        }
        other => other,
    }
}

#[cfg(all(test, feature = "root-tests"))]
mod tests {
    use mesh_cni_nftables::{Set, SetKind, Table};

    use super::*;
    use crate::NetNs;

    /// One of our sets, as it was told before another program removed it.
    fn gone_set() -> Set {
        let table = Table {
            family: Family::V4,
            name: "mesh-cni-nat".to_owned(),
        };
        assert!(native::is_ours(&table));
        Set {
            table,
            name: "__set0".to_owned(),
            id: 0,
            kind: SetKind {
                datatype: 13,
                length: 2,
            },
            interval: false,
            counting: false,
            elements: Vec::new(),
        }
    }

    #[test]
    fn a_set_that_goes_while_it_is_read_is_a_change_to_look_at_again() {
        let netns = NetNs::scratch().unwrap();
        let outcome = netns.run(|| {
            let mut netlink = Nfnetlink::open().unwrap();
            let mut dump = Dump::default();
            dump.sets.push(gone_set());
            take_elements(&mut netlink, &mut dump)
        });
        let error = outcome.unwrap().unwrap_err();
        assert!(
            matches!(error, NfTablesError::Unsettled { .. }),
            "{error:?}"
        );
    }
}
