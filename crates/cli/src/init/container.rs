//! What a pod's own `istio-init` container asks for, by its arguments and its environment.

use std::io;

use clap::{Args, Command, FromArgMatches};
use mesh_cni_rules::{Dialect, Interception};
use mesh_cni_selector::{ContainerFacts, PodFacts};
use thiserror::Error;

use super::error::SettingError;
use super::flags::GivenFlags;
use super::settings::Settings;

const NAME: &str = "istio-init";
/// The first argument of Istio's own image; anybody else's rules are by default the documented ones.
const ISTIO: &str = "istio-iptables";

/// What it programs.
#[derive(Debug)]
pub(crate) struct OwnInit {
    pub(crate) interception: Interception,
    pub(crate) dialect: Dialect,
}

/// Arguments of which it cannot be told what they come to.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    #[error("its arguments are none of istio-iptables: {0}")]
    Arguments(String),
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// What the pod's `istio-init` asks for, where it has one.
pub(crate) fn wish(facts: &PodFacts) -> Result<Option<OwnInit>, Unreadable> {
    let mut all = facts.init_containers.iter().chain(&facts.containers);
    all.find(|each| each.name == NAME).map(read).transpose()
}

fn read(container: &ContainerFacts) -> Result<OwnInit, Unreadable> {
    let first = container.args.first().map(String::as_str);
    let named = container.args.iter().position(|word| word.starts_with('-'));
    let flags = &container.args[named.unwrap_or(container.args.len())..];
    let given = parse(flags)?;
    let lookup = |name: &str| container.env.get(name).cloned();
    // What it reads from its own files only it can see.
    let elsewhere = |path: &str| Err(io::Error::other(format!("{path} is the container's own")));
    let mut settings = Settings::new(&given, &lookup, &elsewhere);
    let interception = settings.interception()?;
    let dialect = match first {
        Some(ISTIO) => Dialect::Istio,
        _ => settings.dialect()?,
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
    fn istios_own_image_programs_istios_rules() {
        let flags = [
            "-p", "15001", "-z", "15006", "-u", "1337", "-i", "*", "-b", "*",
        ];
        let own = wish(&pod(&[&["istio-iptables"], &flags[..]].concat()));
        assert_eq!(own.unwrap().unwrap().dialect, Dialect::Istio);
        let own = wish(&pod(&[&["init"], &flags[..]].concat()));
        assert_eq!(own.unwrap().unwrap().dialect, Dialect::Asm);
    }

    #[test]
    fn a_pod_without_it_asks_for_nothing() {
        assert!(wish(&PodFacts::default()).unwrap().is_none());
    }

    #[test]
    fn what_is_no_flag_is_named() {
        let error = wish(&pod(&["istio-iptables", "--nonsense"])).unwrap_err();
        assert!(error.to_string().contains("--nonsense"), "{error}");
    }
}
