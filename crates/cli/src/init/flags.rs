//! The flags of the meshes' init commands as data: names, environment, default, help.

pub(crate) mod linkerd;
mod table;

pub(crate) use table::*;

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// One flag. Of Istio's, the environment variable is its long name in capitals with `_` for `-`.
#[derive(Debug)]
pub(crate) struct Flag {
    /// The long name, without the dashes.
    pub(crate) long: &'static str,
    /// The one-letter name.
    pub(crate) short: Option<char>,
    /// Whether environment variables set it, too.
    reads_environment: bool,
    /// Other environment variables that Istio reads, now or in older versions.
    pub(crate) other_variables: &'static [&'static str],
    /// Its kind of value.
    pub(crate) takes: Takes,
    /// The flag without which the command requires it.
    required_unless: Option<&'static str>,
    /// Its value if it is not set.
    pub(crate) default: &'static str,
    /// The help text, without environment variables and default.
    pub(crate) help: &'static str,
}

/// The kind of value that a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A value, with its name in the help.
    Value(&'static str),
    /// A comma-separated list, with its name in the help. Further flags add to it.
    List(&'static str),
    /// Nothing, or `=true` or `=false`.
    Switch,
}

/// The flags of one mesh on the command line, not parsed yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct GivenFlags {
    values: BTreeMap<&'static str, String>,
}

impl Flag {
    const fn value(long: &'static str, name: &'static str) -> Self {
        Self {
            long,
            short: None,
            reads_environment: true,
            other_variables: &[],
            takes: Takes::Value(name),
            required_unless: None,
            default: "",
            help: "",
        }
    }

    const fn switch(long: &'static str) -> Self {
        let takes = Takes::Switch;
        Self {
            takes,
            ..Self::value(long, "")
        }
    }

    const fn short(self, short: char) -> Self {
        let short = Some(short);
        Self { short, ..self }
    }

    const fn or_variables(self, other_variables: &'static [&'static str]) -> Self {
        Self {
            other_variables,
            ..self
        }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    /// The environment variables that set it; the first that is set and not empty wins.
    pub(crate) fn variables(&self) -> Vec<String> {
        if !self.reads_environment {
            return Vec::new();
        }
        let own = self.long.to_uppercase().replace('-', "_");
        let others = self.other_variables.iter().copied().map(str::to_owned);
        others.chain([own]).collect()
    }

    pub(crate) fn argument(&'static self) -> Arg {
        let argument = Arg::new(self.long).long(self.long).help(self.help_text());
        let argument = match self.required_unless {
            Some(other) => argument.required_unless_present(other),
            None => argument,
        };
        let argument = match self.short {
            Some(short) => argument.short(short),
            None => argument,
        };
        let argument = match self.takes {
            Takes::List(_) => argument.action(ArgAction::Append),
            Takes::Value(_) | Takes::Switch => {
                argument.action(ArgAction::Set).overrides_with(self.long)
            }
        };
        match self.takes {
            // As in Go, the next argument is the value, even if it begins with `-`.
            Takes::Value(name) | Takes::List(name) => argument
                .value_name(name)
                .num_args(1)
                .allow_hyphen_values(true),
            Takes::Switch => argument
                .value_name("BOOL")
                .hide_possible_values(true)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true"),
        }
    }

    fn help_text(&self) -> String {
        let variables = self.variables().join(", ");
        let noted = |kind: &str, value: &str| match value {
            "" => String::new(),
            value => format!(" [{kind}: {value}]"),
        };
        [
            self.help,
            &noted("env", &variables),
            &noted("default", self.default),
        ]
        .concat()
    }
}

/// Whether a flag of Istio's reads the environment variable of that name.
pub(crate) fn is_variable(name: &str) -> bool {
    let mut flags = FLAGS.iter();
    flags.any(|flag| flag.variables().iter().any(|variable| variable == name))
}

/// The arguments of an istio-init container begin with the name of Istio's command.
fn own_name() -> Arg {
    Arg::new("own name")
        .value_parser(["istio-iptables"])
        .hide(true)
}

impl GivenFlags {
    /// The value on the command line, not parsed.
    pub(crate) fn get(&self, flag: &Flag) -> Option<&str> {
        self.values.get(flag.long).map(String::as_str)
    }
}

impl Args for GivenFlags {
    fn augment_args(command: Command) -> Command {
        let arguments = FLAGS.iter().map(|flag| flag.argument());
        command.arg(own_name()).args(arguments)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for GivenFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Self::default();
        given.update_from_arg_matches(matches)?;
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        // The command has the flags of one mesh.
        for flag in FLAGS.iter().chain(linkerd::FLAGS) {
            if let Ok(Some(values)) = matches.try_get_many::<String>(flag.long) {
                let items = values.map(String::as_str).filter(|text| !text.is_empty());
                let items: Vec<_> = items.collect();
                self.values.insert(flag.long, items.join(","));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        for flags in [FLAGS, linkerd::FLAGS] {
            let names: BTreeSet<_> = flags.iter().map(|flag| flag.long).collect();
            assert_eq!(names.len(), flags.len());
            let shorts: Vec<_> = flags.iter().filter_map(|flag| flag.short).collect();
            assert_eq!(shorts.iter().collect::<BTreeSet<_>>().len(), shorts.len());
        }
        let variables: Vec<_> = FLAGS.iter().flat_map(|flag| flag.variables()).collect();
        assert_eq!(
            variables.iter().collect::<BTreeSet<_>>().len(),
            variables.len()
        );
    }

    #[test]
    fn the_variable_is_the_name_in_upper_case() {
        assert_eq!(SERVICE_CIDR.variables(), ["ISTIO_SERVICE_CIDR"]);
        assert_eq!(DROP_INVALID.variables(), ["INVALID_DROP", "DROP_INVALID"]);
        assert_eq!(linkerd::PROXY_UID.variables(), [""; 0]);
    }
}
