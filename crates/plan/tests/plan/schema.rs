//! The JSON schema of the network configuration is generated from the types and checked in.

use mesh_cni_plan::MeshConf;

const CHECKED_IN: &str = include_str!("../../../../docs/network-configuration.schema.json");

#[test]
fn the_checked_in_schema_matches_the_types() {
    let schema = schemars::schema_for!(MeshConf);
    let mut generated = serde_json::to_string_pretty(&schema).unwrap();
    generated.push('\n');
    if std::env::var_os("UPDATE_SCHEMA").is_some() && std::env::var_os("CI").is_none() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/network-configuration.schema.json"
        );
        std::fs::write(path, &generated).unwrap();
        return;
    }
    assert_eq!(
        generated, CHECKED_IN,
        "the types changed: update docs/network-configuration.schema.json with \
         `UPDATE_SCHEMA=1 cargo test -p mesh-cni-plan --features schema` and review the difference"
    );
}
