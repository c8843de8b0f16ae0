//! What this version does not do, refused before anything else and never passed over.

use super::flags::{self, Flag};
use super::settings::Settings;
use crate::failure::Failure;

/// Switches that would have to do something, and what to do instead.
static REFUSED: [(&Flag, &str); 4] = [
    (
        &flags::REDIRECT_DNS,
        "leave it out: DNS queries then go out as the application sends them",
    ),
    (
        &flags::CAPTURE_ALL_DNS,
        "leave it out: DNS queries then go out as the application sends them",
    ),
    (
        &flags::RUN_VALIDATION,
        "leave it out, and look at the rules with `iptables -t nat -L -n -v`",
    ),
    (
        &flags::NATIVE_NFTABLES,
        "leave it out: iptables-nft writes to nf_tables too",
    ),
];

/// Refuses what is on and not done here.
pub(super) fn check(settings: &mut Settings<'_>) -> Result<(), Failure> {
    for (flag, instead) in REFUSED {
        if settings.switch(flag).map_err(Failure::wrong)? {
            let message = format!(
                "{} is not carried out by this version",
                settings.origin(flag)
            );
            return Err(Failure::wrong(message).hint(instead));
        }
    }
    if settings.text(&flags::INTERCEPTION_MODE) == "TPROXY" {
        let origin = settings.origin(&flags::INTERCEPTION_MODE);
        let message = format!("{origin} = `TPROXY` is not carried out by this version");
        return Err(Failure::wrong(message)
            .hint("use REDIRECT, which needs no routing; the proxy then sees no source address"));
    }
    Ok(())
}
