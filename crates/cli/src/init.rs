//! `init`: programs a namespace as istio-init does, by the same flags.

pub(crate) mod addresses;
pub(crate) mod container;
mod dns;
mod error;
pub(crate) mod flags;
mod go;
mod group_file;
mod groups;
mod resolv_conf;
mod settings;
mod validation;

use std::net::IpAddr;
use std::path::Path;
use std::{fs, io, thread};

use mesh_cni_netfilter::ruleset::{Family, PolicyRouting};
use mesh_cni_netfilter::{RuleSet, render, transaction};
use mesh_cni_netns::{ApplyError, BackendChoice, NetNs, OpenError, Xtables, apply, read, remove};
use mesh_cni_rules::interception::DnsCapture;
use mesh_cni_rules::{Dialect, Interception, OWNERSHIP, compile};

use crate::console::Console;
use crate::failure::{Exit, Failure};
use error::SettingError;
use flags::GivenFlags;
use settings::Settings;
use validation::Validation;

/// What the settings come to.
struct Wish {
    what: What,
    interception: Interception,
    dialect: Dialect,
    backend: BackendChoice,
    validation: Option<Validation>,
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

impl What {
    /// Whether rules are written, if only on stdout.
    fn writes(self) -> bool {
        match self {
            Self::Apply | Self::Print => true,
            Self::Check | Self::Remove | Self::PrintRemoval => false,
        }
    }
}

/// Reads the settings, then does what they say.
pub(crate) fn run(given: &GivenFlags, console: &mut Console<'_>) -> Result<Exit, Failure> {
    // What is no text is read as one that does not parse, and so refused.
    let lookup = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
    let mut settings = Settings::new(given, &lookup, &read_file);
    let wish = resolve(&mut settings)?;
    for warning in &settings.warnings {
        console.warn(warning);
    }
    if wish.what.writes() {
        check_families(&wish, &settings, console)?;
    }
    let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
    match wish.what {
        What::Check => console.note("--skip-rule-apply: the settings are right, nothing changed"),
        What::Print => print(&wish, console)?,
        What::Apply => apply_rules(&wish, &xtables, console)?,
        What::Remove => remove_rules(&wish, &xtables, console)?,
        What::PrintRemoval => print_removal(&wish, &xtables, console)?,
    }
    if let Some(validation) = &wish.validation {
        validate(validation, &wish, console)?;
    }
    Ok(Exit::Done)
}

fn read_file(path: &str) -> io::Result<String> {
    let bytes = fs::read(path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn resolve(settings: &mut Settings<'_>) -> Result<Wish, Failure> {
    let what = what(settings).map_err(wrong_setting)?;
    let interception = settings.interception().map_err(wrong_setting)?;
    let validation = validation(settings, what, &interception).map_err(wrong_setting)?;
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
        validation,
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

/// Nothing can be proven of rules that are not to stand.
fn validation(
    settings: &mut Settings<'_>,
    what: What,
    interception: &Interception,
) -> Result<Option<Validation>, SettingError> {
    let asked_for = Validation::asked_for(settings, interception)?;
    let idle = match what {
        What::Apply | What::Check => return Ok(asked_for),
        What::Print | What::PrintRemoval => &flags::DRY_RUN,
        What::Remove => &flags::CLEANUP_ONLY,
    };
    if asked_for.is_some() {
        let (probe, idle) = (
            settings.origin(&flags::RUN_VALIDATION),
            settings.origin(idle),
        );
        settings.warn(format!("{probe} proves nothing together with {idle}"));
    }
    Ok(None)
}

/// Where there is no usable address yet, nobody knows the families.
fn check_families(
    wish: &Wish,
    settings: &Settings<'_>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let addresses = addresses(wish)?;
    if addresses::any_is_usable(&addresses) {
        let families = wish.interception.families(&addresses);
        let told = settings.check_families(&families).map_err(wrong_setting)?;
        for warning in told {
            console.warn(warning);
        }
    }
    Ok(())
}

fn print(wish: &Wish, console: &mut Console<'_>) -> Result<(), Failure> {
    let addresses = addresses(wish)?;
    if !addresses::any_is_usable(&addresses) {
        console.warn(
            "the namespace has no address but loopback and link-local ones: \
             IPv4 rules alone, and without --dry-run an error",
        );
    }
    let rule_sets = rule_sets(wish, &addresses, console);
    let text: String = rule_sets.iter().map(render::restore).collect();
    note_routing("also needs", &rule_sets, console);
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
    let rule_sets = rule_sets(wish, &addresses, console);
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
    let text: String = found
        .rule_sets
        .iter()
        .map(|rules| transaction::remove(rules, &OWNERSHIP))
        .collect();
    note_routing("also removes", &found.rule_sets, console);
    Ok(console.result(&text)?)
}

fn validate(
    validation: &Validation,
    wish: &Wish,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let addresses = addresses(wish)?;
    for family in wish.interception.families(&addresses) {
        let probe = validation.probe(&wish.interception, family, &addresses);
        let probe = probe.map_err(validation::failure)?;
        let proof = inside(wish, || probe.send())?.map_err(validation::failure)?;
        console.line(format_args!(
            "{family} rules proven: {} came to {}",
            proof.original, proof.capture
        ))?;
    }
    Ok(())
}

fn rule_sets(wish: &Wish, addresses: &[IpAddr], console: &mut Console<'_>) -> Vec<RuleSet> {
    let families = wish.interception.families(addresses);
    if let DnsCapture::Servers(servers) = &wish.interception.dns {
        let unreached = |server: &&IpAddr| !families.contains(&Family::of_address(**server));
        for server in servers.iter().filter(unreached) {
            let family = Family::of_address(*server);
            console.warn(format_args!(
                "no {family} rules are written here: queries to {server} are not captured"
            ));
        }
    }
    let compile = |family| compile(&wish.interception, wish.dialect, family);
    families.into_iter().map(compile).collect()
}

/// Says what goes with the rules but is no input of iptables-restore.
fn note_routing(does: &str, rule_sets: &[RuleSet], console: &mut Console<'_>) {
    for rules in rule_sets {
        if let Some(PolicyRouting { mark, table }) = rules.routing {
            console.note(format_args!(
                "{} {does} policy routing: packets with mark {mark} to table {table}, \
                 there `local default dev lo`",
                rules.family
            ));
        }
    }
}

fn addresses(wish: &Wish) -> Result<Vec<IpAddr>, Failure> {
    let read = inside(wish, mesh_cni_netns::addresses)?;
    read.map_err(|error| Failure::environment(error).about("cannot read the addresses"))
}

/// Does the work on a thread that ends with it. The caller's own namespace needs no right to enter.
fn inside<T: Send>(wish: &Wish, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
    match &wish.namespace {
        Some(namespace) => namespace
            .run(work)
            .map_err(|error| Failure::environment(error).hint(NEEDS_ROOT)),
        None => thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_panic| Failure::environment("the work was broken off by a panic")),
    }
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
