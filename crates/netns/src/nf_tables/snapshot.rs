//! The rules in `nf_tables` at one generation.

use mesh_cni_netfilter::ruleset::{Family, PolicyRouting, TableName};
use mesh_cni_netfilter::{Ownership, RuleSet, only_ours};
use mesh_cni_nftables::{Change, Dump, Query, compat, native};
use nix::errno::Errno;

use super::error::NfTablesError;
use crate::nfnetlink::{Nfnetlink, QueryError};
use crate::policy_route;

/// The rules in the tables of iptables and in our own.
pub(crate) struct Snapshot {
    /// The generation of these rules.
    pub(crate) generation: u32,
    dump: Dump,
    ownership: &'static Ownership,
    /// IPv4, then IPv6.
    families: [FamilyRules; 2],
}

struct FamilyRules {
    compat: compat::InstalledRules,
    native: RuleSet,
}

impl Snapshot {
    /// Requests the tables, and the rest only if a table could hold rules of ours. For a new
    /// namespace that is two short requests.
    pub(crate) fn take(
        netlink: &mut Nfnetlink<'_>,
        ownership: &'static Ownership,
    ) -> Result<Self, NfTablesError> {
        let generation = netlink.generation()?;
        let mut dump = Dump::default();
        netlink.dump(&Query::Tables, &mut dump)?;
        let has_ours = dump.tables.iter().any(native::is_ours);
        let mut names = dump.tables.iter().map(|table| &table.name);
        if has_ours || names.any(|name| TableName::from_name(name).is_some()) {
            netlink.dump(&Query::Chains, &mut dump)?;
            netlink.dump(&Query::Rules, &mut dump)?;
            if has_ours {
                netlink.dump(&Query::Sets, &mut dump)?;
                dump_elements(netlink, &mut dump)?;
            }
            if netlink.generation()? != generation || dump.has_repeated_objects() {
                return Err(QueryError::Interrupted.into());
            }
        }
        Ok(Self {
            generation,
            families: [
                family_rules(&dump, Family::V4, ownership)?,
                family_rules(&dump, Family::V6, ownership)?,
            ],
            dump,
            ownership,
        })
    }

    /// The state of a namespace that never had rules. A batch for it is refused in any other: the
    /// kernel counts commits from 1 (`nf_tables_init_net`, `net/netfilter/nf_tables_api.c`).
    pub(crate) fn of_new_namespace(ownership: &'static Ownership) -> Self {
        let dump = Dump::default();
        let families = Family::ALL.map(|family| FamilyRules {
            compat: compat::read(&dump, family),
            native: native::read(&dump, family),
        });
        Self {
            generation: 1,
            dump,
            ownership,
            families,
        }
    }

    /// The rules in the tables of iptables, ours and others'.
    pub(crate) fn compat(&self, family: Family) -> &compat::InstalledRules {
        &self.of(family).compat
    }

    /// The rules in tables of our own.
    pub(crate) fn native(&self, family: Family) -> &RuleSet {
        &self.of(family).native
    }

    /// Everything that the kernel returned.
    pub(crate) fn dump(&self) -> &Dump {
        &self.dump
    }

    /// What counts as ours.
    pub(crate) fn ownership(&self) -> &'static Ownership {
        self.ownership
    }

    /// Whether the tables of iptables hold rules of ours.
    pub(crate) fn has_compat_rules(&self) -> bool {
        self.families.iter().any(|of| {
            !only_ours(&of.compat.rules, self.ownership)
                .tables
                .is_empty()
        })
    }

    /// Whether tables of our own exist.
    pub(crate) fn has_native_rules(&self) -> bool {
        self.dump.tables.iter().any(native::is_ours)
    }

    /// Whether any rule of ours exists.
    pub(crate) fn has_rules(&self) -> bool {
        self.has_native_rules() || self.has_compat_rules()
    }

    /// The policy routing of the rules of ours.
    pub(crate) fn routing(&self, family: Family) -> Option<PolicyRouting> {
        let of = self.of(family);
        of.compat.rules.routing.or(of.native.routing)
    }

    /// The changes that remove everything that is ours.
    pub(crate) fn removal(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for family in Family::ALL {
            changes.extend(compat::remove(self.compat(family), self.ownership));
            changes.extend(native::remove(&self.dump, family));
        }
        changes
    }

    fn of(&self, family: Family) -> &FamilyRules {
        let [ipv4, ipv6] = &self.families;
        match family {
            Family::V4 => ipv4,
            Family::V6 => ipv6,
        }
    }
}

fn family_rules(
    dump: &Dump,
    family: Family,
    ownership: &Ownership,
) -> Result<FamilyRules, NfTablesError> {
    let mut of = FamilyRules {
        compat: compat::read(dump, family),
        native: native::read(dump, family),
    };
    for rules in [&mut of.compat.rules, &mut of.native] {
        rules.routing = policy_route::existing(rules, ownership).map_err(NfTablesError::Routing)?;
    }
    Ok(of)
}

fn dump_elements(netlink: &mut Nfnetlink<'_>, dump: &mut Dump) -> Result<(), NfTablesError> {
    let queries: Vec<_> = dump
        .sets
        .iter()
        .filter(|set| native::is_ours(&set.table))
        .map(|set| Query::Elements(set.table.clone(), set.name.clone()))
        .collect();
    for query in queries {
        netlink.dump(&query, dump).map_err(|error| match error {
            // Another program has removed the set since it was listed.
            QueryError::Refused(refusal) if refusal.errno == Errno::ENOENT as i32 => {
                QueryError::Interrupted
            }
            other => other,
        })?;
    }
    Ok(())
}

#[cfg(all(test, feature = "root-tests"))]
mod tests {
    use mesh_cni_nftables::{Set, SetKind, Table};

    use super::*;
    use crate::NetNs;

    /// One of our sets, as it was listed before another program removed it.
    fn removed_set() -> Set {
        let table = Table {
            family: Family::V4,
            name: "mesh-cni-nat".to_owned(),
        };
        assert!(native::is_ours(&table));
        Set {
            table,
            name: "__set0".to_owned(),
            anonymous: true,
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
    fn a_set_that_disappears_during_the_snapshot_causes_a_retry() {
        let netns = NetNs::scratch().unwrap();
        let outcome = netns.run(|| {
            let mut netlink = Nfnetlink::open().unwrap();
            let mut dump = Dump::default();
            dump.sets.push(removed_set());
            dump_elements(&mut netlink, &mut dump)
        });
        let error = outcome.unwrap().unwrap_err();
        assert!(
            matches!(error, NfTablesError::Unsettled { .. }),
            "{error:?}"
        );
    }
}
