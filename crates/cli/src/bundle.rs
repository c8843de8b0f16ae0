//! `bundle`: a support archive of a cluster, without secrets.

mod archive;
mod collect;
mod redact;
#[cfg(test)]
mod tests;
mod this_node;

use std::path::PathBuf;

use clap::Args;

use archive::Archive;
pub(crate) use archive::Contents;
use redact::Secrets;

use crate::arguments::{Output, PodName};
use crate::cluster::agents::AgentArguments;
use crate::cluster::{self, Cluster, ClusterArguments};
use crate::console::{Console, json};
use crate::failure::{Exit, Failure};
use crate::pods::object_name;

#[derive(Debug, Args)]
pub(crate) struct BundleArguments {
    /// Take only what is known of this node; may be repeated [default: every node]
    #[arg(long, value_name = "NODE", value_parser = object_name)]
    pub(crate) node: Vec<String>,
    /// Take the rules and settings of this pod too, and its node; may be repeated
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) pod: Vec<PodName>,
    /// The archive, which must not exist
    #[arg(long, value_name = "FILE", default_value = "mesh-cni-bundle.tar.gz")]
    pub(crate) file: PathBuf,
    /// How many of the last lines of each agent's log are taken
    #[arg(long, value_name = "LINES", default_value_t = 500)]
    pub(crate) lines: u16,
    #[command(flatten)]
    pub(crate) agents: AgentArguments,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Print what an archive contains of the node of this program, as JSON
    #[arg(long, hide = true)]
    pub(crate) this_node: bool,
    /// Directory of the network configurations, for --this-node
    #[arg(
        long,
        hide = true,
        env = "MOUNTED_CNI_NET_DIR",
        default_value = "/etc/cni/net.d"
    )]
    pub(crate) cni_conf_dir: PathBuf,
    /// Directory of the agent's socket, for --this-node
    #[arg(long, hide = true, default_value = "/run/mesh-cni")]
    pub(crate) run_dir: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Writes the archive, and prints what is in it and what is not.
pub(crate) fn run(arguments: &BundleArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    if arguments.this_node {
        console.result(&json(&this_node::collect(arguments)))?;
        return Ok(Exit::Done);
    }
    let contents = cluster::run(async {
        let cluster = Cluster::connect(&arguments.cluster).await?;
        let subject = collect::Subject::find(&cluster, arguments).await?;
        let mut secrets = Secrets::default();
        subject.facts().for_each(|facts| secrets.add(facts));
        let file = &arguments.file;
        let failure = |error| {
            Failure::environment(error)
                .about(format!("cannot write `{}`", file.display()))
                .hint("name another file with --file")
        };
        let mut archive = Archive::create(file, secrets).map_err(failure)?;
        subject
            .add_to(&mut archive, &cluster, arguments)
            .await
            .map_err(failure)?;
        let (contents, _file) = archive.finish().map_err(failure)?;
        Ok(contents)
    })?;
    let text = match arguments.output {
        Output::Text => text(&contents, arguments),
        Output::Json => json(&contents),
    };
    console.result(&text)?;
    Ok(Exit::Done)
}

fn text(contents: &Contents, arguments: &BundleArguments) -> String {
    let taken = contents.taken.iter().map(|file| {
        let cut = if file.is_cut { ", only its end" } else { "" };
        format!("took {} ({} bytes{cut})\n", file.path, file.bytes)
    });
    let missing = contents.missing.iter();
    let missing = missing.map(|each| format!("missing: {}: {}\n", each.what, each.why));
    let removed = format!("removed: {}\n", contents.removed);
    let written = format!("wrote {}\n", arguments.file.display());
    taken.chain(missing).chain([removed, written]).collect()
}
