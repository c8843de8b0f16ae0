//! The attachment of a container to a network.

use crate::json::Object;
use crate::{CniError, ContainerId, IfName};

/// Identifies an attachment within its network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attachment {
    /// The container.
    pub container_id: ContainerId,
    /// The interface in the container.
    pub ifname: IfName,
}

impl Attachment {
    /// Reads an item of `cni.dev/valid-attachments`, `{"containerID": …, "ifname": …}`.
    pub(crate) fn from_object(mut fields: Object) -> Result<Self, CniError> {
        Ok(Self {
            container_id: fields.name("containerID")?,
            ifname: fields.name("ifname")?,
        })
    }
}
