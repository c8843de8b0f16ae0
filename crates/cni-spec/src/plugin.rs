//! What a plugin must be able to do.

use serde_json::Value;

use crate::{
    AddRequest, CheckRequest, CniError, DelRequest, GcRequest, SpecVersion, StatusRequest,
};

/// A CNI plugin; [`run`](crate::run) does the talking.
///
/// A plugin may log to stderr or to files. It must never write to stdout, which carries the one
/// answer of the call.
pub trait Plugin {
    /// The plugin's name and version in one line, for people who start it by hand.
    fn about(&self) -> &str;

    /// The versions that the plugin speaks, oldest first.
    fn supported_versions(&self) -> &[SpecVersion] {
        SpecVersion::ALL
    }

    /// Attaches the container and answers the result in the configuration's version: from
    /// [`CniResult::to_value`](crate::CniResult::to_value) or, for a chained plugin, from
    /// [`pass_through`](crate::pass_through). It may be called again for the same namespace.
    fn add(&self, request: &AddRequest) -> Result<Value, CniError>;

    /// Fails when the attachment is not as the plugin's ADD left it.
    fn check(&self, request: &CheckRequest) -> Result<(), CniError>;

    /// Takes the attachment down. It succeeds when there is nothing left to take down, the
    /// namespace included: a DEL that fails keeps the container's addresses from being freed.
    fn del(&self, request: &DelRequest) -> Result<(), CniError>;

    /// Removes what belongs to attachments that are not valid any more. A plugin that keeps
    /// nothing outside the container has nothing to do.
    fn gc(&self, request: &GcRequest) -> Result<(), CniError> {
        let _ = request;
        Ok(())
    }

    /// Fails with code 50 or 51 when an ADD could not work now. Runtimes ask every few seconds,
    /// so the answer must be quick and must not need the network.
    fn status(&self, request: &StatusRequest) -> Result<(), CniError> {
        let _ = request;
        Ok(())
    }
}
