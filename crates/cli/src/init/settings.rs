//! The settings of `init`: flags override the environment, which overrides the defaults.

use std::io;

use mesh_cni_netfilter::value::{InvalidValue, excerpt};
use mesh_cni_netfilter::{Port, PortRange};
use mesh_cni_rules::value::{
    InvalidItem, Selected, boolean, every_item, list, single, wildcard_or_list,
};

use super::error::{Origin, SettingError};
use super::flags::{Flag, GivenFlags, Takes};

/// Reads an environment variable.
pub(crate) type Lookup<'env> = &'env dyn Fn(&str) -> Option<String>;

/// Reads a whole file.
pub(crate) type ReadFile<'env> = &'env dyn Fn(&str) -> io::Result<String>;

/// Where the settings come from, and the warnings about them.
pub(crate) struct Settings<'env> {
    given: &'env GivenFlags,
    lookup: Lookup<'env>,
    read: ReadFile<'env>,
    /// One line for each warning.
    pub(crate) warnings: Vec<String>,
}

/// A value and where it comes from.
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) origin: Origin,
}

type Result<T> = std::result::Result<T, SettingError>;

impl<'env> Settings<'env> {
    pub(crate) fn new(given: &'env GivenFlags, lookup: Lookup<'env>, read: ReadFile<'env>) -> Self {
        Self {
            given,
            lookup,
            read,
            warnings: Vec::new(),
        }
    }

    /// The value as text; empty if it is not set.
    pub(super) fn text(&self, flag: &Flag) -> String {
        self.get(flag).value
    }

    /// Whether the command line or the environment sets it.
    pub(super) fn is_set(&self, flag: &Flag) -> bool {
        let mut variables = flag.variables().into_iter();
        self.given.get(flag).is_some() || variables.any(|name| self.variable(&name).is_some())
    }

    /// Where the value comes from.
    pub(super) fn origin(&self, flag: &Flag) -> Origin {
        self.get(flag).origin
    }

    /// An environment variable that no flag sets; none if it is empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// The content of a system file.
    pub(super) fn read_file(&self, path: &str) -> io::Result<String> {
        (self.read)(path)
    }

    /// Adds a warning, unless it is there already.
    pub(super) fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Whether a switch is on. As in Istio, a variable that is not a boolean counts as false, with a
    /// warning; such a flag is an error.
    pub(super) fn switch(&mut self, flag: &Flag) -> Result<bool> {
        let setting = self.get(flag);
        match (boolean(&setting.value), &setting.origin) {
            (Some(on), _) => Ok(on),
            (None, Origin::Environment(variable)) => {
                self.warn(format!(
                    "environment {variable} = `{}` is not a boolean and counts as false",
                    excerpt(&setting.value, 1)
                ));
                Ok(false)
            }
            (None, Origin::Flag(_)) => {
                let parse = expecting("a boolean: allowed are `true` and `false`", boolean);
                single(&setting.value, parse).map_err(refusal(setting))
            }
        }
    }

    pub(super) fn port(&self, flag: &Flag) -> Result<Port> {
        self.one(flag, str::parse)
    }

    pub(super) fn ports(&self, flag: &Flag) -> Result<Vec<PortRange>> {
        self.list(flag, str::parse)
    }

    pub(super) fn one<T>(
        &self,
        flag: &Flag,
        parse: impl Fn(&str) -> std::result::Result<T, InvalidValue>,
    ) -> Result<T> {
        let setting = self.get(flag);
        single(&setting.value, parse).map_err(refusal(setting))
    }

    pub(super) fn list<T: Ord + Clone>(
        &self,
        flag: &Flag,
        parse: impl Fn(&str) -> std::result::Result<T, InvalidValue>,
    ) -> Result<Vec<T>> {
        let setting = self.get(flag);
        list(&setting.value, or_empty(parse))
            .map(present)
            .map_err(refusal(setting))
    }

    /// All items in their order, also those that occur twice. An empty item is not valid.
    pub(super) fn every<T>(
        &self,
        flag: &Flag,
        parse: impl Fn(&str) -> std::result::Result<T, InvalidValue>,
    ) -> Result<Vec<T>> {
        let setting = self.get(flag);
        every_item(&setting.value, parse).map_err(refusal(setting))
    }

    pub(super) fn selected<T: Ord + Clone>(
        &self,
        flag: &Flag,
        parse: impl Fn(&str) -> std::result::Result<T, InvalidValue>,
    ) -> Result<Selected<T>> {
        let setting = self.get(flag);
        match wildcard_or_list(&setting.value, or_empty(parse)) {
            Ok(Selected::All) => Ok(Selected::All),
            Ok(Selected::Only(items)) => Ok(Selected::Only(present(items))),
            Err(problem) => Err(refusal(setting)(problem)),
        }
    }

    pub(super) fn get(&self, flag: &Flag) -> Setting {
        let of_flag = |value: &str| Setting {
            value: value.to_owned(),
            origin: Origin::Flag(flag.long),
        };
        if let Some(value) = self.given.get(flag) {
            return of_flag(value);
        }
        let of_environment = flag.variables().into_iter().find_map(|variable| {
            Some(Setting {
                value: self.variable(&variable)?,
                origin: Origin::Environment(variable),
            })
        });
        of_environment.unwrap_or_else(|| match (flag.takes, flag.default) {
            (Takes::Switch, "") => of_flag("false"),
            (_, default) => of_flag(default),
        })
    }
}

/// A parser of items that may be empty: Istio skips those, and its injector writes them.
pub(super) fn or_empty<T>(
    parse: impl Fn(&str) -> std::result::Result<T, InvalidValue>,
) -> impl Fn(&str) -> std::result::Result<Option<T>, InvalidValue> {
    move |text| (!text.is_empty()).then(|| parse(text)).transpose()
}

/// The items that are not empty.
pub(super) fn present<T>(items: Vec<Option<T>>) -> Vec<T> {
    items.into_iter().flatten().collect()
}

/// A parser that fails with the description of the valid values.
pub(super) fn expecting<T>(
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> impl Fn(&str) -> std::result::Result<T, InvalidValue> {
    move |text| parse(text).ok_or(InvalidValue { expected })
}

/// An error for a setting with an item that does not parse.
pub(super) fn refusal(setting: Setting) -> impl FnOnce(InvalidItem) -> SettingError {
    let Setting { value, origin } = setting;
    move |problem| SettingError::Item {
        origin,
        value,
        problem,
    }
}
