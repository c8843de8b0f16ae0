//! The two encodings of rules in `nf_tables`.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{RuleSet, drift};
use mesh_cni_nftables::{Change, compat, native};

use super::error::NfTablesError;
use super::snapshot::Snapshot;
use crate::backend::Backend;

/// How rules are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// In the tables of iptables, as `iptables-nft` does.
    Compat,
    /// In tables of our own, with native expressions.
    Native,
    /// As the existing rules of ours; without any, as `iptables-nft` does.
    AsExisting,
}

impl Encoding {
    /// Replaces [`AsExisting`](Self::AsExisting) by one of the other two.
    pub(super) fn resolve(self, snapshot: &Snapshot) -> Self {
        match self {
            Self::AsExisting if snapshot.has_native_rules() && !snapshot.has_compat_rules() => {
                Self::Native
            }
            Self::AsExisting => Self::Compat,
            chosen => chosen,
        }
    }

    /// The back end with this encoding.
    pub(super) fn backend(self) -> Backend {
        match self {
            Self::Compat | Self::AsExisting => Backend::Netlink,
            Self::Native => Backend::NftNative,
        }
    }

    /// The changes from the snapshot to the wanted rules, for both families. They remove a family
    /// that is not wanted and the rules of ours in the other encoding.
    pub(super) fn changes(
        self,
        wanted: &[RuleSet],
        snapshot: &Snapshot,
    ) -> Result<Vec<Change>, NfTablesError> {
        let mut changes = Vec::new();
        for family in Family::ALL {
            let none = RuleSet::new(family);
            let wanted = wanted.iter().find(|rules| rules.family == family);
            let wanted = wanted.unwrap_or(&none);
            let (in_compat, in_native) = match self {
                Self::Compat | Self::AsExisting => (wanted, &none),
                Self::Native => (&none, wanted),
            };
            changes.extend(compat_changes(in_compat, snapshot)?);
            if drift(in_native, snapshot.native(family), snapshot.ownership()).is_some() {
                changes.extend(native::replace(in_native, snapshot.dump())?);
            }
        }
        Ok(changes)
    }
}

/// Without rules of ours, the changes fail if a chain exists meanwhile.
fn compat_changes(wanted: &RuleSet, snapshot: &Snapshot) -> Result<Vec<Change>, NfTablesError> {
    Ok(if snapshot.has_compat_rules() {
        compat::replace(wanted, snapshot.compat(wanted.family), snapshot.ownership())?
    } else {
        compat::create(wanted)?
    })
}
