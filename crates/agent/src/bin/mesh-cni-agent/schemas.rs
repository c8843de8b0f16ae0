//! The JSON schemas of what the program prints with `--output json`: generated from the types, and checked in under
//! `docs/schemas` with the prefix `agent-`.
#![expect(clippy::unwrap_used, reason = "a test fails on unexpected errors")]

use std::path::Path;
use std::{env, fs};

use mesh_cni_agent_api::PodList;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use crate::json::{InstallDocument, StatusDocument};

fn of<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<T>();
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

#[test]
fn the_checked_in_schemas_match_the_types() {
    let update = env::var_os("UPDATE_SCHEMA").is_some() && env::var_os("CI").is_none();
    for (name, generated) in [
        ("agent-install", of::<InstallDocument>()),
        ("agent-pods", of::<PodList>()),
        ("agent-status", of::<StatusDocument>()),
    ] {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/schemas/{name}.json"));
        if update {
            fs::write(&path, &generated).unwrap();
        }
        assert_eq!(
            generated,
            fs::read_to_string(&path).unwrap_or_default(),
            "the types of `{name}` changed: update its schema with `UPDATE_SCHEMA=1 cargo test -p mesh-cni-agent \
             --features schema` and review the difference"
        );
    }
}
