//! An attachment: one interface of one container in a network.

use crate::json::Object;
use crate::{CniError, ContainerId, IfName};

/// What identifies an attachment within its network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attachment {
    /// The container.
    pub container_id: ContainerId,
    /// The interface inside it.
    pub ifname: IfName,
}

impl Attachment {
    /// An entry of `cni.dev/valid-attachments`, `{"containerID": …, "ifname": …}`.
    pub(crate) fn from_object(mut fields: Object) -> Result<Self, CniError> {
        Ok(Self {
            container_id: parsed(&mut fields, "containerID")?,
            ifname: parsed(&mut fields, "ifname")?,
        })
    }
}

fn parsed<T: std::str::FromStr<Err = crate::NameError>>(
    fields: &mut Object,
    key: &str,
) -> Result<T, CniError> {
    let text = fields.text(key)?;
    let text = fields.required(key, "a string", text)?;
    let path = fields.path_of(key);
    text.parse()
        .map_err(|error| CniError::config(format!("field `{path}` {error}")))
}
