//! The rules that a pod's own `istio-init` container applies, from its arguments and environment.

use std::io;

use clap::{Args, Command, FromArgMatches};
use mesh_cni_rules::{Dialect, Interception};
use mesh_cni_selector::{ContainerFacts, PodFacts};
use thiserror::Error;

use super::error::SettingError;
use super::flags::GivenFlags;
use super::interception;
use super::settings::Settings;

const NAME: &str = "istio-init";
/// The first argument of Istio's own image. Other images apply the documented rules by default.
const ISTIO: &str = "istio-iptables";

/// The rules of an `istio-init` container.
#[derive(Debug)]
pub(crate) struct OwnInit {
    pub(crate) interception: Interception,
    pub(crate) dialect: Dialect,
}

/// Arguments or environment that cannot be interpreted.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    #[error("its arguments are not valid arguments of istio-iptables: {0}")]
    Arguments(String),
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// The rules of the pod's `istio-init`, if it has one.
pub(crate) fn own_init(facts: &PodFacts) -> Result<Option<OwnInit>, Unreadable> {
    let mut all = facts.init_containers.iter().chain(&facts.containers);
    all.find(|each| each.name == NAME).map(read).transpose()
}

fn read(container: &ContainerFacts) -> Result<OwnInit, Unreadable> {
    let args = &container.args;
    let first = args.first().map(String::as_str);
    let first_flag = args.iter().position(|arg| arg.starts_with('-'));
    let given = parse(&args[first_flag.unwrap_or(args.len())..])?;
    let lookup = |name: &str| container.env.get(name).cloned();
    // The container reads its own files, which are not visible from here.
    let unreadable = |path: &str| Err(io::Error::other(format!("{path} is inside the container")));
    let mut settings = Settings::new(&given, &lookup, &unreadable);
    let interception = interception::read(&mut settings)?;
    let dialect = match first {
        Some(ISTIO) => Dialect::Istio,
        _ => interception::dialect(&settings)?,
    };
    Ok(OwnInit {
        interception,
        dialect,
    })
}

fn parse(flags: &[String]) -> Result<GivenFlags, Unreadable> {
    let command = GivenFlags::augment_args(Command::new(NAME).no_binary_name(true));
    let refused = |error: clap::Error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Unreadable::Arguments(line.trim_start_matches("error: ").to_owned())
    };
    let matches = command.try_get_matches_from(flags).map_err(refused)?;
    GivenFlags::from_arg_matches(&matches).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(args: &[&str]) -> PodFacts {
        let args = args.iter().copied().map(str::to_owned).collect();
        PodFacts {
            init_containers: vec![ContainerFacts {
                name: NAME.to_owned(),
                args,
                ..ContainerFacts::default()
            }],
            ..PodFacts::default()
        }
    }

    #[test]
    fn istios_own_image_applies_istios_rules() {
        let flags = [
            "-p", "15001", "-z", "15006", "-u", "1337", "-i", "*", "-b", "*",
        ];
        let own = own_init(&pod(&[&["istio-iptables"], &flags[..]].concat()));
        assert_eq!(own.unwrap().unwrap().dialect, Dialect::Istio);
        let own = own_init(&pod(&[&["init"], &flags[..]].concat()));
        assert_eq!(own.unwrap().unwrap().dialect, Dialect::Asm);
    }

    #[test]
    fn a_pod_without_istio_init_has_no_own_rules() {
        assert!(own_init(&PodFacts::default()).unwrap().is_none());
    }

    #[test]
    fn an_unknown_flag_is_named() {
        let error = own_init(&pod(&["istio-iptables", "--nonsense"])).unwrap_err();
        assert!(error.to_string().contains("--nonsense"), "{error}");
    }
}
