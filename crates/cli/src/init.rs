//! `init`: applies rules to a namespace as istio-init does, with the same flags.

mod account_file;
pub(crate) mod container;
mod dns;
mod error;
pub(crate) mod flags;
mod go;
mod groups;
mod interception;
pub(crate) mod report;
mod resolv_conf;
mod settings;
mod validation;

use std::net::IpAddr;
use std::path::Path;
use std::{fs, io, thread};

use mesh_cni_netfilter::ruleset::{Family, PolicyRouting};
use mesh_cni_netfilter::{RuleSet, render, transaction};
use mesh_cni_netns::{ApplyError, BackendChoice, NetNs, OpenError, Xtables, apply, read, remove};
use mesh_cni_rules::Mesh;
use mesh_cni_rules::is_usable;
use mesh_cni_rules::istio::interception::DnsCapture;
use mesh_cni_rules::istio::{Dialect, Interception, OWNERSHIP, compile};

use crate::arguments::{InitArguments, Output};
use crate::console::{Console, json};
use crate::failure::{Exit, Failure};
use error::SettingError;
use report::{Action, Report, ShownChange, Validated};
use settings::Settings;
use validation::Validation;

/// What the settings ask for.
struct Request {
    action: Action,
    interception: Interception,
    dialect: Dialect,
    backend: BackendChoice,
    validation: Option<Validation>,
    /// The caller's own if none is named.
    namespace: Option<NetNs>,
}

/// Reads the settings, and does what they ask for.
pub(crate) fn run(arguments: &InitArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    // A value that is not UTF-8 becomes one that does not parse, and is refused.
    let lookup = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
    let mut settings = Settings::new(&arguments.flags, &lookup, &read_file);
    let mut request = read_request(&mut settings).map_err(Failure::wrong)?;
    request.namespace = open_namespace(&settings)?;
    for warning in &settings.warnings {
        console.warn(warning);
    }
    let mut report = Report::new(request.action);
    let done = request.execute(&settings, &mut report, console);
    let text = match arguments.output {
        Output::Text => report.text(),
        Output::Json => json(&report),
    };
    // What was done before a failure is a result, too.
    if done.is_ok() || report.has_result() {
        console.result(&text)?;
    }
    done?;
    Ok(Exit::Done)
}

