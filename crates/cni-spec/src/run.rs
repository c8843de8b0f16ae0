//! Runs one call of a plugin.

use std::any::Any;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use crate::net_conf::{STDIN_LIMIT, read_json};
use crate::request::Variables;
use crate::{CniError, Command, Environment, ErrorCode, NetConf, Plugin, SpecVersion, version};

/// Runs one call and returns the exit code of the process: 0 or 1.
///
/// - Without `CNI_COMMAND`, prints the plugin's name and versions to `stderr`.
/// - ADD and VERSION write one JSON document to `stdout`; the other commands write nothing.
/// - A call that fails writes one error object to `stdout`. A panic of the plugin has code 999; it
///   is caught only if panics unwind. Otherwise the program's panic hook writes [`panicked`].
/// - If `stdout` cannot be written, the exit code is 1 and the error is printed to `stderr`.
///
/// No other streams are read or written.
pub fn run(
    plugin: &dyn Plugin,
    environment: &Environment,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let mut invocation = Invocation {
        plugin,
        environment,
        stderr,
        version: SpecVersion::LATEST,
    };
    // After a panic only `version` is read, which is always valid.
    let result = catch_unwind(AssertUnwindSafe(|| invocation.run(stdin)))
        .unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    let (document, exit_code) = match result {
        Ok(document) => (document, 0),
        Err(error) => (Some(error.to_value(invocation.version)), 1),
    };
    match document.map_or(Ok(()), |document| write(stdout, &document)) {
        Ok(()) => exit_code,
        Err(error) => {
            invocation.print(&format!("cannot write the result to stdout: {error}"));
            1
        }
    }
}

/// A call, and the version in which it reports errors.
struct Invocation<'a> {
    plugin: &'a dyn Plugin,
    environment: &'a Environment,
    stderr: &'a mut dyn Write,
    version: SpecVersion,
}

impl Invocation<'_> {
    fn print_about(&mut self) {
        let about = self.plugin.about();
        let versions = version::join(self.plugin.supported_versions());
        self.print(&format!(
            "{about}\nCNI protocol versions supported: {versions}"
        ));
    }

    /// Ignores errors, because they cannot be reported anywhere else.
    fn print(&mut self, line: &str) {
        drop(writeln!(self.stderr, "{line}"));
    }

    fn run(&mut self, stdin: &mut dyn Read) -> Result<Option<Value>, CniError> {
        self.version = latest(self.plugin);
        let Some(command) = self.environment.get_non_empty("CNI_COMMAND")? else {
            self.print_about();
            return Ok(None);
        };
        let command: Command = command
            .parse()
            .map_err(|error: crate::UnknownCommand| CniError::environment(error.to_string()))?;
        if command == Command::Version {
            return Ok(Some(self.versions(stdin)));
        }
        let variables = Variables::read(command, self.environment)?;
        let input = read(stdin)?;
        let conf = self.configuration(command, &input)?;
        self.dispatch(command, variables, conf)
    }

    /// The result of VERSION: it echoes the version of the request, and ignores invalid input.
    fn versions(&mut self, stdin: &mut dyn Read) -> Value {
        let requested = read(stdin)
            .and_then(|input| requested_version(&input))
            .unwrap_or_else(|error| {
                self.print(&format!("VERSION ignores an error: {}", error.msg()));
                None
            })
            .unwrap_or_else(|| self.version.as_str().to_owned());
        let supported: Vec<_> = self
            .plugin
            .supported_versions()
            .iter()
            .map(|version| version.as_str())
            .collect();
        json!({"cniVersion": requested, "supportedVersions": supported})
    }

    fn configuration(&mut self, command: Command, input: &[u8]) -> Result<NetConf, CniError> {
        let supported = self.plugin.supported_versions();
        let conf = read_json(input)?;
        self.version = named_version(&conf, supported).unwrap_or(self.version);
        let (conf, errors) = NetConf::parse_for(supported, conf)?;
        if conf.cni_version < command.since() {
            return Err(too_old(command, conf.cni_version));
        }
        for error in errors {
            if command != Command::Del {
                return Err(error);
            }
            self.print(&format!("DEL ignores an error: {}", error.msg()));
        }
        Ok(conf)
    }

    fn dispatch(
        &mut self,
        command: Command,
        variables: Variables,
        conf: NetConf,
    ) -> Result<Option<Value>, CniError> {
        let (plugin, version) = (self.plugin, conf.cni_version);
        let result = match command {
            Command::Add => plugin.add(&variables.into_add(conf)).map(Some),
            Command::Check => plugin.check(&variables.into_add(conf)).map(|()| None),
            Command::Del => plugin.del(&variables.into_del(conf)).map(|()| None),
            Command::Gc => plugin.gc(&variables.into_gc(conf)).map(|()| None),
            Command::Status => plugin.status(&variables.into_status(conf)).map(|()| None),
            Command::Version => Ok(None),
        };
        result?
            .map(|result| with_version(result, version))
            .transpose()
    }
}

