//! Text from outside, made fit for one line of a message.

use std::fmt;

/// Longer values are cut: a message is read by people.
const LONGEST: usize = 100;

/// A value in backticks, on one line, cut where it is very long.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

/// Several values in backticks with commas between, or `none`.
pub(crate) struct QuotedList<'a>(pub(crate) &'a [String]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        for (place, sign) in self.0.chars().enumerate() {
            if place == LONGEST {
                f.write_str("…")?;
                break;
            }
            if sign.is_control() {
                write!(f, "{}", sign.escape_default())?;
            } else {
                write!(f, "{sign}")?;
            }
        }
        f.write_str("`")
    }
}

impl fmt::Display for QuotedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (place, value) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}", Quoted(value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Quoted, QuotedList};

    #[test]
    fn a_value_stays_on_its_line() {
        assert_eq!(Quoted("a\nb\tc").to_string(), "`a\\nb\\tc`");
    }

    #[test]
    fn a_long_value_is_cut_visibly() {
        assert_eq!(
            Quoted(&"ä".repeat(200)).to_string(),
            format!("`{}…`", "ä".repeat(100))
        );
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(QuotedList(&[]).to_string(), "none");
        assert_eq!(
            QuotedList(&["a".into(), "b".into()]).to_string(),
            "`a`, `b`"
        );
    }
}
