//! Keeps the plugin's binary and its entry installed while the agent runs.

use std::sync::Arc;

use mesh_cni_installer::{KeepEvent, Note, Settings, error_chain, stop_channel};
use tracing::{info, warn};

use crate::metrics::{InstallResult, Metrics};
use crate::readiness::{Check, CheckState, Readiness};

/// Installs, restores what other programs remove, and sets the check `install`, until the task is
/// dropped. Everything stays installed then.
///
/// The work blocks on the disk, so it runs on its own thread. The process may exit at any point of
/// it, like any installation.
pub(crate) async fn keep(settings: Settings, readiness: Arc<Readiness>, metrics: Arc<Metrics>) {
    // Dropping it, with this task, ends the thread.
    let (_stopper, stop) = match stop_channel() {
        Ok(pair) => pair,
        Err(error) => return set(&readiness, CheckState::not_ready(error_chain(&error))),
    };
    let mut observer = Observer {
        readiness: Arc::clone(&readiness),
        metrics,
        changed: true,
    };
    let thread = tokio::task::spawn_blocking(move || {
        mesh_cni_installer::keep(&settings, &stop, |event| observer.observe(event));
    });
    let detail = match thread.await {
        Ok(()) => "the installation is no longer watched".to_owned(),
        Err(error) => error_chain(&error),
    };
    set(&readiness, CheckState::not_ready(detail));
}

/// Forwards the events of the installation to the log, the check and the metrics.
struct Observer {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    /// Whether a step was done since the plugin was last completely installed.
    changed: bool,
}

impl Observer {
    fn observe(&mut self, event: &KeepEvent<'_>) {
        match event {
            KeepEvent::Done(step) => {
                info!("install: {step}");
                self.changed = true;
            }
            KeepEvent::Polling(error) => {
                warn!("install: no watches, polling twice a second instead: {error}");
            }
            KeepEvent::Warnings(notes) => self.warn(notes),
            KeepEvent::Contested { .. } => self.metrics.contested(),
            _ => {}
        }
        match event.readiness() {
            None => {}
            Some(Ok(())) => {
                if std::mem::take(&mut self.changed) {
                    self.metrics.installed(InstallResult::Success);
                }
                let detail = "binary and entry are in place";
                set(&self.readiness, CheckState::ready(detail));
            }
            Some(Err(detail)) => {
                if !event.is_transient() {
                    self.metrics.installed(InstallResult::Failure);
                }
                set(&self.readiness, CheckState::not_ready(detail));
            }
        }
    }
}

impl Observer {
    /// Logs why the runtime may not call the plugin, and reports it as a degradation.
    fn warn(&self, notes: &[Note]) {
        let why = |note: &Note| note.to_string().trim_start_matches("warning: ").to_owned();
        let reasons: Vec<_> = notes.iter().map(why).collect();
        for reason in &reasons {
            warn!("install: degraded: {reason}");
        }
        let reasons = Some(reasons.join("; ")).filter(|reasons| !reasons.is_empty());
        if self.readiness.set_degraded("install", reasons.as_deref()) && reasons.is_none() {
            info!("install: no longer degraded");
        }
    }
}

/// Sets the check, and logs it if it changed.
fn set(readiness: &Readiness, state: CheckState) {
    let CheckState { ready, detail } = state.clone();
    match (readiness.set(Check::Install, state), ready) {
        (false, _) => {}
        (true, true) => info!("install: {detail}"),
        (true, false) => warn!("install: {detail}"),
    }
}
