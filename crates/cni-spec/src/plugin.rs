//! The interface that a plugin implements.

use serde_json::Value;

use crate::{
    AddRequest, CheckRequest, CniError, DelRequest, GcRequest, SpecVersion, StatusRequest,
};

/// A CNI plugin; [`run`](crate::run) calls it.
///
/// A plugin may log to stderr or to files. It must not write to stdout, which is reserved for the
/// result.
pub trait Plugin {
    /// The plugin's name and version in one line, printed when it is started without a command.
    fn about(&self) -> &str;

    /// The versions that the plugin supports, oldest first.
    fn supported_versions(&self) -> &[SpecVersion] {
        SpecVersion::ALL
    }

    /// Attaches the container and returns the result in the configuration's version, from
    /// [`CniResult::to_value`](crate::CniResult::to_value) or, in a chained plugin, from
    /// [`pass_through`](crate::pass_through). It may be called again for the same namespace.
    fn add(&self, request: &AddRequest) -> Result<Value, CniError>;

    /// Fails if the attachment is no longer as ADD set it up.
    fn check(&self, request: &CheckRequest) -> Result<(), CniError>;

    /// Removes the attachment. It must succeed if there is nothing to remove, even without the
    /// namespace: a DEL that fails prevents the container's addresses from being freed.
    fn del(&self, request: &DelRequest) -> Result<(), CniError>;

    /// Removes the resources of attachments that are no longer valid. A plugin without resources
    /// outside the container has nothing to do.
    fn gc(&self, request: &GcRequest) -> Result<(), CniError> {
        let _ = request;
        Ok(())
    }

    /// Fails with code 50 or 51 if an ADD cannot succeed now. Runtimes call it every few seconds, so
    /// it must be fast and must not need the network.
    fn status(&self, request: &StatusRequest) -> Result<(), CniError> {
        let _ = request;
        Ok(())
    }
}
