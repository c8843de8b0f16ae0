//! Keeping a program from asking the network who user 1337 is.
//!
//! iptables looks every `--uid-owner` up as a name before it takes it as a number. Where
//! `/etc/nsswitch.conf` sends that to a directory server, each look-up would go out through the
//! half-made namespace and wait for an answer that cannot come.

use std::fs;
use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

const CONFIGURATION: &str = "/etc/nsswitch.conf";

/// Services that answer from this machine alone.
const LOCAL: [&str; 4] = ["files", "compat", "systemd", "altfiles"];

/// Hides the configuration from programs that this thread starts, where it names a service that
/// could use the network. Without a configuration, glibc looks into files alone.
///
/// Gives back whether it was hidden. Only for a thread that ends in its namespace: it gets a mount
/// namespace of its own.
pub(crate) fn keep_local() -> io::Result<bool> {
    let Ok(text) = fs::read_to_string(CONFIGURATION) else {
        return Ok(false);
    };
    if is_local(&text) {
        return Ok(false);
    }
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
    mount(
        Some("/dev/null"),
        CONFIGURATION,
        none,
        MsFlags::MS_BIND,
        none,
    )?;
    Ok(true)
}

/// Whether users and groups are looked up on this machine alone.
fn is_local(configuration: &str) -> bool {
    let lines = configuration.lines().filter_map(|line| {
        let (database, services) = line.split('#').next()?.split_once(':')?;
        matches!(database.trim(), "passwd" | "group" | "initgroups").then_some(services)
    });
    lines.flat_map(str::split_whitespace).all(|word| {
        let action = word.starts_with('[') || word.ends_with(']') || word.contains('=');
        action || LOCAL.contains(&word)
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
