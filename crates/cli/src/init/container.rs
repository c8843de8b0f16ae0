//! The rules that a pod's own init container applies: that of Istio and Linkerd by its arguments and
//! environment, that of Kuma by the pod's annotations, from which it gets the same settings.

use std::io;
use std::net::IpAddr;

use clap::{Args, Command, FromArgMatches};
use mesh_cni_netns::{Backend, BackendChoice};
use mesh_cni_rules::istio::Dialect;
use mesh_cni_rules::kuma::{PodSettings, UnreadableConfig, config};
use mesh_cni_rules::{Interception, InvalidSetting, Mesh};
use mesh_cni_selector::{ContainerFacts, PodFacts};
use thiserror::Error;

use super::error::SettingError;
use super::flags::{self, GivenFlags};
use super::settings::Settings;
use super::{interception, linkerd, resolv_conf};

/// The first argument of Istio's own image. Other images apply the documented rules by default.
const ISTIO: &str = "istio-iptables";
/// What the variables begin with that override the annotations of Kuma.
const KUMA_VARIABLES: &str = "KUMA_TRANSPARENT_PROXY_";
/// The most variables that are named in warnings.
const MAX_NAMED: usize = 8;

/// The rules of a pod's own init container.
#[derive(Debug)]
pub(crate) struct OwnInit {
    /// What it can apply. The arguments of Istio's own image do not say which image runs them, and
    /// other images apply the documented rules.
    pub(crate) interceptions: Vec<Interception>,
    pub(crate) warnings: Vec<String>,
}

/// A container whose rules cannot be determined.
#[derive(Debug, Error)]
#[error("its {name} container")]
pub(crate) struct UnreadableInit {
    /// The name of the container.
    pub(crate) name: &'static str,
    source: Box<Unreadable>,
}

