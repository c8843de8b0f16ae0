//! The flags of repair, with the names of Istio CNI.

use clap::{ArgAction, Args};
use mesh_cni_agent::{RepairMethod, RepairSettings};

use crate::failure::Failure;

#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "Istio CNI has these four switches"
)]
#[command(next_help_heading = "Repair of pods that started without the plugin")]
pub(super) struct RepairFlags {
    /// Check pods of this node for missing rules, and do what the next flags enable
    #[arg(
        long = "repair-enabled",
        env = "REPAIR_ENABLED",
        value_name = "BOOL",
        default_value_t = false,
        action = ArgAction::Set
    )]
    enabled: bool,
    /// Apply the rules in the namespace of the running pod, without a restart. Overrides deletion
    #[arg(
        long = "repair-repair-pods",
        env = "REPAIR_REPAIR_PODS",
        value_name = "BOOL",
        default_value_t = true,
        action = ArgAction::Set
    )]
    repair_pods: bool,
    /// Delete pods whose validation fails, so that their controller creates others
    #[arg(
        long = "repair-delete-pods",
        env = "REPAIR_DELETE_PODS",
        value_name = "BOOL",
        default_value_t = false,
        action = ArgAction::Set
    )]
    delete_pods: bool,
    /// Label broken pods until they are repaired
    #[arg(
        long = "repair-label-pods",
        env = "REPAIR_LABEL_PODS",
        value_name = "BOOL",
        default_value_t = false,
        action = ArgAction::Set
    )]
    label_pods: bool,
    /// The name of the init container that checks the rules in pods of Istio. A pod in which it fails is
    /// broken. In pods of Linkerd this container is always `linkerd-network-validator`, in pods of Kuma
    /// `kuma-validation`
    #[arg(
        long = "repair-init-container-name",
        env = "REPAIR_INIT_CONTAINER_NAME",
        value_name = "NAME",
        default_value = "istio-validation"
    )]
    init_container_name: String,
    /// The key of the label
    #[arg(
        long = "repair-broken-pod-label-key",
        env = "REPAIR_BROKEN_POD_LABEL_KEY",
        value_name = "KEY",
        default_value = "cni.istio.io/uninitialized"
    )]
    broken_pod_label_key: String,
    /// The value of the label
    #[arg(
        long = "repair-broken-pod-label-value",
        env = "REPAIR_BROKEN_POD_LABEL_VALUE",
        value_name = "VALUE",
        default_value = "true"
    )]
    broken_pod_label_value: String,
}

impl RepairFlags {
    /// The settings; `None` if repair is disabled.
    pub(super) fn settings(&self) -> Result<Option<RepairSettings>, Failure> {
        if !self.enabled {
            return Ok(None);
        }
        let mut settings = RepairSettings::default();
        settings.method = match (self.repair_pods, self.delete_pods) {
            (true, _) => Some(RepairMethod::InPlace),
            (false, true) => Some(RepairMethod::Delete),
            (false, false) => None,
        };
        settings.label_pods = self.label_pods;
        if settings.method.is_none() && !settings.label_pods {
            return Err(Failure::wrong(
                "--repair-enabled is true, but no action for broken pods is enabled".to_owned(),
                "set --repair-repair-pods, --repair-delete-pods or --repair-label-pods to true",
            ));
        }
        settings
            .init_container
            .clone_from(&self.init_container_name);
        settings.label = (
            self.broken_pod_label_key.clone(),
            self.broken_pod_label_value.clone(),
        );
        Ok(Some(settings))
    }
}
