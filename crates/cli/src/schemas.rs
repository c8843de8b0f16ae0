//! The JSON schemas of what the commands print with `--output json`: generated from the types, and checked in under
//! `docs/schemas`.
#![expect(clippy::unwrap_used, reason = "a test fails on unexpected errors")]

mod check;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::Parser;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::arguments::Arguments;
use crate::check as check_command;
use crate::console::Console;
use crate::{bundle, diff, effect, explain, init, pods, select, status, verify, version};

/// The name of each command, and the schema of its result.
fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("bundle", of::<bundle::Contents>()),
        ("check", of::<check_command::report::Report>()),
        ("diff", of::<diff::report::Document>()),
        ("explain", of::<Vec<explain::report::Document>>()),
        ("init", of::<init::report::Report>()),
        ("pods", of::<pods::document::Document>()),
        ("render", of::<effect::PodEffect>()),
        ("select", of::<select::Report>()),
        ("status", of::<status::Report>()),
        ("verify", of::<verify::report::Document>()),
        ("version", of::<version::Report>()),
    ]
}

fn of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas")
}

#[test]
fn the_checked_in_schemas_match_the_types() {
    let update = env::var_os("UPDATE_SCHEMA").is_some() && env::var_os("CI").is_none();
    for (name, schema) in all() {
        let path = directory().join(format!("{name}.json"));
        let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if update {
            fs::write(&path, &generated).unwrap();
        }
        assert_eq!(
            generated,
            fs::read_to_string(&path).unwrap_or_default(),
            "the types of `{name}` changed: update its schema with `UPDATE_SCHEMA=1 cargo test -p mesh-cni-cli \
             --features schema` and review the difference"
        );
    }
}

#[test]
fn every_checked_in_schema_is_that_of_a_command() {
    let known: BTreeSet<_> = all()
        .iter()
        .map(|(name, _)| format!("{name}.json"))
        .collect();
    let found = fs::read_dir(directory()).unwrap();
    let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // A test of the agent checks these.
    let found: BTreeSet<_> = found.filter(|name| !name.starts_with("agent-")).collect();
    assert_eq!(found, known);
}

#[test]
fn keys_are_in_snake_case() {
    let is_snake = |key: &str| {
        key.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    for (name, schema) in all() {
        for key in properties(schema.as_value()) {
            assert!(is_snake(&key), "{name}: {key}");
        }
    }
}

/// The names of all properties.
fn properties(schema: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    match schema {
        Value::Object(fields) => {
            let own = fields.get("properties").and_then(Value::as_object);
            names.extend(own.into_iter().flat_map(|own| own.keys().cloned()));
            names.extend(fields.values().flat_map(properties));
        }
        Value::Array(items) => names.extend(items.iter().flat_map(properties)),
        _ => {}
    }
    names
}

/// What a command prints in JSON.
fn printed(arguments: &[&str]) -> Value {
    let arguments = ["mesh-cnictl"].iter().chain(arguments);
    let arguments = Arguments::try_parse_from(arguments).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console::new(&mut out, &mut err);
    if let Err(failure) = crate::run(&arguments.command, &mut console) {
        failure.print(&mut console);
    }
    assert!(!out.is_empty(), "{}", String::from_utf8_lossy(&err));
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn what_commands_print_has_the_form_of_their_schemas() {
    let pods = [
        "examples/bookinfo/productpage.yaml",
        "examples/bookinfo/reviews.yaml",
    ];
    for pod in pods.map(|pod| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(pod)
    }) {
        let pod = pod.to_str().unwrap();
        let commands: [&[&str]; 4] = [
            &["select", "--pod", pod, "--output", "json"],
            &["render", "--pod", pod, "--output", "json"],
            &["init", "-n", "-b", "*", "--output", "json"],
            &[
                "explain",
                "--pod",
                pod,
                "--output",
                "json",
                "--packet",
                "out tcp 10.0.0.7:9080",
                "--packet",
                "in tcp 10.244.0.7:9080 from 10.0.0.9",
            ],
        ];
        for arguments in commands {
            check::assert_valid(arguments[0], &printed(arguments));
        }
    }
}
