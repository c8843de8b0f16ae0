//! Keeps the plugin's binary and its chain entry in place while the agent runs.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::board::{Board, Check, Standing};
use super::metrics::{InstallResult, Metrics};
use super::signal::Stop;
use crate::{Event, Settings, install, one_line};

/// How long a network configuration is waited for before it is tried anew.
const WAIT: Duration = Duration::from_secs(60);

/// The pause after an installation that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// Installs, and says on the board how that stands, until it is told to stop. What is in place
/// stays in place then.
///
/// The work is done on a thread of its own, since it waits for disks; that thread may be ended by
/// the end of the process at any instruction, as every installation may.
pub(super) async fn keep(
    settings: Settings,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    mut stop: Stop,
) {
    loop {
        let (settings, told) = (settings.clone(), Arc::clone(&board));
        let work = tokio::task::spawn_blocking(move || {
            install(&settings, WAIT, |event| tell(&told, &event)).map_err(|error| one_line(&error))
        });
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = stop.ordered() => return,
        };
        let failed = match outcome {
            Ok(Ok(_)) => {
                metrics.installed(InstallResult::Success);
                board.set(
                    Check::Install,
                    Standing::Ready("binary and entry are in place".into()),
                );
                stop.ordered().await;
                return;
            }
            Ok(Err(words)) => words,
            Err(error) => one_line(&error),
        };
        warn!("install: {failed}");
        metrics.installed(InstallResult::Failure);
        board.set(Check::Install, Standing::NotReady(failed));
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.ordered() => return,
        }
    }
}

fn tell(board: &Board, event: &Event<'_>) {
    match event {
        Event::Done(step) => info!("install: {step}"),
        Event::Waiting(refusal) => {
            info!("install: waiting: {refusal}");
            board.set(
                Check::Install,
                Standing::NotReady(format!("waiting: {refusal}")),
            );
        }
    }
}
