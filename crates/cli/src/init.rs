//! `init`: programs a namespace as istio-init does, by the same flags.

mod addresses;
mod error;
pub(crate) mod flags;
mod go;
mod groups;
mod refusals;
mod settings;

use std::net::IpAddr;
use std::path::Path;

use mesh_cni_netns::{ApplyError, BackendChoice, NetNs, OpenError, Xtables, apply, read, remove};
use mesh_cni_rules::ruleset::Family;
use mesh_cni_rules::{Dialect, Interception, RuleSet, compile, render, transaction};

use crate::console::Console;
use crate::failure::{Exit, Failure};
use error::SettingError;
use flags::GivenFlags;
use settings::Settings;

/// What the settings come to.
struct Wish {
    what: What,
    interception: Interception,
    dialect: Dialect,
    backend: BackendChoice,
    /// The caller's own where there is none.
    namespace: Option<NetNs>,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Apply,
    Print,
    Check,
    Remove,
    PrintRemoval,
}

/// Reads the settings, then does what they say.
pub(crate) fn run(given: &GivenFlags, console: &mut Console<'_>) -> Result<Exit, Failure> {
    // What is no text is read as one that does not parse, and so refused.
    let lookup = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
    let mut settings = Settings::new(given, &lookup);
    let wish = resolve(&mut settings)?;
    for warning in &settings.warnings {
        console.warn(warning);
    }
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    match wish.what {
        What::Check => console.note("--skip-rule-apply: the settings are right, nothing changed"),
        What::Print => print(&wish, console)?,
        What::Apply => apply_rules(&wish, &xtables, console)?,
        What::Remove => remove_rules(&wish, &xtables, console)?,
        What::PrintRemoval => print_removal(&wish, &xtables, console)?,
    }
    Ok(Exit::Done)
}

fn resolve(settings: &mut Settings<'_>) -> Result<Wish, Failure> {
    refusals::check(settings)?;
    let what = what(settings).map_err(wrong_setting)?;
    let interception = settings.interception().map_err(wrong_setting)?;
    let dialect = settings.dialect().map_err(wrong_setting)?;
    let backend = settings.backend().map_err(wrong_setting)?;
    settings.check_accepted().map_err(wrong_setting)?;
    let path = settings.text(&flags::NETWORK_NAMESPACE);
    let namespace = match path.as_str() {
        "" => None,
        path => Some(NetNs::open(Path::new(path)).map_err(unopened)?),
    };
    Ok(Wish {
        what,
        interception,
        dialect,
        backend,
        namespace,
    })
}

fn what(settings: &mut Settings<'_>) -> Result<What, SettingError> {
    let print = settings.switch(&flags::DRY_RUN)?;
    let remove = settings.switch(&flags::CLEANUP_ONLY)?;
    let check = settings.switch(&flags::SKIP_RULE_APPLY)?;
    Ok(match (print, remove, check) {
        (true, true, _) => What::PrintRemoval,
        (true, false, _) => What::Print,
        (false, _, true) => What::Check,
        (false, true, false) => What::Remove,
        (false, false, false) => What::Apply,
    })
}

fn print(wish: &Wish, console: &mut Console<'_>) -> Result<(), Failure> {
    let addresses = addresses(wish)?;
    if !addresses::any_is_usable(&addresses) {
        console.warn(
            "the namespace has no address but loopback and link-local ones: \
             IPv4 rules alone, and without --dry-run an error",
        );
    }
    let rule_sets = rule_sets(wish, &addresses);
    let text: String = rule_sets.iter().map(render::restore).collect();
    Ok(console.result(&text)?)
}

fn apply_rules(wish: &Wish, xtables: &Xtables, console: &mut Console<'_>) -> Result<(), Failure> {
    let addresses = addresses(wish)?;
    if !addresses::any_is_usable(&addresses) {
        let error = "the namespace has no address but loopback and link-local ones";
        return Err(Failure::environment(error).hint(
            "run it once the interface has its address: after the main CNI plugin, or in the pod",
        ));
    }
    let rule_sets = rule_sets(wish, &addresses);
    let namespace = target(wish)?;
    let applied = apply(&namespace, xtables, wish.backend, &rule_sets).map_err(unapplied)?;
    let families: Vec<_> = rule_sets.iter().map(|set| set.family.to_string()).collect();
    let families = families.join(" and ");
    console.line(format_args!(
        "{families} rules {} by {}",
        applied.change, applied.backend
    ))?;
    Ok(())
}

fn remove_rules(wish: &Wish, xtables: &Xtables, console: &mut Console<'_>) -> Result<(), Failure> {
    let removed = remove(&target(wish)?, xtables, wish.backend).map_err(unapplied)?;
    if removed.change == mesh_cni_netns::Change::Removed {
        console.line(format_args!("rules removed by {}", removed.backend))?;
    }
    Ok(())
}

fn print_removal(wish: &Wish, xtables: &Xtables, console: &mut Console<'_>) -> Result<(), Failure> {
    let found = read(&target(wish)?, xtables, wish.backend, &Family::ALL)
        .map_err(|error| Failure::environment(error).hint(NEEDS_ROOT))?;
    let text: String = found.rule_sets.iter().map(transaction::remove).collect();
    Ok(console.result(&text)?)
}

fn rule_sets(wish: &Wish, addresses: &[IpAddr]) -> Vec<RuleSet> {
    let families = wish.interception.families(addresses).into_iter();
    let compiled = families.map(|family| compile(&wish.interception, wish.dialect, family));
    compiled.collect()
}

/// A dry run in the caller's own namespace needs no right to enter one.
fn addresses(wish: &Wish) -> Result<Vec<IpAddr>, Failure> {
    let read = match &wish.namespace {
        None => addresses::here(),
        Some(namespace) => namespace
            .run(addresses::here)
            .map_err(|error| Failure::environment(error).hint(NEEDS_ROOT))?,
    };
    read.map_err(|error| Failure::environment(error).about("cannot read the addresses"))
}

fn target(wish: &Wish) -> Result<NetNs, Failure> {
    let own = Path::new("/proc/thread-self/ns/net");
    let path = wish.namespace.as_ref().map_or(own, NetNs::path);
    NetNs::open(path).map_err(unopened)
}

const NEEDS_ROOT: &str = "it needs root: CAP_SYS_ADMIN and CAP_NET_ADMIN";

fn wrong_setting(error: SettingError) -> Failure {
    Failure::wrong(error)
}

fn unopened(error: OpenError) -> Failure {
    match error {
        OpenError::Missing { .. } | OpenError::Foreign { .. } => Failure::wrong(error)
            .hint("--network-namespace takes a path such as /proc/PID/ns/net or /run/netns/NAME"),
        _ => Failure::environment(error).hint(NEEDS_ROOT),
    }
}

fn unapplied(error: ApplyError) -> Failure {
    Failure::environment(error)
        .hint("it needs root, and iptables-restore of iptables-nft or iptables-legacy")
}
