//! Reads one setting at a time, so that every error names its setting.

use std::collections::BTreeMap;

use mesh_cni_netfilter::value::{InvalidValue, excerpt};
use mesh_cni_netfilter::{Family, Port, PortRange};

use super::{Annotation, PodSettings};
use crate::setting::{InvalidSetting, SettingName};
use crate::value::{
    InvalidItem, Selected, UnsupportedRanges, boolean, list, single, wildcard_or_list,
};
use crate::warning::{Warning, WarningCode};

pub(super) struct Reader<'pod> {
    settings: &'pod PodSettings<'pod>,
    pub(super) warnings: Vec<Warning>,
}

pub(super) struct Setting<'pod> {
    pub(super) setting: SettingName,
    pub(super) value: &'pod str,
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
        parse: impl Fn(&str) -> Result<T, InvalidValue>,
    ) -> Result<Option<T>, InvalidSetting> {
        self.read(annotation, |value| single(value, parse))
    }

    pub(super) fn list<T: Ord + Clone>(
        &self,
        annotation: Annotation,
        parse: impl Fn(&str) -> Result<T, InvalidValue>,
    ) -> Result<Option<Vec<T>>, InvalidSetting> {
        self.read(annotation, |value| list(value, parse))
    }

    pub(super) fn wildcard_or_list<T: Ord + Clone>(
        &self,
        annotation: Annotation,
        parse: impl Fn(&str) -> Result<T, InvalidValue>,
    ) -> Result<Option<Selected<T>>, InvalidSetting> {
        self.read(annotation, |value| wildcard_or_list(value, parse))
    }

    pub(super) fn ports(
        &self,
        annotation: Annotation,
    ) -> Result<Option<Vec<PortRange>>, InvalidSetting> {
        self.list(annotation, single_port)
    }

    /// A boolean in the proxy's environment, in the syntax of Go's `strconv.ParseBool`. An invalid
    /// one is false, with a warning, as in Istio.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let Some(value) = lookup(self.settings.proxy_env, name) else {
            return false;
        };
        match boolean(value) {
            Some(value) => value,
            None if value.is_empty() => false,
            None => {
                let value = excerpt(value, 1);
                self.warnings.push(Warning::new(
                    WarningCode::UnknownValue,
                    format!(
                        "environment {name}=`{value}` of the proxy is not a boolean and counts as false"
                    ),
                ));
                false
            }
        }
    }

    /// The ranges of a list that are of a family without rules.
    pub(super) fn unsupported(
        &self,
        annotation: Annotation,
        families: &[Family],
    ) -> Option<(Setting<'pod>, UnsupportedRanges)> {
        let found = self.find(annotation)?;
        let unsupported = UnsupportedRanges::find(found.value, families)?;
        Some((found, unsupported))
    }

    /// The value of the annotation, else the default in the network configuration.
    fn read<T>(
        &self,
        annotation: Annotation,
        parse: impl FnOnce(&str) -> Result<T, InvalidItem>,
    ) -> Result<Option<T>, InvalidSetting> {
        let Some(Setting { setting, value }) = self.find(annotation) else {
            return Ok(None);
        };
        match parse(value) {
            Ok(parsed) => Ok(Some(parsed)),
            Err(problem) => Err(InvalidSetting::new(setting, value, problem)),
        }
    }

    pub(super) fn find(&self, annotation: Annotation) -> Option<Setting<'pod>> {
        let key = annotation.key();
        let found = |map, setting| lookup(map, key).map(|value| Setting { setting, value });
        found(self.settings.annotations, SettingName::Annotation(key))
            .or_else(|| found(self.settings.defaults, SettingName::Default(key)))
    }
}

/// A port of an annotation.
pub(super) fn single_port(text: &str) -> Result<PortRange, InvalidValue> {
    match text.parse::<Port>() {
        Err(_) if is_range(text) => Err(InvalidValue {
            expected: "a single port: Istio accepts no ranges of ports in annotations; list the \
                       ports, or those to capture instead of those to exclude",
        }),
        parsed => parsed.map(PortRange::from),
    }
}

/// Whether the text is meant as a range of ports.
fn is_range(text: &str) -> bool {
    let is_in_range = |byte: u8| byte.is_ascii_digit() || b":-".contains(&byte);
    text.contains([':', '-']) && !text.starts_with('-') && text.bytes().all(is_in_range)
}

/// A user or group id from the container's security context.
///
/// 0 is ignored: with rules for root, all traffic of root would bypass the proxy.
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
