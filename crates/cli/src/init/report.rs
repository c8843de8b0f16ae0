//! What `init` did, as text and as JSON.

use std::net::SocketAddr;

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netns::Applied;
use serde::Serialize;

/// What `init` did.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Report {
    pub(super) action: Action,
    /// What changed in the namespace; null if nothing was applied or removed.
    pub(super) changed: Option<ShownChange>,
    /// With --dry-run, the input of iptables-restore that would be applied; null without it.
    pub(super) rules: Option<String>,
    /// The families whose rules --run-validation confirmed.
    pub(super) validated: Vec<Validated>,
}

/// What the settings ask for.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// Apply the rules.
    Apply,
    /// Print the rules.
    Print,
    /// Check the settings.
    Check,
    /// Remove the rules.
    Remove,
    /// Print what would remove the rules.
    PrintRemoval,
}

/// A change of the namespace.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ShownChange {
    /// `created`, `replaced`, `unchanged` or `removed`.
    change: String,
    /// The back end that made it.
    backend: &'static str,
    /// The families of the rules that were applied: `IPv4`, `IPv6`.
    families: Vec<String>,
}

/// A connection that arrived at the proxy's port.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Validated {
    /// `IPv4` or `IPv6`.
    pub(super) family: String,
    /// The address and port that it was sent to.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub(super) original: SocketAddr,
    /// The port.
    pub(super) port: u16,
}

impl Action {
    /// Whether rules are compiled, to be applied or printed.
    pub(super) fn compiles(self) -> bool {
        match self {
            Self::Apply | Self::Print => true,
            Self::Check | Self::Remove | Self::PrintRemoval => false,
        }
    }
}

impl ShownChange {
    pub(super) fn new(applied: Applied, families: &[Family]) -> Self {
        Self {
            change: applied.change.to_string(),
            backend: applied.backend.as_str(),
            families: families.iter().map(ToString::to_string).collect(),
        }
    }

    fn text(&self) -> String {
        let Self {
            change,
            backend,
            families,
        } = self;
        let families = families.join(" and ");
        match change.as_str() {
            "removed" => format!("rules removed by {backend}\n"),
            _ => format!("{families} rules {change} by {backend}\n"),
        }
    }
}

impl Report {
    pub(super) fn new(action: Action) -> Self {
        Self {
            action,
            changed: None,
            rules: None,
            validated: Vec::new(),
        }
    }

    pub(super) fn has_result(&self) -> bool {
        self.changed.is_some() || self.rules.is_some() || !self.validated.is_empty()
    }

    pub(super) fn text(&self) -> String {
        let mut text = self.rules.clone().unwrap_or_default();
        // Where no rules were, nothing is said about their removal.
        let is_shown =
            |change: &&ShownChange| self.action == Action::Apply || change.change != "unchanged";
        let changed = self.changed.as_ref().filter(is_shown);
        text.extend(changed.map(ShownChange::text));
        text.extend(self.validated.iter().map(|validated| {
            let Validated {
                family,
                original,
                port,
            } = validated;
            format!("{family} rules validated: a connection to {original} arrived at port {port}\n")
        }));
        text
    }
}
