//! Reads the variables that the injector writes for the annotation `proxy.istio.io/config`.

use std::collections::BTreeMap;

use super::ONE_POD;
use super::document;
use super::error::ManifestError;
use super::node::Node;
use crate::mesh::istio::PROXY_INTERCEPTION_MODE;

/// The names of a field of Istio's `ProxyConfig`: protobuf accepts both spellings.
type FieldNames = [&'static str; 2];

const VARIABLES: FieldNames = ["proxyMetadata", "proxy_metadata"];
const INTERCEPTION_MODE: FieldNames = ["interceptionMode", "interception_mode"];

/// The environment variables of the proxy container that follow from the value of the annotation
/// `proxy.istio.io/config`, a `ProxyConfig` of Istio in YAML or JSON.
///
/// # Errors
///
/// If the text is not YAML, is too large, or if one of the fields has another type than in Istio.
pub fn proxy_variables(config: &str) -> Result<BTreeMap<String, String>, ManifestError> {
    let document = match document::single(config, ONE_POD) {
        Err(ManifestError::Empty) => return Ok(BTreeMap::new()),
        document => document?,
    };
    let root = Node::root(&document);
    let mut variables = BTreeMap::new();
    for name in VARIABLES {
        variables.append(&mut root.texts(name)?);
    }
    for name in INTERCEPTION_MODE {
        if let Some(mode) = root.text(name)? {
            variables.insert(PROXY_INTERCEPTION_MODE.to_owned(), mode.to_owned());
        }
    }
    Ok(variables)
}
