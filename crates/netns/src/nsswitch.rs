//! Keeps iptables from looking up users over the network.
//!
//! iptables looks up each `--uid-owner` as a name before it reads it as a number. If
//! `/etc/nsswitch.conf` names a directory server, each lookup would go out through the unfinished
//! namespace and wait for an answer that cannot come.

use std::fs;
use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

const CONFIGURATION: &str = "/etc/nsswitch.conf";

/// Services that need no network.
const LOCAL: [&str; 4] = ["files", "compat", "systemd", "altfiles"];

/// Hides the configuration from the programs that this thread starts, if it names a service that
/// could use the network. Without a configuration, glibc reads only files.
///
/// Returns whether it was hidden. Only for a thread that works in one namespace and ends: it gets a
/// mount namespace of its own.
pub(crate) fn hide_remote_services() -> io::Result<bool> {
    let Ok(text) = fs::read_to_string(CONFIGURATION) else {
        return Ok(false);
    };
    if is_local(&text) {
        return Ok(false);
    }
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
    let empty = Some("/dev/null");
    mount(empty, CONFIGURATION, none, MsFlags::MS_BIND, none)?;
    Ok(true)
}

/// Whether users and groups are looked up without the network.
fn is_local(configuration: &str) -> bool {
    let services = configuration.lines().filter_map(|line| {
        let (database, services) = line.split('#').next()?.split_once(':')?;
        matches!(database.trim(), "passwd" | "group" | "initgroups").then_some(services)
    });
    services.flat_map(str::split_whitespace).all(|word| {
        let is_action = word.starts_with('[') || word.ends_with(']') || word.contains('=');
        is_action || LOCAL.contains(&word)
    })
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn directory_servers_are_recognised() {
        assert!(is_local(
            "passwd: files systemd\ngroup: files [SUCCESS=merge] systemd\nhosts: dns\n"
        ));
        assert!(is_local("# passwd: ldap\n"));
        assert!(!is_local("passwd: files sss\n"));
        assert!(!is_local("passwd: files\ngroup:\tfiles ldap # directory\n"));
    }
}
