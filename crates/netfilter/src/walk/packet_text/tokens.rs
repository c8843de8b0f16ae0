//! The words of a packet's text, each with its position for error messages.

use super::InvalidPacket;

/// The words that are not yet parsed, each with its position in characters from 1.
pub(super) struct Tokens<'text> {
    left: std::vec::IntoIter<(usize, &'text str)>,
    end: usize,
}

impl<'text> Tokens<'text> {
    pub(super) fn new(text: &'text str) -> Self {
        let words = text.split_whitespace().map(|word| {
            let offset = word.as_ptr() as usize - text.as_ptr() as usize;
            (text[..offset].chars().count() + 1, word)
        });
        let words: Vec<_> = words.collect();
        let end = words
            .last()
            .map_or(1, |(position, word)| position + word.chars().count() + 1);
        Self {
            left: words.into_iter(),
            end,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.as_slice().is_empty()
    }

    /// The next word, which stays, and its position; an empty word at the end.
    pub(super) fn peek(&self) -> (usize, &'text str) {
        let next = self.left.as_slice().first();
        next.copied().unwrap_or((self.end, ""))
    }

    pub(super) fn parse<T>(
        &mut self,
        expected: &'static str,
        parse: impl FnOnce(&'text str) -> Option<T>,
    ) -> Result<T, InvalidPacket> {
        let (position, word) = self.peek();
        self.left.next();
        parse(word).ok_or_else(|| invalid(position, word, expected))
    }

    pub(super) fn missing(&self, expected: &'static str) -> InvalidPacket {
        invalid(self.end, "", expected)
    }
}

pub(super) fn invalid(position: usize, found: &str, expected: &'static str) -> InvalidPacket {
    InvalidPacket {
        position,
        found: found.to_owned(),
        expected,
    }
}
