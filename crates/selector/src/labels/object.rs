//! Label selectors as objects of the Kubernetes API: `matchLabels` and `matchExpressions`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::requirement::{Operator, Requirement, is_key, is_value};
use super::{LabelSelector, SelectorObjectError};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Fields {
    match_labels: Option<BTreeMap<String, String>>,
    match_expressions: Option<Vec<Map<String, Value>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expression {
    key: String,
    operator: OperatorName,
    values: Option<BTreeSet<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum OperatorName {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// Reads an object with `matchLabels` and `matchExpressions`, whose requirements must all hold.
    /// `None` if it has none, and therefore matches everything.
    ///
    /// An unknown field is an error: without the requirement that it was to be, the selector would match
    /// more.
    pub fn from_object(object: Value) -> Result<Option<Self>, SelectorObjectError> {
        // serde reads a list as a struct, and an empty one as all of its defaults.
        let object: Map<String, Value> = serde_json::from_value(object)?;
        let fields: Fields = serde_json::from_value(Value::Object(object))?;
        let mut requirements = Vec::new();
        for (key, value) in fields.match_labels.unwrap_or_default() {
            let is_value = Operator::In(BTreeSet::from([value]));
            requirements.push(requirement(key, is_value)?);
        }
        for expression in fields.match_expressions.unwrap_or_default() {
            let Expression {
                key,
                operator,
                values,
            } = serde_json::from_value(Value::Object(expression))?;
            let operator = self::operator(operator, values.unwrap_or_default())?;
            requirements.push(requirement(key, operator)?);
        }
        Ok((!requirements.is_empty()).then_some(Self { requirements }))
    }
}

fn operator(name: OperatorName, values: BTreeSet<String>) -> Result<Operator, SelectorObjectError> {
    let has_values = !values.is_empty();
    match name {
        OperatorName::In if has_values => Ok(Operator::In(values)),
        OperatorName::NotIn if has_values => Ok(Operator::NotIn(values)),
        OperatorName::Exists if !has_values => Ok(Operator::Exists),
        OperatorName::DoesNotExist if !has_values => Ok(Operator::DoesNotExist),
        OperatorName::In | OperatorName::NotIn => Err(SelectorObjectError::NoValues {
            operator: format!("{name:?}"),
        }),
        OperatorName::Exists | OperatorName::DoesNotExist => Err(SelectorObjectError::Values {
            operator: format!("{name:?}"),
        }),
    }
}

fn requirement(key: String, operator: Operator) -> Result<Requirement, SelectorObjectError> {
    if !is_key(&key) {
        return Err(SelectorObjectError::Key { key });
    }
    if let Operator::In(values) | Operator::NotIn(values) = &operator
        && let Some(value) = values.iter().find(|value| !is_value(value))
    {
        let value = value.clone();
        return Err(SelectorObjectError::Value { key, value });
    }
    Ok(Requirement::new(&key, operator))
}
