//! Splits a saved line into words, with quotes as iptables writes them, and joins words.

use crate::render::quoted;

/// A quoted word without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnbalancedQuote;

/// Splits at white space. `"…"` is one word, in which `\` escapes the next character.
pub(super) fn split(line: &str) -> Result<Vec<String>, UnbalancedQuote> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => {
                let next = characters.next().ok_or(UnbalancedQuote)?;
                word.get_or_insert_default().push(next);
            }
            space if space.is_whitespace() && !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    if quoted {
        Err(UnbalancedQuote)
    } else {
        Ok(words)
    }
}

/// The inverse of [`split`].
pub(super) fn join(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}
