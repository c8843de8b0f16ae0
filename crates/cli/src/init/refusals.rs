//! What this version does not do, refused before anything else and never passed over.

use super::flags;
use super::settings::Settings;
use crate::failure::Failure;

/// Refuses what is on and not done here.
pub(super) fn check(settings: &mut Settings<'_>) -> Result<(), Failure> {
    let flag = &flags::NATIVE_NFTABLES;
    if settings.switch(flag).map_err(Failure::wrong)? {
        let origin = settings.origin(flag);
        let message = format!("{origin} is not carried out by this version");
        let instead = "leave it out: iptables-nft writes to nf_tables too";
        return Err(Failure::wrong(message).hint(instead));
    }
    Ok(())
}
