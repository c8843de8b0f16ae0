//! Passes the result of earlier plugins on.

use serde_json::Value;

use crate::result::{CniResult, own_version};
use crate::{CniError, SpecVersion, json};

/// Returns the previous result as the result of an ADD with a configuration of version `to`.
///
/// Only `cniVersion` changes: unknown keys, the order of keys and the digits of numbers remain. If
/// the result's own version has another [`ResultShape`](crate::ResultShape), the result is
/// converted, and [`CniResult::losses`] lists what `to` cannot represent. A result without
/// `cniVersion` has the version of the configuration.
///
/// Fails with code 1 if the result's version is unknown, and with code 7 if the result is not an
/// object or a converted field has the wrong type.
pub fn pass_through(prev: &Value, to: SpecVersion) -> Result<Value, CniError> {
    let Value::Object(fields) = prev else {
        return Err(json::invalid("prevResult", prev, "an object"));
    };
    let from = own_version("prevResult", prev)?.unwrap_or(to);
    if from.shape() != to.shape() {
        return Ok(CniResult::from_prev(prev, from)?.to_value(to));
    }
    let mut fields = fields.clone();
    match fields.get_mut("cniVersion") {
        Some(version) => *version = to.as_str().into(),
        None => {
            fields.shift_insert(0, "cniVersion".to_owned(), to.as_str().into());
        }
    }
    Ok(Value::Object(fields))
}
