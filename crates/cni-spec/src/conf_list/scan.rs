//! Finds the byte ranges of members and elements in JSON text.
//!
//! The text must be valid JSON, apart from bytes in strings that are not UTF-8.

use std::ops::Range;

/// The range of a member of an object, and of its parts.
#[derive(Debug)]
pub(super) struct Member {
    /// The decoded key.
    pub(super) key: String,
    /// From the key to the end of the value.
    pub(super) whole: Range<usize>,
    /// The value.
    pub(super) value: Range<usize>,
}

/// The members of the object that the text is, in their order, repeated keys included.
pub(super) fn members(text: &[u8]) -> Vec<Member> {
    let mut scanner = Scanner { text, at: 0 };
    let mut members = Vec::new();
    scanner.enter();
    while scanner.has_item() {
        let key = scanner.value();
        scanner.expect(b':');
        let value = scanner.value();
        members.push(Member {
            key: decoded(text.get(key.clone()).unwrap_or_default()),
            whole: key.start..value.end,
            value,
        });
    }
    members
}

/// The elements of the list in this range of the text.
pub(super) fn elements(text: &[u8], list: &Range<usize>) -> Vec<Range<usize>> {
    let mut scanner = Scanner {
        text: text.get(..list.end).unwrap_or_default(),
        at: list.start,
    };
    let mut elements = Vec::new();
    scanner.enter();
    while scanner.has_item() {
        elements.push(scanner.value());
    }
    elements
}

/// The most brackets that are open at once. The text may be anything.
pub(super) fn depth(text: &[u8]) -> usize {
    let mut scanner = Scanner { text, at: 0 };
    let (mut depth, mut deepest) = (0_usize, 0);
    while let Some(byte) = scanner.peek() {
        match byte {
            b'"' => {
                scanner.skip_string();
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        scanner.at += 1;
    }
    deepest
}

fn decoded(key: &[u8]) -> String {
    super::decode::decode(key)
        .ok()
        .and_then(|key| key.as_str().map(str::to_owned))
        .unwrap_or_default()
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    /// Passes the bracket of an object or a list.
    fn enter(&mut self) {
        self.skip_space();
        self.at += 1;
    }

    /// Passes a comma; whether another item follows.
    fn has_item(&mut self) -> bool {
        self.skip_space();
        if self.peek() == Some(b',') {
            self.at += 1;
        }
        self.skip_space();
        !matches!(self.peek(), None | Some(b']' | b'}'))
    }

    fn expect(&mut self, byte: u8) {
        self.skip_space();
        debug_assert_eq!(self.peek(), Some(byte), "the text is valid JSON");
        self.at += 1;
    }

    /// Passes a value.
    fn value(&mut self) -> Range<usize> {
        self.skip_space();
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                None => break,
                Some(b'"') => self.skip_string(),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                Some(_) if depth == 0 => self.skip_scalar(),
                Some(_) => {
                    self.at += 1;
                    continue;
                }
            }
            if depth == 0 {
                break;
            }
        }
        start..self.at
    }

    fn skip_string(&mut self) {
        self.at += 1;
        loop {
            match self.peek() {
                None => return,
                Some(b'\\') => self.at += 2,
                Some(byte) => {
                    self.at += 1;
                    if byte == b'"' {
                        return;
                    }
                }
            }
        }
    }

    /// Passes a number or a word.
    fn skip_scalar(&mut self) {
        while let Some(byte) = self.peek()
            && !is_space(byte)
            && !matches!(byte, b',' | b']' | b'}')
        {
            self.at += 1;
        }
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }
}

/// Whether JSON allows the byte between tokens.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_values() {
        let text = b" {\"a\\\"}\" : [1, \"]\\\\\", {\"x\":[ ]} ,null],\n\"\\u0061\":\"\xff,}\" } ";
        let members = members(text);
        let keys: Vec<_> = members.iter().map(|member| member.key.as_str()).collect();
        assert_eq!(keys, ["a\"}", "a"]);
        assert_eq!(text[members[1].whole.clone()], *b"\"\\u0061\":\"\xff,}\"");
        let elements = elements(text, &members[0].value);
        let elements: Vec<_> = elements.into_iter().map(|range| &text[range]).collect();
        assert_eq!(elements, [&b"1"[..], b"\"]\\\\\"", b"{\"x\":[ ]}", b"null"]);
    }
}
