//! Long values in messages: the part that matters, not the whole.

/// How many characters of a value a message shows.
const LONGEST: usize = 120;

/// The text itself where it is short, else what stands around a position, with `…` for what is left
/// out. Positions are counted in characters from 1.
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
    if length <= LONGEST {
        return text.to_owned();
    }
    // The last ones where the position is near the end.
    let before = position.saturating_sub(1).saturating_sub(LONGEST / 2);
    let start = before.min(length - LONGEST);
    let shown: String = text.chars().skip(start).take(LONGEST).collect();
    let ellipsis = |left_out: bool| if left_out { "…" } else { "" };
    let (head, tail) = (ellipsis(start > 0), ellipsis(start + LONGEST < length));
    format!("{head}{shown}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_is_within_what_is_shown() {
        let text: String = ('a'..='z').cycle().take(1000).collect();
        let start: String = text.chars().take(LONGEST).collect();
        assert_eq!(excerpt(&text, 1), format!("{start}…"));
        assert_eq!(excerpt(&text, 1000), format!("…{}", &text[880..]));
        let middle = excerpt(&text, 500);
        assert!(middle.contains(&text[490..510]), "{middle}");
        assert_eq!(middle.chars().count(), LONGEST + 2);
        assert_eq!(excerpt(&text, usize::MAX), format!("…{}", &text[880..]));
    }

    #[test]
    fn signs_are_counted_and_not_bytes() {
        let text = "é".repeat(LONGEST);
        assert_eq!(excerpt(&text, 60), text);
        assert_eq!(excerpt(&format!("{text}é"), 1), format!("{text}…"));
    }
}
