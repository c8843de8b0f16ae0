//! `check`: the whole cluster, before and after the installation. Collecting and judging are separate:
//! `before` and `after` are pure.

mod after;
mod before;
mod collect;
mod common;
mod finding;
mod groups;
mod node;
mod objects;
mod observed;
mod pods;
pub(crate) mod report;
mod rights;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mesh_cni_plan::MeshConf;
use tokio::time::{Instant, sleep};

use self::finding::{Finding, Status};
use self::report::Report;
use crate::arguments::Output;
use crate::cluster::agents::AgentArguments;
use crate::cluster::{self, Cluster, ClusterArguments};
use crate::console::{Console, json};
use crate::failure::{Exit, Failure};
use crate::input;

/// The time between two checks of `--wait`.
const INTERVAL: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Check the cluster before the installation
    #[arg(long)]
    pub(crate) pre: bool,
    /// Repeat the checks until none fails
    #[arg(long, conflicts_with = "pre")]
    pub(crate) wait: bool,
    /// How long --wait waits, for example `90s` or `5m`
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// The namespace of mesh-cni
    #[arg(short, long, value_name = "NAMESPACE", default_value = AgentArguments::NAMESPACE)]
    pub(crate) namespace: String,
    /// The label selector of the agent's pods
    #[arg(long, value_name = "LABELS", default_value = AgentArguments::SELECTOR)]
    pub(crate) agent_selector: String,
    /// The namespace of the Istio or ASM control plane
    #[arg(long, value_name = "NAMESPACE", default_value = "istio-system")]
    pub(crate) istio_namespace: String,
    /// The plugin's configuration: its entry, or a network configuration list with it; `-` reads stdin
    /// [default: with --pre the plugin's defaults, else the installed entry]
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Print every name instead of the first three
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

impl CheckArguments {
    fn agents(&self) -> AgentArguments {
        AgentArguments {
            agent_namespace: self.namespace.clone(),
            agent_selector: self.agent_selector.clone(),
        }
    }
}

/// Prints the findings; exit code 1 if a check failed.
pub(crate) fn run(arguments: &CheckArguments, console: &mut Console<'_>) -> Result<Exit, Failure> {
    let conf = arguments.conf.as_deref();
    let conf = conf.map(|path| input::conf(path, console)).transpose()?;
    let report = cluster::run(async {
        let cluster = Cluster::connect(&arguments.cluster).await?;
        if arguments.wait {
            wait(&cluster, arguments, conf.as_ref()).await
        } else {
            Ok(Report::new(
                check(&cluster, arguments, conf.as_ref()).await?,
            ))
        }
    })?;
    let text = match arguments.output {
        Output::Text => report.text(arguments.verbose),
        Output::Json => json(&report),
    };
    console.result(&text)?;
    Ok(report.exit())
}

async fn check(
    cluster: &Cluster,
    arguments: &CheckArguments,
    conf: Option<&MeshConf>,
) -> Result<Vec<Finding>, Failure> {
    if arguments.pre {
        let conf = conf.cloned().unwrap_or_default();
        return Ok(before::judge(
            &collect::before(cluster, arguments, &conf).await?,
        ));
    }
    Ok(after::judge(
        &collect::after(cluster, arguments, conf).await?,
    ))
}

/// Checks until nothing fails, or until the timeout. On a terminal it shows what it waits for.
async fn wait(
    cluster: &Cluster,
    arguments: &CheckArguments,
    conf: Option<&MeshConf>,
) -> Result<Report, Failure> {
    let end = Instant::now() + arguments.timeout;
    let mut progress = Progress::default();
    loop {
        let report = Report::new(check(cluster, arguments, conf).await?);
        if report.status != Status::Failed || Instant::now() + INTERVAL > end {
            progress.clear();
            return Ok(report);
        }
        progress.show(&report);
        sleep(INTERVAL).await;
    }
}

/// One line on a terminal that is written again and again.
#[derive(Default)]
struct Progress {
    is_shown: bool,
}

impl Progress {
    fn show(&mut self, report: &Report) {
        let mut stderr = std::io::stderr();
        if !stderr.is_terminal() {
            return;
        }
        let failed = report
            .findings
            .iter()
            .filter(|each| each.status == Status::Failed)
            .map(|each| each.id.as_str());
        let failed: Vec<_> = failed.collect();
        let _written = write!(stderr, "\r\x1b[Kwaiting for {}", failed.join(", "));
        let _flushed = stderr.flush();
        self.is_shown = true;
    }

    fn clear(&mut self) {
        if self.is_shown {
            let _written = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
