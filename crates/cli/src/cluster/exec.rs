//! Runs programs in the containers of agents, through the API server as `kubectl exec` does.

use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::AttachParams;
use mesh_cni_kube::api_error::ApiError;
use mesh_cni_text::{escaped, truncated};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use super::Cluster;
use super::agents::{AgentPod, CONTAINER};

/// How many programs run at the same time, each in another pod.
const CONCURRENT: usize = 16;

/// The most that is kept of what a program writes to stderr, in bytes.
const MAX_STDERR: u64 = 64 << 10;

/// The most of it in one message, in bytes.
const MAX_MESSAGE: usize = 4 << 10;

/// The limits of one program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExecLimits {
    /// The time from the request to the end of the program.
    pub(crate) time: Duration,
    /// The most that it may write to stdout, in bytes.
    pub(crate) stdout: u64,
}

/// What a program wrote, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExecOutput {
    pub(crate) stdout: Vec<u8>,
    /// The beginning of stderr.
    pub(crate) stderr: String,
    pub(crate) exit_code: i32,
}

/// A program that was not run to its end.
#[derive(Debug, Error)]
pub(crate) enum ExecError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("the program did not end within {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("the program wrote more than {0} bytes")]
    TooLong(u64),
    #[error("the connection to the program ended")]
    Read(#[from] io::Error),
    #[error("the program was not started: {0}")]
    NotStarted(String),
}

impl ExecOutput {
    /// The beginning of stderr, on one line.
    pub(crate) fn message(&self) -> String {
        escaped(truncated(self.stderr.trim(), MAX_MESSAGE)).into_owned()
    }
}

impl Default for ExecLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(15),
            stdout: 4 << 20,
        }
    }
}

impl Cluster {
    /// Runs a program in the agent's container of that pod.
    pub(crate) async fn exec(
        &self,
        pod: &AgentPod,
        command: &[&str],
        limits: ExecLimits,
    ) -> Result<ExecOutput, ExecError> {
        timeout(limits.time, self.run_to_end(pod, command, limits.stdout))
            .await
            .unwrap_or(Err(ExecError::Timeout(limits.time)))
    }

    /// Runs a program in several agents, some at the same time. Calls `on_end` for each as soon as it
    /// has ended, so a slow node delays no other.
    pub(crate) async fn exec_each<'a>(
        &self,
        pods: impl IntoIterator<Item = &'a AgentPod>,
        command: &[&str],
        limits: ExecLimits,
        mut on_end: impl FnMut(&'a AgentPod, Result<ExecOutput, ExecError>),
    ) {
        let run = |pod: &'a AgentPod| async move { (pod, self.exec(pod, command, limits).await) };
        let mut results = stream::iter(pods).map(run).buffer_unordered(CONCURRENT);
        while let Some((pod, result)) = results.next().await {
            on_end(pod, result);
        }
    }

    async fn run_to_end(
        &self,
        pod: &AgentPod,
        command: &[&str],
        max_stdout: u64,
    ) -> Result<ExecOutput, ExecError> {
        let client = self.api.client().await?;
        let pods: kube::Api<Pod> = kube::Api::namespaced(client, &pod.name.namespace);
        let params = AttachParams::default().container(CONTAINER).stdin(false);
        let mut process = pods
            .exec(&pod.name.name, command.iter().copied(), &params)
            .await
            .map_err(|error| ApiError::from(Box::new(error)))?;
        let status = process.take_status();
        let (stdout, stderr) = (process.stdout(), process.stderr());
        let (stdout, stderr) = tokio::join!(
            read(stdout, max_stdout + 1, false),
            read(stderr, MAX_STDERR, true)
        );
        let (stdout, stderr) = (stdout?, stderr?);
        if stdout.len() as u64 > max_stdout {
            return Err(ExecError::TooLong(max_stdout));
        }
        let ended = match status {
            Some(status) => status.await,
            None => None,
        };
        let ended = ended.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        Ok(ExecOutput {
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            exit_code: exit_code(&ended)?,
        })
    }
}

/// Reads at most that many bytes. `to_end`: reads and drops the rest, so that the program does not
/// wait for its reader.
async fn read(
    stream: Option<impl AsyncRead + Unpin>,
    limit: u64,
    to_end: bool,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(limit).read_to_end(&mut bytes).await?;
        if to_end {
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
        }
    }
    Ok(bytes)
}

/// The exit code in the status that follows the output.
fn exit_code(status: &Status) -> Result<i32, ExecError> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status
        .details
        .as_ref()
        .and_then(|details| details.causes.as_ref());
    let code = causes
        .into_iter()
        .flatten()
        .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .find_map(|cause| cause.message.as_deref()?.parse().ok());
    code.ok_or_else(|| {
        let message = status.message.as_deref().unwrap_or("no reason was given");
        ExecError::NotStarted(escaped(truncated(message, 500)).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(value: serde_json::Value) -> Status {
        serde_json::from_value(value).expect("a status")
    }

    #[test]
    fn the_exit_code_is_in_the_status() {
        assert_eq!(
            exit_code(&status(json!({"status": "Success"}))).ok(),
            Some(0)
        );
        let failed = json!({
            "status": "Failure", "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
        });
        assert_eq!(exit_code(&status(failed)).ok(), Some(3));
    }

    #[test]
    fn a_program_that_does_not_start_has_a_message() {
        let missing = json!({"status": "Failure", "message": "no such file\u{1b}[2J"});
        let error = exit_code(&status(missing)).expect_err("no exit code");
        assert_eq!(
            error.to_string(),
            "the program was not started: no such file\\u{1b}[2J"
        );
        let error = exit_code(&status(json!({}))).expect_err("no exit code");
        assert!(error.to_string().ends_with("no reason was given"));
    }
}
