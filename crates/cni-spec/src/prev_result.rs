//! Handing the result of the earlier plugins on, as it came in.

use serde_json::Value;

use crate::result::{CniResult, own_version};
use crate::{CniError, SpecVersion, json};

/// The previous result as the answer of an ADD whose configuration has the version `to`.
///
/// Unknown keys, the order of keys and the spelling of numbers stay; only `cniVersion` is set.
/// Where the result's own version has another shape (see
/// [`ResultShape`](crate::ResultShape)) it is converted, and [`CniResult::losses`] says what that
/// costs. A result that names no version is taken to have the configuration's.
///
/// Code 1 when the result's version is unknown, code 7 when the result is no object or, in a
/// conversion, a field has the wrong type.
pub fn pass_through(prev: &Value, to: SpecVersion) -> Result<Value, CniError> {
    let Value::Object(fields) = prev else {
        return Err(json::wrong("prevResult", prev, "an object"));
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
