//! Scenarios: directories with the settings of a pod and the expected results.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::{Gid, Port, PortRange, Uid, network};
use mesh_cni_netfilter::{Mark, Packet, RuleSet};
use mesh_cni_plan::{AmbientConf, LinkerdConf};
use mesh_cni_rules::istio::interception::{DnsCapture, InboundCapture, Mode, OwnerGroups};
use mesh_cni_rules::{Interception, Mesh, ambient, istio, kuma, linkerd, reject_ipv6};
use serde::Deserialize;

/// A directory in `tests/scenarios`.
#[derive(Debug)]
pub struct Scenario {
    /// The directory.
    pub folder: PathBuf,
    /// Its name.
    pub name: String,
    input: Input,
}

/// `in.yaml`: the settings, and what a reviewer must check.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    find: String,
    ruleset: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    proxy_env: BTreeMap<String, String>,
    /// For Linkerd: the annotations of the namespace, the field of the configuration, and the ports of
    /// the Kubernetes API for a pod of the control plane.
    #[serde(default)]
    namespace_annotations: BTreeMap<String, String>,
    #[serde(default)]
    linkerd: LinkerdConf,
    #[serde(default)]
    kube_api_ports: Vec<u16>,
    /// For ambient mode: the field of the configuration.
    #[serde(default)]
    ambient: AmbientConf,
    #[serde(default)]
    proxy_uids: Vec<u32>,
    #[serde(default)]
    proxy_gids: Vec<u32>,
    /// Ports and ranges, which replace those of annotations: an annotation has no ranges.
    #[serde(default)]
    ports: PortLists,
    owner_groups: Option<Groups>,
    #[serde(default)]
    dns_servers: Vec<IpAddr>,
    outbound_capture_port: Option<u16>,
    inbound_capture_port: Option<u16>,
    tunnel_port: Option<u16>,
    tproxy_mark: Option<u32>,
    tproxy_table: Option<u32>,
    ipv4_loopback: Option<String>,
    /// The pod's addresses in the order of its interfaces; if absent, both families are programmed.
    addresses: Option<Vec<IpAddr>>,
    /// Whether IPv6 is refused if the pod gets no IPv6 rules.
    #[serde(default)]
    reject_ipv6: bool,
    packets: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PortLists {
    include_inbound: Vec<String>,
    exclude_inbound: Vec<String>,
    include_outbound: Vec<String>,
    exclude_outbound: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Groups {
    Only(Vec<u32>),
    Except(Vec<u32>),
}

impl Scenario {
    /// Every scenario, in the order of names.
    pub fn all() -> Vec<Self> {
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let folders = fs::read_dir(scenarios).expect("the scenarios are in the repository");
        let mut folders: Vec<_> = folders
            .map(|folder| folder.expect("the folder can be read").path())
            .collect();
        folders.sort();
        folders.into_iter().map(Self::read).collect()
    }

    fn read(folder: PathBuf) -> Self {
        let name = folder.file_name().expect("a folder has a name");
        let name = name.to_string_lossy().into_owned();
        let text = fs::read_to_string(folder.join("in.yaml"));
        let text = text.unwrap_or_else(|error| panic!("{name}/in.yaml: {error}"));
        let input = serde_saphyr::from_str(&text);
        let input = input.unwrap_or_else(|error| panic!("{name}/in.yaml: {error}"));
        Self {
            folder,
            name,
            input,
        }
    }

    /// What a reviewer must check.
    pub fn find(&self) -> &str {
        &self.input.find
    }

    /// The mesh of the pod.
    pub fn mesh(&self) -> Mesh {
        self.interception().mesh()
    }

    /// The rules of one family; empty if the pod's addresses do not require it.
    pub fn rules(&self, family: Family) -> RuleSet {
        let interception = self.interception();
        let addresses = self.input.addresses.as_deref();
        let programmed = addresses.map(|addresses| interception.families(addresses));
        if programmed.is_some_and(|families| !families.contains(&family)) {
            return if self.input.reject_ipv6 {
                reject_ipv6()
            } else {
                RuleSet::new(family)
            };
        }
        interception.compile(family)
    }

    /// The packets whose paths are part of the expected results.
    pub fn packets(&self) -> impl Iterator<Item = Packet> {
        self.input.packets.iter().map(|text| {
            let packet = text.parse::<Packet>();
            packet.unwrap_or_else(|error| panic!("{}: {text}: {error}", self.name))
        })
    }

    fn interception(&self) -> Interception {
        match self.input.ruleset.as_str() {
            "ambient" => Interception::Ambient(self.ambient()),
            "kuma" => Interception::Kuma(self.kuma()),
            "linkerd" => Interception::Linkerd(self.linkerd()),
            ruleset => {
                let dialect = ruleset.parse().expect("the rule set is known");
                Interception::Istio(self.istio(), dialect)
            }
        }
    }

    fn ambient(&self) -> ambient::Interception {
        let settings = ambient::Settings {
            annotations: Some(&self.input.annotations),
            ..self.input.ambient.settings()
        };
        let resolved = settings.resolve();
        resolved.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn kuma(&self) -> kuma::Interception {
        let input = &self.input;
        let config = kuma::config(&input.annotations);
        let config = config.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let settings = kuma::PodSettings {
            annotations: Some(&input.annotations),
            config: config.as_ref(),
            dns_servers: &input.dns_servers,
        };
        let resolved = settings
            .resolve()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        resolved.interception
    }

    fn linkerd(&self) -> linkerd::Interception {
        let input = &self.input;
        let defaults = input.linkerd.interception();
        let settings = linkerd::PodSettings {
            defaults: defaults.unwrap_or_else(|error| panic!("{}: {error}", self.name)),
            annotations: Some(&input.annotations),
            namespace_annotations: Some(&input.namespace_annotations),
            proxy_env: Some(&input.proxy_env),
            run_as_user: input.proxy_uids.first().copied().map(i64::from),
            run_as_group: input.proxy_gids.first().copied().map(i64::from),
            kube_api_ports: &input.kube_api_ports,
        };
        let resolved = settings
            .resolve()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        resolved.interception
    }

    fn istio(&self) -> istio::Interception {
        let input = &self.input;
        let settings = istio::PodSettings {
            annotations: Some(&input.annotations),
            proxy_env: Some(&input.proxy_env),
            ..istio::PodSettings::default()
        };
        let resolved = settings
            .resolve()
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let mut interception = resolved.interception;
        if !input.proxy_uids.is_empty() {
            interception.proxy_uids = input.proxy_uids.iter().copied().map(Uid).collect();
        }
        if !input.proxy_gids.is_empty() {
            interception.proxy_gids = input.proxy_gids.iter().copied().map(Gid).collect();
        }
        input.ports.set_in(&mut interception);
        if let Some(groups) = &input.owner_groups {
            let ids = |ids: &[u32]| ids.iter().copied().map(Gid).collect();
            interception.owner_groups = match groups {
                Groups::Only(groups) => OwnerGroups::Only(ids(groups)),
                Groups::Except(groups) => OwnerGroups::Except(ids(groups)),
            };
        }
        if !input.dns_servers.is_empty() {
            interception.dns = DnsCapture::Servers(input.dns_servers.clone());
        }
        set_port(
            &mut interception.outbound_capture_port,
            input.outbound_capture_port,
        );
        set_port(
            &mut interception.inbound_capture_port,
            input.inbound_capture_port,
        );
        set_port(&mut interception.tunnel_port, input.tunnel_port);
        if let Mode::Tproxy(routing) = &mut interception.mode {
            routing.mark = input.tproxy_mark.map_or(routing.mark, Mark::exact);
            routing.table = input.tproxy_table.unwrap_or(routing.table);
        }
        if let Some(loopback) = &input.ipv4_loopback {
            interception.ipv4_loopback = network(loopback).expect("a valid range");
        }
        interception
    }
}

impl PortLists {
    fn set_in(&self, interception: &mut istio::Interception) {
        let parsed = |list: &[String]| -> Vec<PortRange> {
            let ports = list.iter().map(|ports| ports.parse());
            ports.collect::<Result<_, _>>().expect("valid ports")
        };
        if !self.exclude_inbound.is_empty() {
            interception.inbound = InboundCapture::AllExcept(parsed(&self.exclude_inbound));
        }
        if !self.include_inbound.is_empty() {
            interception.inbound = InboundCapture::Only(parsed(&self.include_inbound));
        }
        if !self.include_outbound.is_empty() {
            interception.outbound_ports = parsed(&self.include_outbound);
        }
        if !self.exclude_outbound.is_empty() {
            interception.exclude_outbound_ports = parsed(&self.exclude_outbound);
        }
    }
}

fn set_port(to: &mut Port, number: Option<u16>) {
    if let Some(number) = number {
        *to = Port::new(number).expect("a port is not 0");
    }
}
