//! The main loop of a plugin: one call in, at most one JSON document out.

use std::any::Any;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value};

use crate::net_conf::{STDIN_LIMIT, read_json};
use crate::request::Variables;
use crate::{CniError, Command, Environment, ErrorCode, NetConf, Plugin, SpecVersion, version};

/// Answers one call and gives back the exit code of the process: 0 or 1.
///
/// - Without `CNI_COMMAND` the plugin introduces itself on `stderr`.
/// - ADD and VERSION answer one JSON document on `stdout`; the other commands answer nothing.
/// - Whatever fails answers one error object there and nothing else, a panic of the plugin
///   included (code 999). A panic is caught only where panics unwind.
/// - When `stdout` cannot be written the exit code is 1 and a line on `stderr` says so.
///
/// Nothing but these streams is read or written.
pub fn run(
    plugin: &dyn Plugin,
    environment: &Environment,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    let mut call = Call {
        plugin,
        environment,
        stderr,
        version: SpecVersion::LATEST,
    };
    // A panic leaves nothing half done that is looked at afterwards.
    let outcome = catch_unwind(AssertUnwindSafe(|| call.answer(stdin)));
    let outcome = outcome.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    let (document, exit_code) = match outcome {
        Ok(document) => (document, 0),
        Err(error) => (Some(error.to_value(call.version)), 1),
    };
    match document.map_or(Ok(()), |document| write(stdout, &document)) {
        Ok(()) => exit_code,
        Err(error) => {
            call.say(&format!(
                "the answer could not be written to stdout: {error}"
            ));
            1
        }
    }
}

/// One call: who is asked, with what, and in which version an error would go out.
struct Call<'a> {
    plugin: &'a dyn Plugin,
    environment: &'a Environment,
    stderr: &'a mut dyn Write,
    version: SpecVersion,
}

impl Call<'_> {
    fn introduce(&mut self) {
        let about = self.plugin.about();
        let versions = version::join(self.plugin.supported_versions());
        self.say(&format!(
            "{about}\nCNI protocol versions supported: {versions}"
        ));
    }

    /// A stderr that cannot be written leaves nobody to tell.
    fn say(&mut self, line: &str) {
        drop(writeln!(self.stderr, "{line}"));
    }

    fn answer(&mut self, stdin: &mut dyn Read) -> Result<Option<Value>, CniError> {
        self.version = latest(self.plugin);
        let Some(command) = self.environment.get_non_empty("CNI_COMMAND")? else {
            self.introduce();
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

    /// VERSION echoes the version it was asked with, and answers in any case.
    fn versions(&mut self, stdin: &mut dyn Read) -> Value {
        let asked = read(stdin).and_then(|input| asked_version(&input));
        let asked = asked.unwrap_or_else(|error| {
            self.say(&format!("VERSION answers all the same: {}", error.msg()));
            None
        });
        let asked = asked.unwrap_or_else(|| self.version.as_str().to_owned());
        let supported = self.plugin.supported_versions().iter();
        let supported = supported.map(|version| version.as_str().into()).collect();
        let mut answer = Map::new();
        answer.insert("cniVersion".to_owned(), asked.into());
        answer.insert("supportedVersions".to_owned(), Value::Array(supported));
        Value::Object(answer)
    }

    fn configuration(&mut self, command: Command, input: &[u8]) -> Result<NetConf, CniError> {
        let supported = self.plugin.supported_versions();
        self.version = named_version(input, supported).unwrap_or(self.version);
        let (conf, complaints) = NetConf::parse_for(supported, input)?;
        if conf.cni_version < command.since() {
            return Err(too_old(command, conf.cni_version));
        }
        for complaint in complaints {
            if command != Command::Del {
                return Err(complaint);
            }
            self.say(&format!("DEL goes on without it: {}", complaint.msg()));
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

/// The version that VERSION is to echo; an empty stdin asks for none.
fn asked_version(input: &[u8]) -> Result<Option<String>, CniError> {
    if input.trim_ascii().is_empty() {
        return Ok(None);
    }
    let conf = read_json(input)?;
    let asked = conf.get("cniVersion").and_then(Value::as_str);
    Ok(asked.filter(|asked| !asked.is_empty()).map(str::to_owned))
}

/// The version in which an error goes out when the rest of the configuration cannot be used.
fn named_version(input: &[u8], supported: &[SpecVersion]) -> Option<SpecVersion> {
    let conf = read_json(input).ok()?;
    let named = SpecVersion::of_config(conf.get("cniVersion")?.as_str()?).ok()?;
    supported.contains(&named).then_some(named)
}

/// All of stdin, up to the limit.
fn read(stdin: &mut dyn Read) -> Result<Vec<u8>, CniError> {
    let mut input = Vec::new();
    let limit = STDIN_LIMIT as u64;
    let read = stdin.take(limit + 1).read_to_end(&mut input);
    read.map_err(|error| {
        CniError::io(format!(
            "network configuration could not be read from stdin: {error}"
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

/// The plugin's result, which must be an object; it gets the version if it has none.
fn with_version(result: Value, version: SpecVersion) -> Result<Value, CniError> {
    let Value::Object(mut fields) = result else {
        return Err(
            CniError::internal("the plugin's result of ADD is not a JSON object")
                .with_details("this is a defect of the plugin; please report it to its authors"),
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
        "field `cniVersion` is `{found}`, {command} needs {since} or newer"
    ))
}

fn panicked(panic: &(dyn Any + Send)) -> CniError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    CniError::internal(format!("the plugin panicked: {text}")).with_details(
        "this is a defect of the plugin; please report it to its authors with this message",
    )
}
