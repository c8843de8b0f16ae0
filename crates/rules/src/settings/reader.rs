//! Reading one setting at a time, so that every error names what it came from.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::{Annotation, PodSettings};
use crate::value::{
    InvalidItem, Selected, UnwrittenRanges, boolean, list, single, wildcard_or_list,
};
use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_netfilter::value::{Port, excerpt};

/// A setting whose value cannot be used. Displayed, a long value is cut around the item.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{setting} = `{}`", excerpt(value, problem.position))]
#[non_exhaustive]
pub struct InvalidSetting {
    /// Which setting.
    pub setting: SettingName,
    /// Its whole value.
    pub value: String,
    /// The item that is wrong.
    #[source]
    pub problem: InvalidItem,
}

/// Where a setting came from, by its name there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingName {
    /// An annotation of the pod.
    Annotation(&'static str),
    /// An entry of `defaults` in the plugin's network configuration.
    Default(&'static str),
    /// A field of the proxy container's `securityContext`.
    SecurityContext(&'static str),
}

pub(super) struct Reader<'pod> {
    settings: &'pod PodSettings<'pod>,
    pub(super) warnings: Vec<String>,
}

pub(super) struct Found<'pod> {
    pub(super) setting: SettingName,
    pub(super) value: &'pod str,
}

impl InvalidSetting {
    /// The setting of that name, its value, and what is wrong with it.
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
            Self::Default(key) => write!(f, "defaults entry {key}"),
            Self::SecurityContext(field) => {
                write!(f, "securityContext.{field} of the proxy's container")
            }
        }
    }
}

impl<'pod> Reader<'pod> {
    pub(super) fn new(settings: &'pod PodSettings<'pod>) -> Self {
        Self {
            settings,
            warnings: Vec::new(),
        }
    }

    pub(super) fn single<T>(
        &self,
        annotation: Annotation,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<Option<T>, InvalidSetting> {
        self.read(annotation, |value| single(value, parse, expected))
    }

    pub(super) fn list<T: Ord + Clone>(
        &self,
        annotation: Annotation,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<Option<Vec<T>>, InvalidSetting> {
        self.read(annotation, |value| list(value, parse, expected))
    }

    pub(super) fn wildcard_or_list<T: Ord + Clone>(
        &self,
        annotation: Annotation,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<Option<Selected<T>>, InvalidSetting> {
        self.read(annotation, |value| wildcard_or_list(value, parse, expected))
    }

    pub(super) fn ports(
        &self,
        annotation: Annotation,
    ) -> Result<Option<Vec<Port>>, InvalidSetting> {
        self.list(annotation, Port::parse, Port::EXPECTED)
    }

    /// A boolean of the proxy's environment, read as Go's `strconv.ParseBool` does. What does not
    /// parse counts as false, with a warning, as in Istio.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let Some(value) = lookup(self.settings.proxy_env, name) else {
            return false;
        };
        match boolean(value) {
            Some(value) => value,
            None if value.is_empty() => false,
            None => {
                let value = excerpt(value, 1);
                self.warnings.push(format!(
                    "environment {name}=`{value}` of the proxy is no boolean and counts as false"
                ));
                false
            }
        }
    }

    /// Those ranges of a list that no rule carries out.
    pub(super) fn unwritten(
        &self,
        annotation: Annotation,
        families: &[Family],
    ) -> Option<(Found<'pod>, UnwrittenRanges)> {
        let found = self.find(annotation)?;
        let unwritten = UnwrittenRanges::find(found.value, families)?;
        Some((found, unwritten))
    }

    /// The annotation's value, else the node's default for it.
    fn read<T>(
        &self,
        annotation: Annotation,
        parse: impl FnOnce(&str) -> Result<T, InvalidItem>,
    ) -> Result<Option<T>, InvalidSetting> {
        let Some(Found { setting, value }) = self.find(annotation) else {
            return Ok(None);
        };
        match parse(value) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(problem) => Err(InvalidSetting::new(setting, value, problem)),
        }
    }

    fn find(&self, annotation: Annotation) -> Option<Found<'pod>> {
        let key = annotation.key();
        let found = |map, setting| lookup(map, key).map(|value| Found { setting, value });
        found(self.settings.annotations, SettingName::Annotation(key))
            .or_else(|| found(self.settings.defaults, SettingName::Default(key)))
    }
}

/// A user or group id from the container's security context; 0 counts as none, since rules for
/// root would let everything that root sends past the proxy.
pub(super) fn owner(
    field: &'static str,
    id: Option<i64>,
    expected: &'static str,
) -> Result<Option<u32>, InvalidSetting> {
    let Some(id) = id.filter(|id| *id != 0) else {
        return Ok(None);
    };
    if let Some(id) = u32::try_from(id).ok().filter(|id| *id != u32::MAX) {
        return Ok(Some(id));
    }
    let value = id.to_string();
    let problem = InvalidItem {
        item: value.clone(),
        position: 1,
        expected,
    };
    let setting = SettingName::SecurityContext(field);
    Err(InvalidSetting::new(setting, &value, problem))
}

fn lookup<'pod>(map: Option<&'pod BTreeMap<String, String>>, key: &str) -> Option<&'pod str> {
    map?.get(key).map(String::as_str)
}
