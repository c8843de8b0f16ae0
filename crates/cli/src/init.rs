//! `init`: applies rules to a namespace as the init container of a mesh does, with the same flags.

mod account_file;
pub(crate) mod container;
mod dns;
mod error;
pub(crate) mod flags;
mod go;
mod groups;
mod interception;
mod linkerd;
pub(crate) mod report;
mod resolv_conf;
mod settings;
mod validation;

use std::net::IpAddr;
use std::path::Path;
use std::{fs, io};

use mesh_cni_netfilter::ruleset::{Family, PolicyRouting};
use mesh_cni_netfilter::{RuleSet, render, transaction};
use mesh_cni_netns::{ApplyError, BackendChoice, NetNs, OpenError, Xtables, apply, read, remove};
use mesh_cni_rules::istio::interception::DnsCapture;
use mesh_cni_rules::{Interception, is_usable, ownership};

use crate::arguments::{InitArguments, InitMesh, Output};
use crate::console::{Console, json};
use crate::failure::{Exit, Failure};
use error::SettingError;
use flags::Flag;
use report::{Action, Report, ShownChange, Validated};
use settings::Settings;
use validation::Validation;

/// What the settings ask for.
struct Request {
    action: Action,
    interception: Interception,
    backend: BackendChoice,
    validation: Option<Validation>,
    /// How long conntrack keeps connections that only the peer has closed, in seconds.
    close_wait_timeout: Option<u32>,
    /// The caller's own if none is named.
    namespace: Option<NetNs>,
}

/// Reads the settings, and does what they ask for.
pub(crate) fn run(arguments: &InitArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    // A value that is not UTF-8 becomes one that does not parse, and is refused.
    let lookup = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
    let mut settings = Settings::new(&arguments.flags, &lookup, &read_file);
    let (read, namespace): (fn(&mut _) -> _, &Flag) = match arguments.options.mesh {
        InitMesh::Istio => (read_request, &flags::NETWORK_NAMESPACE),
        InitMesh::Linkerd => (linkerd::request, &flags::linkerd::NETNS),
    };
    let mut request = read(&mut settings).map_err(Failure::wrong)?;
    request.namespace = open_namespace(&settings.text(namespace))?;
    for warning in &settings.warnings {
        console.warn(warning);
    }
    let mut report = Report::new(request.action);
    let done = request.execute(&settings, &mut report, console);
    let text = match arguments.options.output {
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
        interception: Interception::Istio(interception, dialect),
        backend,
        validation,
        close_wait_timeout: None,
        namespace: None,
    })
}

fn open_namespace(path: &str) -> Result<Option<NetNs>, Failure> {
    match path {
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
    interception: &mesh_cni_rules::istio::Interception,
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

/// Without a usable address Istio's families are not known yet, and nothing is checked.
fn check_families(
    request: &Request,
    addresses: &[IpAddr],
    settings: &Settings<'_>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let istio = matches!(request.interception, Interception::Istio(..));
    if istio && !request.lacks_address(addresses) {
        let families = request.interception.families(addresses);
        let warnings = interception::check_families(settings, &families).map_err(Failure::wrong)?;
        for warning in warnings {
            console.warn(warning);
        }
    }
    Ok(())
}

fn print(request: &Request, addresses: &[IpAddr], console: &mut Console<'_>) -> String {
    if request.lacks_address(addresses) {
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
    if request.lacks_address(addresses) {
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
        request.interception.mesh(),
        &rule_sets,
    )
    .map_err(unapplied)?;
    let families: Vec<_> = rule_sets.iter().map(|set| set.family).collect();
    Ok(ShownChange::new(applied, &families))
}

fn remove_rules(request: &Request, xtables: &Xtables) -> Result<ShownChange, Failure> {
    let mesh = request.interception.mesh();
    let removed = remove(&request.target()?, xtables, request.backend, mesh).map_err(unapplied)?;
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
    let ownership = ownership(request.interception.mesh());
    let removals = found.rule_sets.iter();
    Ok(removals
        .map(|rules| transaction::remove(rules, ownership))
        .collect())
}

fn validate(
    validation: &Validation,
    request: &Request,
    addresses: &[IpAddr],
    report: &mut Report,
) -> Result<(), Failure> {
    let Interception::Istio(interception, _) = &request.interception else {
        return Ok(());
    };
    for family in interception.families(addresses) {
        let probe = validation
            .probe(interception, family, addresses)
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
    if let Interception::Istio(interception, _) = &request.interception
        && let DnsCapture::Servers(servers) = &interception.dns
    {
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
        .map(|family| request.interception.compile(family))
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
        if let Some(seconds) = self.close_wait_timeout {
            self.set_close_wait_timeout(seconds, console)?;
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

    /// Whether the families depend on addresses and none is usable.
    fn lacks_address(&self, addresses: &[IpAddr]) -> bool {
        let depends = !matches!(self.interception, Interception::Linkerd(_));
        depends && !addresses.iter().copied().any(is_usable)
    }

    fn set_close_wait_timeout(
        &self,
        seconds: u32,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        match self.action {
            Action::Apply => {
                let write = || fs::write(CLOSE_WAIT_TIMEOUT, seconds.to_string());
                self.run(write)?.map_err(|error| {
                    Failure::environment(error)
                        .about(format!("cannot write `{seconds}` to {CLOSE_WAIT_TIMEOUT}"))
                        .hint(
                            "the file exists when the kernel module nf_conntrack is loaded, and an \
                             unprivileged container cannot write it; or leave out the flag \
                             --timeout-close-wait-secs",
                        )
                })
            }
            Action::Print => {
                console.note(format_args!(
                    "also needs `{seconds}` in {CLOSE_WAIT_TIMEOUT}"
                ));
                Ok(())
            }
            Action::Check | Action::Remove | Action::PrintRemoval => Ok(()),
        }
    }

    fn addresses(&self) -> Result<Vec<IpAddr>, Failure> {
        self.run(mesh_cni_netns::addresses)?
            .map_err(|error| Failure::environment(error).about("cannot read the addresses"))
    }

    /// Runs the work in the namespace, on a thread that ends with it. The caller's own namespace
    /// needs no privilege to enter.
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Failure> {
        self.target()?
            .run(work)
            .map_err(|error| Failure::environment(error).hint(NEEDS_ROOT))
    }

    fn target(&self) -> Result<NetNs, Failure> {
        let own = Path::new("/proc/thread-self/ns/net");
        let path = self.namespace.as_ref().map_or(own, NetNs::path);
        NetNs::open(path).map_err(unopened)
    }
}

/// Linux shows the settings of the network namespace of the thread that opens the file.
const CLOSE_WAIT_TIMEOUT: &str = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait";

const NEEDS_ROOT: &str = "run it as root, or with CAP_SYS_ADMIN and CAP_NET_ADMIN";

fn unopened(error: OpenError) -> Failure {
    match error {
        OpenError::Missing { .. } | OpenError::Foreign { .. } => Failure::wrong(error).hint(
            "give the path of a network namespace, such as /proc/PID/ns/net or /run/netns/NAME",
        ),
        _ => Failure::environment(error).hint(NEEDS_ROOT),
    }
}

fn unapplied(error: ApplyError) -> Failure {
    Failure::environment(error).hint(
        "run it as root; iptables-restore of iptables-nft or iptables-legacy must be installed",
    )
}
