//! Parses the text of a label selector.

use std::collections::BTreeSet;

use super::error::LabelSelectorError;
use super::requirement::{Operator, Requirement, check_key, check_value};

const AFTER_KEY: &str = "`=`, `==`, `!=`, `in`, `notin`, `,` or the end";

/// Parses at least one requirement.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, LabelSelectorError> {
    let mut scanner = Scanner {
        rest: text,
        position: 1,
    };
    let mut requirements = Vec::new();
    loop {
        requirements.push(requirement(&mut scanner)?);
        match scanner.peek() {
            None => return Ok(requirements),
            Some(',') => scanner.advance(),
            Some(_) => return Err(scanner.unexpected("`,` or the end")),
        }
    }
}

fn requirement(scanner: &mut Scanner<'_>) -> Result<Requirement, LabelSelectorError> {
    if scanner.peek() == Some('!') {
        scanner.advance();
        let key = key(scanner)?;
        return Ok(Requirement::new(key, Operator::DoesNotExist));
    }
    let key = key(scanner)?;
    Ok(Requirement::new(key, operator(scanner)?))
}

fn key<'t>(scanner: &mut Scanner<'t>) -> Result<&'t str, LabelSelectorError> {
    scanner.skip_whitespace();
    let position = scanner.position;
    let key = scanner.word();
    if key.is_empty() {
        return Err(scanner.unexpected("a label key"));
    }
    check_key(key, position)?;
    Ok(key)
}

fn operator(scanner: &mut Scanner<'_>) -> Result<Operator, LabelSelectorError> {
    match scanner.peek() {
        None | Some(',') => Ok(Operator::Exists),
        Some('=') => {
            scanner.advance();
            if scanner.rest.starts_with('=') {
                scanner.advance();
            }
            Ok(Operator::In(BTreeSet::from([value(scanner)?])))
        }
        Some('!') => {
            scanner.advance();
            scanner.expect('=', "`=` after `!`")?;
            Ok(Operator::NotIn(BTreeSet::from([value(scanner)?])))
        }
        Some(_) => set_operator(scanner),
    }
}

fn set_operator(scanner: &mut Scanner<'_>) -> Result<Operator, LabelSelectorError> {
    let before = scanner.clone();
    match scanner.word() {
        "in" => Ok(Operator::In(values(scanner)?)),
        "notin" => Ok(Operator::NotIn(values(scanner)?)),
        "" => Err(before.unexpected(AFTER_KEY)),
        word => Err(LabelSelectorError::Unexpected {
            found: Some(word.to_owned()),
            position: before.position,
            expected: AFTER_KEY,
        }),
    }
}

/// Parses `(a,b)`; as in Kubernetes, nothing between two commas is the empty value.
fn values(scanner: &mut Scanner<'_>) -> Result<BTreeSet<String>, LabelSelectorError> {
    scanner.skip_whitespace();
    scanner.expect('(', "`(`")?;
    let mut values = BTreeSet::new();
    loop {
        values.insert(value(scanner)?);
        match scanner.peek() {
            Some(',') => scanner.advance(),
            Some(')') => {
                scanner.advance();
                return Ok(values);
            }
            _ => return Err(scanner.unexpected("`,` or `)`")),
        }
    }
}

fn value(scanner: &mut Scanner<'_>) -> Result<String, LabelSelectorError> {
    scanner.skip_whitespace();
    let position = scanner.position;
    let value = scanner.word();
    check_value(value, position)?;
    Ok(value.to_owned())
}

/// The remaining text and its position.
#[derive(Clone)]
struct Scanner<'t> {
    rest: &'t str,
    /// In characters, from 1.
    position: usize,
}

impl<'t> Scanner<'t> {
    /// The next character that is not whitespace.
    fn peek(&mut self) -> Option<char> {
        self.skip_whitespace();
        self.rest.chars().next()
    }

    fn advance(&mut self) {
        let mut characters = self.rest.chars();
        if characters.next().is_some() {
            self.position += 1;
        }
        self.rest = characters.as_str();
    }

    fn skip_whitespace(&mut self) {
        while self.rest.starts_with(char::is_whitespace) {
            self.advance();
        }
    }

    /// The characters up to the next whitespace or operator.
    fn word(&mut self) -> &'t str {
        let is_end = |character: char| character.is_whitespace() || "=!,()<>".contains(character);
        let length = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(length);
        self.position += word.chars().count();
        self.rest = rest;
        word
    }

    fn expect(
        &mut self,
        character: char,
        expected: &'static str,
    ) -> Result<(), LabelSelectorError> {
        if !self.rest.starts_with(character) {
            return Err(self.unexpected(expected));
        }
        self.advance();
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> LabelSelectorError {
        LabelSelectorError::Unexpected {
            found: self.rest.chars().next().map(String::from),
            position: self.position,
            expected,
        }
    }
}
