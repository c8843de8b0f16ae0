//! Label selectors in JSON: the text, or Kubernetes' object with two fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::LabelSelector;
use super::error::LabelSelectorError;
use super::requirement::{Operator, Requirement, check_key, check_value};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Object {
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
    #[serde(default)]
    match_expressions: Vec<Expression>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expression {
    key: String,
    operator: String,
    #[serde(default)]
    values: Vec<String>,
}

struct TextOrObject;

impl Serialize for LabelSelector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LabelSelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrObject)
    }
}

impl<'de> Visitor<'de> for TextOrObject {
    type Value = LabelSelector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label selector: text such as `a=b`, or an object with `matchLabels` or `matchExpressions`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LabelSelector, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LabelSelector, A::Error> {
        let object = Object::deserialize(MapAccessDeserializer::new(map))?;
        LabelSelector::try_from(object).map_err(de::Error::custom)
    }
}

impl TryFrom<Object> for LabelSelector {
    type Error = LabelSelectorError;

    fn try_from(object: Object) -> Result<Self, Self::Error> {
        let labels = object.match_labels.into_iter().map(equality);
        let expressions = object
            .match_expressions
            .into_iter()
            .map(Requirement::try_from);
        Self::new(labels.chain(expressions).collect::<Result<_, _>>()?)
    }
}

impl TryFrom<Expression> for Requirement {
    type Error = LabelSelectorError;

    fn try_from(expression: Expression) -> Result<Self, Self::Error> {
        check_key(&expression.key, None)?;
        expression
            .values
            .iter()
            .try_for_each(|value| check_value(value, None))?;
        let operator = match expression.operator.as_str() {
            "In" => Operator::In(expression.some_values()?),
            "NotIn" => Operator::NotIn(expression.some_values()?),
            "Exists" => expression.no_values(Operator::Exists)?,
            "DoesNotExist" => expression.no_values(Operator::DoesNotExist)?,
            _ => {
                return Err(LabelSelectorError::Operator {
                    key: expression.key,
                    operator: expression.operator,
                });
            }
        };
        Ok(Self::new(&expression.key, operator))
    }
}

impl Expression {
    fn some_values(&self) -> Result<BTreeSet<String>, LabelSelectorError> {
        if self.values.is_empty() {
            return Err(self.wrong_count("one or more"));
        }
        Ok(self.values.iter().cloned().collect())
    }

    fn no_values(&self, operator: Operator) -> Result<Operator, LabelSelectorError> {
        if self.values.is_empty() {
            Ok(operator)
        } else {
            Err(self.wrong_count("none"))
        }
    }

    fn wrong_count(&self, expected: &'static str) -> LabelSelectorError {
        LabelSelectorError::ValueCount {
            key: self.key.clone(),
            operator: self.operator.clone(),
            count: self.values.len(),
            expected,
        }
    }
}

fn equality((key, value): (String, String)) -> Result<Requirement, LabelSelectorError> {
    check_key(&key, None)?;
    check_value(&value, None)?;
    Ok(Requirement::new(
        &key,
        Operator::In(BTreeSet::from([value])),
    ))
}
