//! `verify --pod` outside a node: runs in the agent of the pod's node, through the API server.

use crate::arguments::{Output, PodName, VerifyArguments};
use crate::cluster::agents::AgentArguments;
use crate::cluster::exec::{ExecError, ExecLimits};
use crate::cluster::{self, Cluster};
use crate::console::Console;
use crate::failure::{Exit, Failure};

/// Prints what the agent's `mesh-cnictl verify` prints; exit code 1 if the rules are not as wanted.
pub(super) fn run(
    pod: &PodName,
    arguments: &VerifyArguments,
    console: &mut Console<'_>,
) -> Result<Exit, Failure> {
    if arguments.conf.conf.is_some() || arguments.manifest.is_some() {
        let error = "--conf and --manifest are read on the pod's node";
        return Err(Failure::wrong(error).hint("remove them, or run it on the pod's node"));
    }
    let agents = AgentArguments {
        agent_namespace: arguments.conf.agent_namespace.clone(),
        agent_selector: arguments.agent_selector.clone(),
    };
    let name = pod.to_string();
    let mut command = vec!["/bin/mesh-cnictl", "verify", "--pod", &name];
    command.extend(arguments.quiet.then_some("--quiet"));
    command.extend((arguments.output == Output::Json).then_some("--output=json"));
    let (agent, output) = cluster::run(async {
        let cluster = Cluster::connect(&arguments.conf.cluster).await?;
        let node = cluster.pod(pod).await?.node;
        let node = node.ok_or_else(|| {
            let error = format!("pod {pod} is not on a node yet, so it has no rules");
            Failure::wrong(error).hint(format!(
                "see `kubectl describe pod --namespace {} {}`",
                pod.namespace, pod.name
            ))
        })?;
        let agents = cluster.agents(&agents).await?;
        let agent = agents.by_node().get(node.as_str()).copied().cloned();
        let agent = agent.ok_or_else(|| {
            let namespace = &arguments.conf.agent_namespace;
            let error = format!("node {node}, where pod {pod} runs, has no agent in {namespace}");
            Failure::environment(error)
                .hint("set --agent-namespace, or see what `mesh-cnictl check` reports")
        })?;
        let output = cluster.exec(&agent, &command, ExecLimits::default()).await;
        let output = output.map_err(|error| not_run(error, &agent.name.to_string()))?;
        Ok((agent, output))
    })?;
    console.detail(output.stderr.trim_end());
    console.note(format_args!(
        "compared by the agent {} on node {}",
        agent.name, agent.node
    ));
    console.result(&String::from_utf8_lossy(&output.stdout))?;
    Ok(match output.exit_code {
        0 => Exit::Done,
        1 => Exit::No,
        2 => Exit::Wrong,
        _ => Exit::Failed,
    })
}

fn not_run(error: ExecError, agent: &str) -> Failure {
    let hint = if matches!(&error, ExecError::Api(error) if error.lacks_right()) {
        "use credentials with the right to create `pods/exec` in the agent's namespace, or run it on the \
         pod's node"
    } else {
        "run it on the pod's node"
    };
    Failure::environment(error)
        .about(format!("cannot run `mesh-cnictl verify` in pod {agent}"))
        .hint(hint)
}
