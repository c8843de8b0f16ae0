//! The two ways in which rules are written to `nf_tables`.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::{RuleSet, drift};
use mesh_cni_nftables::{Change, compat, native};
use mesh_cni_rules::OWNERSHIP;

use crate::backend::Backend;

use super::{Look, NfTablesError};

/// How rules are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// In iptables' tables, as `iptables-nft` writes them.
    Compat,
    /// In tables of our own, in `nf_tables`' own words.
    Native,
    /// As those of ours are that stand; as `iptables-nft` where none do.
    Standing,
}

impl Flavour {
    /// The one in which to write, given what stands.
    pub(super) fn beside(self, look: &Look) -> Self {
        match self {
            Self::Standing if look.holds_native() && !look.holds_compat() => Self::Native,
            Self::Standing => Self::Compat,
            chosen => chosen,
        }
    }

    /// The back end that writes so.
    pub(super) fn backend(self) -> Backend {
        match self {
            Self::Compat | Self::Standing => Backend::Netlink,
            Self::Native => Backend::NftNative,
        }
    }

    /// The changes that lead from what stands to what is wanted, both families; none where nothing
    /// has to change. A family that is not wanted goes, and so does what stands in the other flavour.
    pub(super) fn changes(
        self,
        wanted: &[RuleSet],
        look: &Look,
    ) -> Result<Vec<Change>, NfTablesError> {
        let mut changes = Vec::new();
        for family in Family::ALL {
            let wanted = wanted.iter().find(|rules| rules.family == family);
            let nothing = RuleSet::new(family);
            let wanted = wanted.unwrap_or(&nothing);
            let (compatibly, natively) = match self {
                Self::Compat | Self::Standing => (wanted, &nothing),
                Self::Native => (&nothing, wanted),
            };
            changes.extend(to_compat(compatibly, look)?);
            if drift(natively, look.native(family), &OWNERSHIP).is_some() {
                changes.extend(native::replace(natively, look.dump())?);
            }
        }
        Ok(changes)
    }
}

/// Where none of ours stands the chains are made in a way that refuses where they exist.
fn to_compat(wanted: &RuleSet, look: &Look) -> Result<Vec<Change>, NfTablesError> {
    Ok(if look.holds_compat() {
        compat::replace(wanted, look.compat(wanted.family), &OWNERSHIP)?
    } else {
        compat::create(wanted)?
    })
}
