//! Removes secrets from what a support archive contains. Values are kept only where they are known to
//! be harmless; everything else is replaced, whatever its key says.

use std::collections::BTreeSet;

use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;
use serde_json::{Map, Value, json};

/// What replaces a removed value.
pub(crate) const REMOVED: &str = "(removed)";

/// The keys of a network configuration whose text is kept: names of types and of interfaces.
const CONF_KEYS: [&str; 11] = [
    "cniVersion",
    "cniVersions",
    "name",
    "type",
    "bridge",
    "master",
    "mode",
    "log_level",
    "subnet",
    "gateway",
    "dst",
];

/// The field of our own entry with annotations.
const DEFAULTS: &str = "defaults";

/// The annotations whose values are kept: settings of redirection.
const ANNOTATIONS: [&str; 3] = [
    "traffic.sidecar.istio.io/",
    "sidecar.istio.io/inject",
    "sidecar.istio.io/interceptionMode",
];

/// The arguments of the proxy that are kept: its type.
const ARGUMENTS: [&str; 4] = ["proxy", "sidecar", "router", "waypoint"];

/// Shorter values are words such as `true` that occur everywhere.
const MIN_SECRET: usize = 6;

/// The length from which also a text of letters counts as a secret.
const MAX_WORD: usize = 20;

/// The most values that are searched for.
const MAX_SECRETS: usize = 10_000;

/// A network configuration list, or an entry, with its structure and without secrets.
pub(crate) fn conf(document: &Value) -> Value {
    redacted(document, false, None)
}

fn redacted(value: &Value, is_ours: bool, key: Option<&str>) -> Value {
    match value {
        Value::Object(fields) => {
            let is_ours = crate::input::is_ours(value);
            let field = |(key, value): (&String, &Value)| {
                let value = match value {
                    Value::Object(defaults) if is_ours && key == DEFAULTS => settings(defaults),
                    _ if is_ours && key == DEFAULTS => json!(REMOVED),
                    value => redacted(value, is_ours, Some(key)),
                };
                (key.clone(), value)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        Value::Array(items) => {
            let item = |item| redacted(item, is_ours, key);
            items.iter().map(item).collect()
        }
        Value::String(_) => {
            // The fields of our own entry contain no secrets.
            let is_kept = key
                .is_some_and(|key| CONF_KEYS.contains(&key) || is_ours && MeshConf::is_field(key));
            if is_kept {
                value.clone()
            } else {
                json!(REMOVED)
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Annotations, with the values of those that set redirection.
fn settings(annotations: &Map<String, Value>) -> Value {
    let kept = |(key, value): (&String, &Value)| {
        let value = if is_setting(key) {
            value.clone()
        } else {
            json!(REMOVED)
        };
        (key.clone(), value)
    };
    Value::Object(annotations.iter().map(kept).collect())
}

fn is_setting(key: &str) -> bool {
    ANNOTATIONS.iter().any(|known| {
        let is_prefix = known.ends_with('/');
        key == *known || is_prefix && key.starts_with(known)
    })
}

/// A pod without the values of variables, other arguments than the proxy's type, labels, and
/// annotations that are not ours.
pub(crate) fn facts(mut facts: PodFacts) -> PodFacts {
    let annotations = facts
        .annotations
        .iter_mut()
        .chain(facts.namespace_annotations.iter_mut().flatten());
    for (key, value) in annotations {
        if !is_setting(key) {
            REMOVED.clone_into(value);
        }
    }
    let labels = facts
        .labels
        .iter_mut()
        .chain(facts.namespace_labels.iter_mut().flatten());
    for (key, value) in labels {
        if !is_setting(key) {
            REMOVED.clone_into(value);
        }
    }
    for container in facts
        .containers
        .iter_mut()
        .chain(&mut facts.init_containers)
    {
        container
            .env
            .values_mut()
            .for_each(|value| REMOVED.clone_into(value));
        for argument in &mut container.args {
            if !ARGUMENTS.contains(&argument.as_str()) {
                REMOVED.clone_into(argument);
            }
        }
    }
    facts
}

/// Values that must not be in any text, such as those of variables: errors and logs can repeat them.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Adds the values that [`facts`] removes.
    pub(crate) fn add(&mut self, facts: &PodFacts) {
        let annotations = facts.annotations.iter();
        let annotations = annotations.filter(|(key, _)| !is_setting(key));
        let containers = facts.containers.iter().chain(&facts.init_containers);
        let values = containers.flat_map(|container| {
            let arguments = container.args.iter();
            let arguments = arguments.filter(|it| !ARGUMENTS.contains(&it.as_str()));
            container.env.values().chain(arguments)
        });
        for value in annotations.map(|(_, value)| value).chain(values) {
            if value.len() >= MIN_SECRET && !is_word(value) && self.0.len() < MAX_SECRETS {
                self.0.insert(value.clone());
            }
        }
    }

    /// The text without these values, also as they are escaped in JSON, and without tokens.
    pub(crate) fn remove_from(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // Longer values first: one can be a part of another.
        let mut secrets: Vec<_> = self.0.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in secrets {
            let quoted = json!(secret).to_string();
            for secret in [secret.as_str(), &quoted[1..quoted.len() - 1]] {
                if text.contains(secret) {
                    text = text.replace(secret, REMOVED);
                }
            }
        }
        without_tokens(&text)
    }
}

/// Whether it is a word such as `REDIRECT` or `cluster.local`, which occurs in rules and names too.
fn is_word(value: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || b".-".contains(&byte);
    value.len() < MAX_WORD && value.bytes().all(is_letter)
}

/// The text without JSON web tokens, and without what follows `Bearer`.
fn without_tokens(text: &str) -> String {
    let is_token =
        |character: char| character.is_ascii_alphanumeric() || "-_.+/=~".contains(character);
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, start)) = ["eyJ", "Bearer ", "bearer "]
        .iter()
        .filter_map(|mark| {
            rest.find(mark)
                .map(|at| (at, mark.trim_start_matches("eyJ").len()))
        })
        .min()
    {
        let (before, found) = rest.split_at(at + start);
        let end = found.find(|character| !is_token(character));
        let (token, after) = found.split_at(end.unwrap_or(found.len()));
        kept.push_str(before);
        kept.push_str(if token.is_empty() { "" } else { REMOVED });
        rest = after;
    }
    kept + rest
}
