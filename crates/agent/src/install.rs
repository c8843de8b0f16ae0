//! Keeps the plugin's binary and its chain entry in place while the agent runs.

use std::sync::Arc;

use tracing::{info, warn};

use crate::metrics::{InstallResult, Metrics};
use crate::readiness::{Board, Check, Standing};
use crate::shutdown::Stop;
use mesh_cni_installer::{KeepEvent, Settings, error_chain as one_line, stop_channel};

/// Installs, puts back what others undo, and says on the board how that stands, until it is told to
/// stop. What is in place stays in place then.
///
/// The work is done on a thread of its own, since it waits for disks; that thread may be ended by
/// the end of the process at any instruction, as every installation may.
pub(crate) async fn keep(
    settings: Settings,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    mut stop: Stop,
) {
    let (stopper, end) = match stop_channel() {
        Ok(pair) => pair,
        Err(error) => return say(&board, Standing::NotReady(one_line(&error))),
    };
    let mut teller = Teller {
        board: Arc::clone(&board),
        metrics,
        worked: true,
    };
    let work = tokio::task::spawn_blocking(move || {
        mesh_cni_installer::keep(&settings, &end, |event| teller.tell(event));
    });
    tokio::select! {
        outcome = work => {
            let words = outcome.err().map(|error| one_line(&error));
            let words = words.unwrap_or_else(|| "nobody keeps it in place any more".into());
            say(&board, Standing::NotReady(words));
        }
        () = stop.ordered() => drop(stopper),
    }
}

/// Tells the log, the board and the metrics what the keeper tells.
struct Teller {
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    /// Has something been done since the plugin was last in place?
    worked: bool,
}

impl Teller {
    fn tell(&mut self, event: &KeepEvent<'_>) {
        match event {
            KeepEvent::Done(step) => {
                info!("install: {step}");
                self.worked = true;
            }
            KeepEvent::Polling(error) => {
                warn!("install: no watches, looking twice a second instead: {error}");
            }
            KeepEvent::Contested { .. } => self.metrics.contested(),
            _ => {}
        }
        match event.readiness() {
            None => {}
            Some(Ok(())) => {
                if std::mem::take(&mut self.worked) {
                    self.metrics.installed(InstallResult::Success);
                }
                let words = "binary and entry are in place".to_owned();
                say(&self.board, Standing::Ready(words));
            }
            Some(Err(words)) => {
                if !event.is_transient() {
                    self.metrics.installed(InstallResult::Failure);
                }
                say(&self.board, Standing::NotReady(words));
            }
        }
    }
}

/// Writes it on the board, and into the log if it is new.
fn say(board: &Board, standing: Standing) {
    let words = standing.words().to_owned();
    let ready = standing.is_ready();
    match (board.set(Check::Install, standing), ready) {
        (false, _) => {}
        (true, true) => info!("install: {words}"),
        (true, false) => warn!("install: {words}"),
    }
}
