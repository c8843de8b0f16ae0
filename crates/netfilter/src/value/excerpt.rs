//! Excerpts of long values for error messages.

use mesh_cni_text::escaped;

/// The maximum length of an excerpt in characters.
const MAX_LENGTH: usize = 120;

/// The text if it is short, else the part around a position, with `…` for the rest.
///
/// Control and format characters are [escaped].
///
/// Positions are in characters from 1.
///
/// # Examples
///
/// ```
/// use mesh_cni_netfilter::value::excerpt;
///
/// assert_eq!(excerpt("22,http", 4), "22,http");
/// let long = "10.0.0.0/8,".repeat(20_000);
/// assert!(excerpt(&long, 100_000).chars().count() < 130);
/// ```
pub fn excerpt(text: &str, position: usize) -> String {
    let length = text.chars().count();
    if length <= MAX_LENGTH {
        return escaped(text).into_owned();
    }
    let before = position.saturating_sub(1).saturating_sub(MAX_LENGTH / 2);
    let start = before.min(length - MAX_LENGTH);
    let shown: String = text.chars().skip(start).take(MAX_LENGTH).collect();
    let ellipsis = |omitted: bool| if omitted { "…" } else { "" };
    let (head, tail) = (ellipsis(start > 0), ellipsis(start + MAX_LENGTH < length));
    format!("{head}{}{tail}", escaped(&shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excerpt_contains_the_position() {
        let text: String = ('a'..='z').cycle().take(1000).collect();
        let start: String = text.chars().take(MAX_LENGTH).collect();
        assert_eq!(excerpt(&text, 1), format!("{start}…"));
        assert_eq!(excerpt(&text, 1000), format!("…{}", &text[880..]));
        let middle = excerpt(&text, 500);
        assert!(middle.contains(&text[490..510]), "{middle}");
        assert_eq!(middle.chars().count(), MAX_LENGTH + 2);
        assert_eq!(excerpt(&text, usize::MAX), format!("…{}", &text[880..]));
    }

    #[test]
    fn control_and_format_characters_are_escaped() {
        assert_eq!(excerpt("22,\u{202e}33\n", 4), "22,\\u{202e}33\\n");
        let long = "\u{200b}".repeat(1000);
        assert_eq!(excerpt(&long, 1), "\\u{200b}".repeat(MAX_LENGTH) + "…");
    }

    #[test]
    fn lengths_are_in_characters_not_bytes() {
        let text = "é".repeat(MAX_LENGTH);
        assert_eq!(excerpt(&text, 60), text);
        assert_eq!(excerpt(&format!("{text}é"), 1), format!("{text}…"));
    }
}