fn read_file(path: &str) -> io::Result<String> {
    let bytes = fs::read(path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_request(settings: &mut Settings<'_>) -> Result<Request, SettingError> {
    let action = action(settings)?;
    let interception = interception::read(settings)?;
    let validation = validation(settings, action, &interception)?;
    let dialect = interception::dialect(settings)?;
    let backend = interception::backend(settings)?;
    // These flags change nothing here, but their values must be valid.
    for flag in [&flags::RECONCILE, &flags::FORCE_APPLY, &flags::CNI_MODE] {
        settings.switch(flag)?;
    }
    Ok(Request {
        action,
        interception,
        dialect,
        backend,
        validation,
        namespace: None,
    })
}

fn open_namespace(settings: &Settings<'_>) -> Result<Option<NetNs>, Failure> {
    match settings.text(&flags::NETWORK_NAMESPACE).as_str() {
        "" => Ok(None),
        path => NetNs::open(Path::new(path)).map(Some).map_err(unopened),
    }
}

fn action(settings: &mut Settings<'_>) -> Result<Action, SettingError> {
    let print = settings.switch(&flags::DRY_RUN)?;
    let remove = settings.switch(&flags::CLEANUP_ONLY)?;
    let check = settings.switch(&flags::SKIP_RULE_APPLY)?;
    Ok(match (print, remove, check) {
        (true, true, _) => Action::PrintRemoval,
        (true, false, _) => Action::Print,
        (false, _, true) => Action::Check,
        (false, true, false) => Action::Remove,
        (false, false, false) => Action::Apply,
    })
}

/// The validation, unless the action leaves no rules to validate.
fn validation(
    settings: &mut Settings<'_>,
    action: Action,
    interception: &Interception,
) -> Result<Option<Validation>, SettingError> {
    let requested = Validation::requested(settings, interception)?;
    let conflict = match action {
        Action::Apply | Action::Check => return Ok(requested),
        Action::Print | Action::PrintRemoval => &flags::DRY_RUN,
        Action::Remove => &flags::CLEANUP_ONLY,
    };
    if requested.is_some() {
        let probe = settings.origin(&flags::RUN_VALIDATION);
        let conflict = settings.origin(conflict);
        settings.warn(format!("{probe} has no effect with {conflict}"));
    }
    Ok(None)
}

/// Without a usable address the families are not known yet, and nothing is checked.
fn check_families(
    request: &Request,
    addresses: &[IpAddr],
    settings: &Settings<'_>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    if addresses.iter().copied().any(is_usable) {
        let families = request.interception.families(addresses);
        let warnings = interception::check_families(settings, &families).map_err(Failure::wrong)?;
        for warning in warnings {
            console.warn(warning);
        }
    }
    Ok(())
}

fn print(request: &Request, addresses: &[IpAddr], console: &mut Console<'_>) -> String {
    if !addresses.iter().copied().any(is_usable) {
        console.warn(
            "the namespace has only loopback and link-local addresses: printing IPv4 rules only; \
             without --dry-run this is an error",
        );
    }
    let rule_sets = rule_sets(request, addresses, console);
    note_routing("also needs", &rule_sets, console);
    rule_sets.iter().map(render::restore).collect()
}

fn apply_rules(
    request: &Request,
    addresses: &[IpAddr],
    xtables: &Xtables,
    console: &mut Console<'_>,
) -> Result<ShownChange, Failure> {
    if !addresses.iter().copied().any(is_usable) {
        let error = "the namespace has only loopback and link-local addresses";
        return Err(Failure::environment(error).hint(
            "run it when the interface has its address: after the main CNI plugin, or in the pod",
        ));
    }
    let rule_sets = rule_sets(request, addresses, console);
    let namespace = request.target()?;
    let applied = apply(
        &namespace,
        xtables,
        request.backend,
        Mesh::Istio,
        &rule_sets,
    )
    .map_err(unapplied)?;
    let families: Vec<_> = rule_sets.iter().map(|set| set.family).collect();
    Ok(ShownChange::new(applied, &families))
}

fn remove_rules(request: &Request, xtables: &Xtables) -> Result<ShownChange, Failure> {
    let removed =
        remove(&request.target()?, xtables, request.backend, Mesh::Istio).map_err(unapplied)?;
    Ok(ShownChange::new(removed, &[]))
}

fn print_removal(
    request: &Request,
    xtables: &Xtables,
    console: &mut Console<'_>,
) -> Result<String, Failure> {
    let found = read(&request.target()?, xtables, request.backend, &Family::ALL)
        .map_err(|error| Failure::environment(error).hint(NEEDS_ROOT))?;
    note_routing("also removes", &found.rule_sets, console);
    let removals = found.rule_sets.iter();
    Ok(removals
        .map(|rules| transaction::remove(rules, &OWNERSHIP))
        .collect())
}

fn validate(
    validation: &Validation,
    request: &Request,
    addresses: &[IpAddr],
    report: &mut Report,
) -> Result<(), Failure> {
    for family in request.interception.families(addresses) {
        let probe = validation
            .probe(&request.interception, family, addresses)
            .map_err(validation::failure)?;
        let redirected = request.run(|| probe.send())?.map_err(validation::failure)?;
        report.validated.push(Validated {
            family: family.to_string(),
            original: redirected.original,
            port: redirected.capture,
        });
    }
    Ok(())
}

fn rule_sets(request: &Request, addresses: &[IpAddr], console: &mut Console<'_>) -> Vec<RuleSet> {
    let families = request.interception.families(addresses);
    if let DnsCapture::Servers(servers) = &request.interception.dns {
        for server in servers {
            let family = Family::of_address(*server);
            if !families.contains(&family) {
                console.warn(format_args!(
                    "queries to {server} are not captured: no {family} rules are written"
                ));
            }
        }
    }
    families
        .into_iter()
        .map(|family| compile(&request.interception, request.dialect, family))
        .collect()
}

/// Notes the policy routing, which is not part of the input of iptables-restore.
fn note_routing(effect: &str, rule_sets: &[RuleSet], console: &mut Console<'_>) {
    for rules in rule_sets {
        if let Some(PolicyRouting { mark, table, .. }) = rules.routing {
            console.note(format_args!(
                "{} {effect} policy routing: packets with mark {mark} use table {table}, \
                 which has `local default dev lo`",
                rules.family,
                mark = mark.value,
            ));
        }
    }
}

impl Request {
    fn execute(
        &self,
        settings: &Settings<'_>,
        report: &mut Report,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let addresses = if self.action.compiles() || self.validation.is_some() {
            self.addresses()?
        } else {
            Vec::new()
        };
        if self.action.compiles() {
            check_families(self, &addresses, settings, console)?;
        }
        let xtables = Xtables::search(std::env::var_os("PATH").as_deref());
        match self.action {
            Action::Check => {
                console.note("--skip-rule-apply: the settings are valid, nothing changed");
            }
            Action::Print => report.rules = Some(print(self, &addresses, console)),
            Action::Apply => {
                report.changed = Some(apply_rules(self, &addresses, &xtables, console)?);
            }
            Action::Remove => report.changed = Some(remove_rules(self, &xtables)?),
            Action::PrintRemoval => report.rules = Some(print_removal(self, &xtables, console)?),
        }
        if let Some(validation) = &self.validation {
            validate(validation, self, &addresses, report)?;
        }
        Ok(())
    }

    fn addresses(&self) -> Result<Vec<IpAddr>, Failure> {
        self.run(mesh_cni_netns::addresses)?
            .map_err(|error| Failure::environment(error).about("cannot read the addresses"))
    }

    /// Runs the work in the namespace, on a thread that ends with it. The caller's own namespace
    /// needs no privilege to enter.
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
        match &self.namespace {
            Some(namespace) => namespace
                .run(work)
                .map_err(|error| Failure::environment(error).hint(NEEDS_ROOT)),
            None => thread::scope(|scope| scope.spawn(work).join())
                .map_err(|_panic| Failure::environment("panicked in the network namespace")),
        }
    }

    fn target(&self) -> Result<NetNs, Failure> {
        let own = Path::new("/proc/thread-self/ns/net");
        let path = self.namespace.as_ref().map_or(own, NetNs::path);
        NetNs::open(path).map_err(unopened)
    }
}

const NEEDS_ROOT: &str = "run it as root, or with CAP_SYS_ADMIN and CAP_NET_ADMIN";

fn unopened(error: OpenError) -> Failure {
    match error {
        OpenError::Missing { .. } | OpenError::Foreign { .. } => Failure::wrong(error)
            .hint("give --network-namespace a path such as /proc/PID/ns/net or /run/netns/NAME"),
        _ => Failure::environment(error).hint(NEEDS_ROOT),
    }
}

fn unapplied(error: ApplyError) -> Failure {
    Failure::environment(error).hint(
        "run it as root; iptables-restore of iptables-nft or iptables-legacy must be installed",
    )
}
