//! The names and errors of settings.

use std::fmt;

use mesh_cni_netfilter::value::excerpt;
use thiserror::Error;

use crate::value::InvalidItem;

/// A setting whose value is not valid. Displayed, a long value is cut around the item.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{setting} = `{}`", excerpt(value, problem.position))]
#[non_exhaustive]
pub struct InvalidSetting {
    /// The setting.
    pub setting: SettingName,
    /// Its whole value.
    pub value: String,
    /// The invalid item.
    #[source]
    pub problem: InvalidItem,
}

/// Where a setting was found, with its name there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingName {
    /// An annotation of the pod.
    Annotation(&'static str),
    /// A field of the document in an annotation.
    InAnnotation {
        /// The annotation.
        annotation: &'static str,
        /// The names of the field and those that contain it, with dots between them.
        path: &'static str,
        /// The index of an item, if the field is a list.
        index: Option<usize>,
    },
    /// An entry of `defaults` in the plugin's network configuration.
    Default(&'static str),
    /// A field of the proxy container's `securityContext`.
    SecurityContext(&'static str),
    /// An annotation of the pod's namespace.
    NamespaceAnnotation(&'static str),
    /// A field of the plugin's network configuration, by its path.
    Field(&'static str),
    /// An environment variable of the proxy's container.
    Variable(&'static str),
}

impl InvalidSetting {
    /// An error for the setting of that name.
    pub fn new(setting: SettingName, value: &str, problem: InvalidItem) -> Self {
        Self {
            setting,
            value: value.to_owned(),
            problem,
        }
    }
}

impl fmt::Display for SettingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Annotation(key) => write!(f, "annotation {key}"),
            Self::InAnnotation {
                annotation,
                path,
                index,
            } => {
                let index = index.map(|index| format!("[{index}]")).unwrap_or_default();
                write!(f, "field {path}{index} of annotation {annotation}")
            }
            Self::Default(key) => write!(f, "defaults entry {key}"),
            Self::SecurityContext(field) => {
                write!(f, "securityContext.{field} of the proxy's container")
            }
            Self::NamespaceAnnotation(key) => write!(f, "annotation {key} of the namespace"),
            Self::Field(path) => write!(f, "field {path}"),
            Self::Variable(name) => write!(f, "environment {name} of the proxy's container"),
        }
    }
}
