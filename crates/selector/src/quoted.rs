//! Formats text from outside for a message of one line.

use std::fmt;

use mesh_cni_text::escaped;

/// Longer values are cut, in characters.
const MAX_LENGTH: usize = 100;

/// A value in backticks, on one line, cut if it is very long.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

/// Values in backticks, separated by commas, or `none`.
pub(crate) struct QuotedList<'a>(pub(crate) &'a [String]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        match self.0.char_indices().nth(MAX_LENGTH) {
            Some((end, _)) => write!(f, "{}…", escaped(&self.0[..end]))?,
            None => f.write_str(&escaped(self.0))?,
        }
        f.write_str("`")
    }
}

impl fmt::Display for QuotedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let quoted: Vec<_> = self
            .0
            .iter()
            .map(|value| Quoted(value).to_string())
            .collect();
        f.write_str(&quoted.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Quoted, QuotedList};

    #[test]
    fn a_value_is_printed_on_one_line() {
        assert_eq!(Quoted("a\nb\tc").to_string(), "`a\\nb\\tc`");
        assert_eq!(Quoted("a\u{2066}b").to_string(), "`a\\u{2066}b`");
    }

    #[test]
    fn a_long_value_is_cut_with_an_ellipsis() {
        assert_eq!(
            Quoted(&"ä".repeat(200)).to_string(),
            format!("`{}…`", "ä".repeat(100))
        );
    }

    #[test]
    fn an_empty_list_is_printed_as_none() {
        assert_eq!(QuotedList(&[]).to_string(), "none");
        assert_eq!(
            QuotedList(&["a".into(), "b".into()]).to_string(),
            "`a`, `b`"
        );
    }
}