fn latest(plugin: &dyn Plugin) -> SpecVersion {
    plugin
        .supported_versions()
        .iter()
        .copied()
        .max()
        .unwrap_or(SpecVersion::LATEST)
}

/// The `cniVersion` of a VERSION request, whose stdin may be empty.
fn requested_version(input: &[u8]) -> Result<Option<String>, CniError> {
    if input.trim_ascii().is_empty() {
        return Ok(None);
    }
    let conf = read_json(input)?;
    Ok(conf
        .get("cniVersion")
        .and_then(Value::as_str)
        .filter(|version| !version.is_empty())
        .map(str::to_owned))
}

/// The version for errors in the rest of the configuration, if it is supported.
fn named_version(conf: &Value, supported: &[SpecVersion]) -> Option<SpecVersion> {
    let named = SpecVersion::of_config(conf.get("cniVersion")?.as_str()?).ok()?;
    supported.contains(&named).then_some(named)
}

/// Reads stdin up to [`STDIN_LIMIT`].
fn read(stdin: &mut dyn Read) -> Result<Vec<u8>, CniError> {
    let mut input = Vec::new();
    stdin
        .take(STDIN_LIMIT as u64 + 1)
        .read_to_end(&mut input)
        .map_err(|error| {
            CniError::io(format!(
                "cannot read the network configuration from stdin: {error}"
            ))
        })?;
    if input.len() > STDIN_LIMIT {
        return Err(CniError::decoding(format!(
            "network configuration on stdin has more than {STDIN_LIMIT} bytes"
        )));
    }
    Ok(input)
}

fn write(stdout: &mut dyn Write, document: &Value) -> io::Result<()> {
    stdout.write_all(format!("{document}\n").as_bytes())?;
    stdout.flush()
}

/// Adds `cniVersion` to the plugin's result, which must be an object, if it is missing.
fn with_version(result: Value, version: SpecVersion) -> Result<Value, CniError> {
    let Value::Object(mut fields) = result else {
        return Err(
            CniError::internal("the plugin's result of ADD is not a JSON object")
                .with_details("this is a bug in the plugin: report it to its authors"),
        );
    };
    if !fields.contains_key("cniVersion") {
        fields.shift_insert(0, "cniVersion".to_owned(), version.as_str().into());
    }
    Ok(Value::Object(fields))
}

fn too_old(command: Command, found: SpecVersion) -> CniError {
    let since = command.since();
    let msg = format!("configuration version does not allow {command}");
    CniError::new(ErrorCode::IncompatibleVersion, msg).with_details(format!(
        "field `cniVersion` is `{found}`, {command} requires {since} or newer"
    ))
}

/// The error for a panic with this payload.
pub fn panicked(panic: &(dyn Any + Send)) -> CniError {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    CniError::internal(format!("the plugin panicked: {text}"))
        .with_details("this is a bug in the plugin: report it to its authors with this message")
}
