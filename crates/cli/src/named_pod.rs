//! A pod that is named: of this node, or of the cluster that a kubeconfig reaches.

use mesh_cni_netns::has_ipv6;
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;

use crate::arguments::{ConfArguments, PodName};
use crate::cluster::{self, Cluster};
use crate::console::Console;
use crate::failure::Failure;
use crate::pod_source::{PodSource, SourceError};
use crate::{input, node_conf};

/// Where named pods are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// In the pod source of this node.
    Node,
    /// In the API server.
    Cluster,
}

impl Lookup {
    /// The cluster if flags name one, or if this machine is not one of its nodes and has a kubeconfig.
    pub(crate) fn of(arguments: &ConfArguments, given: Option<&MeshConf>) -> Self {
        let has_source = |conf: &MeshConf| PodSource::of(conf).exists();
        let is_node = || {
            node_conf::has_entry(&arguments.cni_conf_dir)
                || given.map_or_else(|| has_source(&MeshConf::default()), has_source)
        };
        let cluster = &arguments.cluster;
        if cluster.is_given() || cluster.has_kubeconfig() && !is_node() {
            Self::Cluster
        } else {
            Self::Node
        }
    }
}

/// The facts of the pod, and the plugin's configuration there.
pub(crate) fn find(
    pod: &PodName,
    arguments: &ConfArguments,
    console: &mut Console<'_>,
) -> Result<(PodFacts, MeshConf), Failure> {
    let given = arguments.conf.as_deref();
    let given = given.map(|path| input::conf(path, console)).transpose()?;
    if Lookup::of(arguments, given.as_ref()) == Lookup::Node {
        let conf = match given {
            Some(conf) => conf,
            None => node_conf::of_directory(&arguments.cni_conf_dir, console)?,
        };
        let conf = conf.on_kernel(has_ipv6);
        let facts = PodSource::of(&conf).by_name(pod);
        return Ok((facts.map_err(SourceError::failure)?, conf));
    }
    cluster::run(async {
        let cluster = Cluster::connect(&arguments.cluster).await?;
        let namespace = &arguments.agent_namespace;
        let conf = cluster.given_or_installed_conf(given, namespace, console);
        let conf = conf.await;
        Ok((cluster.facts(pod, &conf).await?, conf))
    })
}
