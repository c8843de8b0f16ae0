//! The order to stop, heard by every part of the agent.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The order to stop. Clones hear the same order.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// Who gives the order. It also counts as given when this is dropped.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stop {
    /// An order, and who gives it.
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Self(receiver))
    }

    /// Waits for the order.
    pub async fn ordered(&mut self) {
        // An error says that nobody is left to give it.
        drop(self.0.wait_for(|stop| *stop).await);
    }

    /// Whether it is given.
    pub fn is_ordered(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl Stopper {
    /// Gives the order.
    pub fn order(&self) {
        self.0.send_replace(true);
    }
}

/// Waits for SIGTERM or SIGINT and gives back its name.
pub(crate) async fn terminated() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