/// Arguments, environment or annotations that cannot be interpreted.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    #[error("its arguments are not valid arguments of {command}: {message}")]
    Arguments {
        command: &'static str,
        message: String,
    },
    #[error("it writes native nftables rules in Istio's own tables, which are not compared")]
    NativeNftables,
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Annotation(#[from] InvalidSetting),
    #[error(transparent)]
    UnreadableConfig(#[from] UnreadableConfig),
}

/// What the network namespace shows of the files that the container reads.
#[derive(Debug, Default)]
pub(crate) struct Visible {
    /// The servers whose queries the live rules capture. Without DNS capture for all servers, they
    /// are those in the container's `/etc/resolv.conf`.
    pub(crate) dns_servers: Vec<IpAddr>,
    /// Whether the namespace has any rules in a format that can be read.
    pub(crate) has_rules: bool,
}

/// The rules of the pod's own init container, if it has one.
pub(crate) fn own_init(
    facts: &PodFacts,
    visible: &Visible,
) -> Result<Option<OwnInit>, UnreadableInit> {
    let found = Mesh::ALL.into_iter().find_map(|mesh| {
        let regular: &[_] = match mesh {
            Mesh::Istio => &facts.containers,
            Mesh::Linkerd | Mesh::Kuma | Mesh::Ambient => &[],
        };
        let name = mesh.marks()?.init;
        let mut all = facts.init_containers.iter().chain(regular);
        let container = all.find(|each| each.name == name)?;
        Some((mesh, name, container))
    });
    let Some((mesh, name, container)) = found else {
        return Ok(None);
    };
    let read = match mesh {
        Mesh::Istio => istio_init(container, visible),
        Mesh::Linkerd => linkerd_init(container),
        Mesh::Kuma => kuma_init(container, facts, visible),
        Mesh::Ambient => return Ok(None),
    };
    let mut own = read.map_err(|source| UnreadableInit {
        name,
        source: Box::new(source),
    })?;
    for warning in &mut own.warnings {
        *warning = format!("its {name} container: {warning}");
    }
    Ok(Some(own))
}

fn istio_init(container: &ContainerFacts, visible: &Visible) -> Result<OwnInit, Unreadable> {
    let first = container.args.first().map(String::as_str);
    let command = GivenFlags::augment_args(Command::new(ISTIO));
    let given = parse(command, ISTIO, container)?;
    let lookup = |name: &str| container.env.get(name).cloned();
    let read_file = |path: &str| match path {
        resolv_conf::PATH => Ok(resolv_conf_of(&visible.dns_servers)),
        path => Err(io::Error::other(format!("{path} is inside the container"))),
    };
    let mut settings = Settings::new(&given, &lookup, &read_file);
    let interception = interception::read(&mut settings)?;
    let dialect = interception::dialect(&settings)?;
    let dialects = match first {
        Some(ISTIO) if !settings.is_set(&flags::RULESET) => vec![Dialect::Istio, dialect],
        _ => vec![dialect],
    };
    let backend = interception::backend(&mut settings)?;
    let is_native = matches!(backend, BackendChoice::Only(Backend::NftNative));
    if is_native && !visible.has_rules {
        return Err(Unreadable::NativeNftables);
    }
    let unknown = container
        .env_from
        .iter()
        .filter(|name| flags::is_variable(name));
    let mut warnings = settings.warnings;
    warnings.extend(
        unknown.map(|name| format!("environment {name} has no literal value and is ignored")),
    );
    let of_dialect = |dialect| Interception::Istio(interception.clone(), dialect);
    Ok(OwnInit {
        interceptions: dialects.into_iter().map(of_dialect).collect(),
        warnings,
    })
}

fn linkerd_init(container: &ContainerFacts) -> Result<OwnInit, Unreadable> {
    const NAME: &str = "linkerd2-proxy-init";
    let flags = flags::linkerd::FLAGS.iter().map(|flag| flag.argument());
    let given = parse(Command::new(NAME).args(flags), NAME, container)?;
    let read_file = |_: &str| Err(io::Error::other("it is inside the container"));
    let mut settings = Settings::new(&given, &|_| None, &read_file);
    let interception = linkerd::interception(&mut settings)?;
    Ok(OwnInit {
        warnings: linkerd::warnings(&interception),
        interceptions: vec![Interception::Linkerd(interception)],
    })
}

fn kuma_init(
    container: &ContainerFacts,
    facts: &PodFacts,
    visible: &Visible,
) -> Result<OwnInit, Unreadable> {
    let config = config(&facts.annotations)?;
    let settings = PodSettings {
        annotations: Some(&facts.annotations),
        config: config.as_ref(),
        dns_servers: &visible.dns_servers,
    };
    let resolved = settings.resolve()?;
    let mut warnings: Vec<_> = resolved.warnings.iter().map(ToString::to_string).collect();
    let variables = container.env.keys().chain(&container.env_from);
    let unread = variables.filter(|name| name.starts_with(KUMA_VARIABLES));
    warnings.extend(
        unread
            .take(MAX_NAMED)
            .map(|name| format!("environment {name} is ignored: the annotations are compared")),
    );
    Ok(OwnInit {
        interceptions: vec![Interception::Kuma(resolved.interception)],
        warnings,
    })
}

fn resolv_conf_of(servers: &[IpAddr]) -> String {
    let lines = servers
        .iter()
        .map(|server| format!("nameserver {server}\n"));
    lines.collect()
}

/// The flags of a container that runs the command. Its name may come first.
fn parse(
    command: Command,
    name: &'static str,
    container: &ContainerFacts,
) -> Result<GivenFlags, Unreadable> {
    let flags = container
        .args
        .iter()
        .skip_while(|arg| !arg.starts_with('-'));
    let refused = |error: clap::Error| {
        let text = error.to_string();
        // The names of missing flags are on the next line.
        let message = text.lines().take_while(|line| !line.is_empty());
        let message: Vec<_> = message.map(str::trim).collect();
        Unreadable::Arguments {
            command: name,
            message: message.join(" ").trim_start_matches("error: ").to_owned(),
        }
    };
    let matches = command
        .no_binary_name(true)
        .try_get_matches_from(flags)
        .map_err(refused)?;
    GivenFlags::from_arg_matches(&matches).map_err(refused)
}

#[cfg(test)]
mod tests;
