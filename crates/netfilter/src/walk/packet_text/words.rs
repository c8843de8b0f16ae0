//! The words of a packet's text, each with its position for an error about it.

use super::InvalidPacket;

/// The words that are left, each with its position.
pub(super) struct Words<'text> {
    left: std::vec::IntoIter<(usize, &'text str)>,
    end: usize,
}

impl<'text> Words<'text> {
    pub(super) fn new(text: &'text str) -> Self {
        let words: Vec<_> = words_of(text).collect();
        let end = words
            .last()
            .map_or(1, |(at, word)| at + word.chars().count() + 1);
        Self {
            left: words.into_iter(),
            end,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.left.as_slice().is_empty()
    }

    /// Where the next word stands, for an error about it.
    pub(super) fn next_position(&self) -> (usize, &'text str) {
        let next = self.left.as_slice().first();
        next.copied().unwrap_or((self.end, ""))
    }

    pub(super) fn read<T>(
        &mut self,
        expected: &'static str,
        parse: impl FnOnce(&'text str) -> Option<T>,
    ) -> Result<T, InvalidPacket> {
        let (position, word) = self.next_position();
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

/// Each word, and where it begins in characters from 1.
fn words_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace().map(move |word| {
        let offset = word.as_ptr() as usize - text.as_ptr() as usize;
        (text[..offset].chars().count() + 1, word)
    })
}
