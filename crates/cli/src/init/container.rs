//! The rules that a pod's own `istio-init` container applies, from its arguments and environment.

use std::io;
use std::net::IpAddr;

use clap::{Args, Command, FromArgMatches};
use mesh_cni_netns::{Backend, BackendChoice};
use mesh_cni_rules::istio::{Dialect, Interception};
use mesh_cni_selector::{ContainerFacts, PodFacts};
use thiserror::Error;

use super::error::SettingError;
use super::flags::{self, GivenFlags};
use super::settings::Settings;
use super::{interception, resolv_conf};

const NAME: &str = "istio-init";
/// The first argument of Istio's own image. Other images apply the documented rules by default.
const ISTIO: &str = "istio-iptables";

/// The rules of an `istio-init` container.
#[derive(Debug)]
pub(crate) struct OwnInit {
    pub(crate) interception: Interception,
    /// The rule sets that it can apply. The arguments of Istio's own image do not say which image
    /// runs them, and other images apply the documented rules.
    pub(crate) dialects: Vec<Dialect>,
    pub(crate) warnings: Vec<String>,
}

/// Arguments or environment that cannot be interpreted.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    #[error("its arguments are not valid arguments of istio-iptables: {0}")]
    Arguments(String),
    #[error("it writes native nftables rules in Istio's own tables, which are not compared")]
    NativeNftables,
    #[error(transparent)]
    Setting(#[from] SettingError),
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

/// The rules of the pod's `istio-init`, if it has one.
pub(crate) fn own_init(facts: &PodFacts, visible: &Visible) -> Result<Option<OwnInit>, Unreadable> {
    let mut all = facts.init_containers.iter().chain(&facts.containers);
    all.find(|each| each.name == NAME)
        .map(|container| read(container, visible))
        .transpose()
}

fn read(container: &ContainerFacts, visible: &Visible) -> Result<OwnInit, Unreadable> {
    let args = &container.args;
    let first = args.first().map(String::as_str);
    let first_flag = args.iter().position(|arg| arg.starts_with('-'));
    let given = parse(&args[first_flag.unwrap_or(args.len())..])?;
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
    for warning in &mut warnings {
        *warning = format!("its {NAME} container: {warning}");
    }
    Ok(OwnInit {
        interception,
        dialects,
        warnings,
    })
}

fn resolv_conf_of(servers: &[IpAddr]) -> String {
    let lines = servers
        .iter()
        .map(|server| format!("nameserver {server}\n"));
    lines.collect()
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
    use mesh_cni_netfilter::value::{Gid, Uid};
    use mesh_cni_rules::istio::interception::{DnsCapture, InboundCapture, OutboundRanges};

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

    fn read(args: &[&str], env: &[(&str, &str)]) -> Result<OwnInit, Unreadable> {
        let mut pod = pod(args);
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pod.init_containers[0].env = env.collect();
        let visible = Visible {
            dns_servers: vec!["10.96.0.10".parse().unwrap()],
            has_rules: false,
        };
        own_init(&pod, &visible).map(|own| own.expect("the pod has one"))
    }

    fn interception(args: &[&str], env: &[(&str, &str)]) -> Interception {
        let args = [&["istio-iptables"], args].concat();
        let own = read(&args, env).unwrap();
        assert_eq!(own.warnings, Vec::<String>::new());
        own.interception
    }

    #[test]
    fn the_arguments_of_istios_image_allow_both_rule_sets() {
        let dialects = |args: &[&str]| read(args, &[]).unwrap().dialects;
        let flags = [
            "-p", "15001", "-z", "15006", "-u", "1337", "-i", "*", "-b", "*",
        ];
        let of_istio = dialects(&[&["istio-iptables"], &flags[..]].concat());
        assert_eq!(of_istio, [Dialect::Istio, Dialect::Asm]);
        assert_eq!(dialects(&[&["init"], &flags[..]].concat()), [Dialect::Asm]);
        assert_eq!(
            dialects(&["istio-iptables", "--ruleset=istio"]),
            [Dialect::Istio]
        );
    }

    #[test]
    fn dns_capture_is_on_by_each_of_its_variables() {
        let servers = DnsCapture::Servers(vec!["10.96.0.10".parse().unwrap()]);
        for name in ["ISTIO_META_DNS_CAPTURE", "REDIRECT_DNS"] {
            assert_eq!(interception(&[], &[(name, "true")]).dns, servers, "{name}");
            assert_eq!(
                interception(&[], &[(name, "0")]).dns,
                DnsCapture::Off,
                "{name}"
            );
        }
        let all = [("ISTIO_META_DNS_CAPTURE", "1"), ("CAPTURE_ALL_DNS", "t")];
        assert_eq!(interception(&[], &all).dns, DnsCapture::All);
        assert_eq!(interception(&["--redirect-dns"], &[]).dns, servers);
        let off = interception(
            &["--redirect-dns=false"],
            &[("ISTIO_META_DNS_CAPTURE", "true")],
        );
        assert_eq!(off.dns, DnsCapture::Off, "a flag overrides a variable");
    }

    #[test]
    fn both_families_are_on_by_each_of_their_variables() {
        for name in ["ISTIO_DUAL_STACK", "DUAL_STACK", "ISTIO_AGENT_DUAL_STACK"] {
            assert!(interception(&[], &[(name, "true")]).dual_stack, "{name}");
        }
    }

    #[test]
    fn empty_items_are_skipped_in_every_list() {
        let with = interception(
            &[
                "-d",
                "15090,15021,",
                "-o",
                ",443",
                "-q",
                "8080,,9090",
                "-x",
                "10.0.0.0/8,",
                "-i",
                ",172.16.0.0/12",
                "-b",
                "80, ,",
                "-c",
                "net1,",
                "-k",
                ",virbr0",
                "-u",
                "7,",
                "-g",
                ",8",
            ],
            &[],
        );
        let without = interception(
            &[
                "-d",
                "15090,15021",
                "-o",
                "443",
                "-q",
                "8080,9090",
                "-x",
                "10.0.0.0/8",
                "-i",
                "172.16.0.0/12",
                "-b",
                "80",
                "-c",
                "net1",
                "-k",
                "virbr0",
                "-u",
                "7",
                "-g",
                "8",
            ],
            &[],
        );
        assert_eq!(with, without);
        let commas = interception(&["-b", ",", "-i", ","], &[]);
        assert_eq!(commas.inbound, InboundCapture::None);
        assert_eq!(commas.outbound_ranges, OutboundRanges::Only(Vec::new()));
    }

    #[test]
    fn an_empty_user_is_that_of_envoy() {
        for env in [
            &[][..],
            &[("PROXY_UID", "")],
            &[("ENVOY_USER", "istio-proxy")],
        ] {
            for args in [&[][..], &["-u", ""]] {
                let with = interception(args, env);
                assert_eq!(
                    (with.proxy_uids, with.proxy_gids),
                    (vec![Uid(1337)], vec![Gid(1337)])
                );
            }
        }
        let error = read(&["istio-iptables"], &[("ENVOY_USER", "envoy")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment ENVOY_USER: cannot read /etc/passwd"
        );
    }

    #[test]
    fn flags_of_older_versions_are_accepted() {
        let old = [
            "--restore-format=true",
            "--iptables-trace-logging",
            "--host-nsenter-exec=false",
            "--iptables-version",
            "1.8.9",
            "-f",
        ];
        assert_eq!(interception(&old, &[]), interception(&[], &[]));
    }

    #[test]
    fn rules_in_tables_of_istio_are_not_compared() {
        let error = read(&["istio-iptables", "--native-nftables"], &[]).unwrap_err();
        assert!(matches!(error, Unreadable::NativeNftables), "{error}");
    }

    #[test]
    fn a_pod_without_istio_init_has_no_own_rules() {
        let own = own_init(&PodFacts::default(), &Visible::default());
        assert!(own.unwrap().is_none());
    }

    #[test]
    fn an_unknown_flag_is_named() {
        let error = read(&["istio-iptables", "--nonsense"], &[]).unwrap_err();
        assert!(error.to_string().contains("--nonsense"), "{error}");
    }
}
