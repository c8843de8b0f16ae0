//! Reads the pod's manifest and the plugin's configuration, from files or stdin.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use mesh_cni_plan::{ConfError, MeshConf, PLUGIN_TYPE};
use mesh_cni_selector::{InvalidItem, MAX_LIST_BYTES, ManifestError, PodFacts};
use mesh_cni_spec::{ConfList, ConfListError, plugin_type};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::console::Console;
use crate::failure::Failure;

/// The largest file of one pod or one configuration that is read, in bytes.
const LIMIT: usize = 16 << 20;

/// A file that cannot be used.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` is longer than {limit} bytes", path.display())]
    TooLong { path: PathBuf, limit: usize },
    #[error("`{}` is not valid UTF-8: invalid byte at position {position}", path.display())]
    NotText { path: PathBuf, position: usize },
    #[error("pod manifest `{}`", path.display())]
    Manifest {
        path: PathBuf,
        #[source]
        source: ManifestError,
    },
    #[error("pod manifest `{}`", path.display())]
    Item {
        path: PathBuf,
        #[source]
        invalid: InvalidItem,
    },
    #[error("configuration `{}` is not JSON", path.display())]
    NotJson {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("configuration `{}`", path.display())]
    List {
        path: PathBuf,
        #[source]
        source: ConfListError,
    },
    #[error("configuration `{}` has no entry of type `{PLUGIN_TYPE}`, found {found}", path.display())]
    NoEntry { path: PathBuf, found: String },
    #[error("configuration `{}`", path.display())]
    Entry {
        path: PathBuf,
        #[source]
        source: ConfError,
    },
}

/// Reads the facts from the manifest of one pod. The annotations of its namespace do not count.
pub(crate) fn facts(path: &Path) -> Result<PodFacts, Failure> {
    let facts = PodFacts::from_manifest(&text(path, LIMIT)?);
    let facts = facts.map_err(|source| invalid_manifest(path, source))?;
    Ok(without_namespace(facts))
}

/// The same for each pod of a manifest, which may be a list, or several documents.
pub(crate) fn all_facts(path: &Path) -> Result<Vec<Result<PodFacts, Failure>>, Failure> {
    let text = text(path, MAX_LIST_BYTES)?;
    let pods = PodFacts::from_manifests(&text).map_err(|source| invalid_manifest(path, source))?;
    let are_several = pods.len() > 1;
    let failure = |invalid: InvalidItem| {
        if !are_several {
            return invalid_manifest(path, invalid.error);
        }
        let path = path.to_owned();
        Failure::wrong(InputError::Item { path, invalid })
    };
    let pods = pods.into_iter();
    Ok(pods
        .map(|pod| pod.map(without_namespace).map_err(failure))
        .collect())
}

fn without_namespace(facts: PodFacts) -> PodFacts {
    PodFacts {
        namespace_annotations: Some(BTreeMap::new()),
        ..facts
    }
}

fn invalid_manifest(path: &Path, source: ManifestError) -> Failure {
    let path = path.to_owned();
    Failure::wrong(InputError::Manifest { path, source })
}

/// Reads a text that is as long as a list of pods at most.
pub(crate) fn list_text(path: &Path) -> Result<String, Failure> {
    text(path, MAX_LIST_BYTES)
}

/// Refuses to read stdin for two flags.
pub(crate) fn check_stdin<'flags>(
    flags: impl IntoIterator<Item = (&'flags str, Option<&'flags Path>)>,
) -> Result<(), Failure> {
    let mut of_stdin = flags
        .into_iter()
        .filter(|(_, path)| path.is_some_and(is_stdin));
    if let (Some((first, _)), Some((second, _))) = (of_stdin.next(), of_stdin.next()) {
        let error = format!("{first} and {second} are both `-`, but stdin can be read only once");
        return Err(Failure::wrong(error).hint("write one of them to a file and give its path"));
    }
    Ok(())
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn text(path: &Path, limit: usize) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let most = limit as u64 + 1;
    let read = if is_stdin(path) {
        io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    let length = read.map_err(|source| {
        let path = path.to_owned();
        Failure::wrong(InputError::Unreadable { path, source })
    })?;
    if length > limit {
        let path = path.to_owned();
        return Err(Failure::wrong(InputError::TooLong { path, limit }));
    }
    String::from_utf8(bytes).map_err(|error| not_text(path, &error))
}

fn not_text(path: &Path, error: &FromUtf8Error) -> Failure {
    let failure = Failure::wrong(InputError::NotText {
        path: path.to_owned(),
        position: error.utf8_error().valid_up_to() + 1,
    });
    match error.as_bytes() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => failure.hint(
            "the file looks like UTF-16, which `>` writes in PowerShell; \
             use `kubectl … | Out-File -Encoding utf8 FILE`",
        ),
        _ => failure.hint("convert the file to UTF-8"),
    }
}

/// Reads the plugin's configuration, from its entry or from a list that contains it.
pub(crate) fn conf(path: &Path, console: &mut Console<'_>) -> Result<MeshConf, Failure> {
    let text = text(path, LIMIT)?;
    let document: Value = serde_json::from_str(&text).map_err(|source| {
        let path = path.to_owned();
        Failure::wrong(InputError::NotJson { path, source })
    })?;
    let (entry, others) = entry(path, &text, &document).map_err(Failure::wrong)?;
    if others > 0 {
        console.warn(format_args!(
            "configuration `{}` has {} entries of type `{PLUGIN_TYPE}`: using the first",
            path.display(),
            others + 1
        ));
    }
    let decoded = MeshConf::decode(&entry).map_err(|source| {
        let path = path.to_owned();
        Failure::wrong(InputError::Entry { path, source })
    })?;
    Ok(console.conf(decoded, &format!("configuration `{}`", path.display())))
}

/// The plugin's entry: the document itself, or the one among its `plugins`; and how many more there
/// are. As for the agent's `--conf-entry`, the type is optional in a document that is the entry.
fn entry(
    path: &Path,
    text: &str,
    document: &Value,
) -> Result<(Map<String, Value>, usize), InputError> {
    let plugins = if document.get("plugins").is_some() {
        let list = ConfList::parse(text).map_err(|source| InputError::List {
            path: path.to_owned(),
            source,
        })?;
        list.plugins().to_vec()
    } else {
        match document.as_object() {
            Some(entry) if is_entry_without_type(entry) => return Ok((entry.clone(), 0)),
            _ => vec![document.clone()],
        }
    };
    let mut ours = plugins.iter().filter(|plugin| is_ours(plugin));
    let entry = ours.next().and_then(Value::as_object);
    let entry = entry.cloned().ok_or_else(|| InputError::NoEntry {
        path: path.to_owned(),
        found: types(&plugins),
    })?;
    Ok((entry, ours.count()))
}

fn is_entry_without_type(document: &Map<String, Value>) -> bool {
    let mut fields = document.keys();
    !document.contains_key("type")
        && (document.is_empty() || fields.any(|field| MeshConf::is_field(field)))
}

/// Whether an entry of a list is the plugin's.
pub(crate) fn is_ours(plugin: &Value) -> bool {
    plugin_type(plugin) == Some(PLUGIN_TYPE)
}

fn types(plugins: &[Value]) -> String {
    let types: Vec<_> = plugins
        .iter()
        .map(|plugin| match plugin.get("type") {
            Some(Value::String(name)) => format!("`{name}`"),
            Some(other) => format!("`{other}`"),
            None => "an entry without `type`".to_owned(),
        })
        .collect();
    if types.is_empty() {
        return "no plugins".to_owned();
    }
    types.join(", ")
}
