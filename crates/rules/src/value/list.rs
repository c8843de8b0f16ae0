//! Comma-separated lists, read item by item with the position of each.

use std::collections::BTreeSet;

use super::InvalidItem;

/// A setting that names all, or some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected<T> {
    /// `*`.
    All,
    /// Each item by itself; empty for none.
    Only(Vec<T>),
}

/// Reads a comma-separated list; blanks around items are allowed, a blank text is the empty list.
///
/// `parse` reads one item and `expected` says what it takes. An empty item is refused like any
/// other that does not parse: nothing is dropped in silence. Of items that stand twice the first
/// stays.
///
/// # Examples
///
/// ```
/// use mesh_cni_netfilter::value::Port;
/// use mesh_cni_rules::value::list;
///
/// let ports = list("22, 15020", Port::parse, Port::EXPECTED).unwrap();
/// assert_eq!(ports.iter().map(|port| port.get()).collect::<Vec<_>>(), [22, 15020]);
///
/// let error = list("22,http", Port::parse, Port::EXPECTED).unwrap_err();
/// assert_eq!((error.item.as_str(), error.position), ("http", 4));
/// ```
pub fn list<T: Ord + Clone>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<Vec<T>, InvalidItem> {
    let (mut values, mut known) = (Vec::new(), BTreeSet::new());
    for item in items(text) {
        let value = parse(item).ok_or_else(|| invalid(text, item, expected))?;
        if known.insert(value.clone()) {
            values.push(value);
        }
    }
    Ok(values)
}

/// Reads `*` alone, or a list.
pub fn wildcard_or_list<T: Ord + Clone>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<Selected<T>, InvalidItem> {
    if text.trim() == "*" {
        return Ok(Selected::All);
    }
    list(text, parse, expected).map(Selected::Only)
}

/// Reads exactly one value.
pub fn single<T>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
    expected: &'static str,
) -> Result<T, InvalidItem> {
    let trimmed = text.trim();
    parse(trimmed).ok_or_else(|| invalid(text, trimmed, expected))
}

/// What is wrong with an item, a slice of `text`; its position is counted only now.
pub(super) fn invalid(text: &str, item: &str, expected: &'static str) -> InvalidItem {
    InvalidItem {
        item: item.to_owned(),
        position: position_of(text, item),
        expected,
    }
}

/// Each item without the blanks around it.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    let blank = text.trim().is_empty();
    let raw = text.split(',').filter(move |_| !blank);
    raw.map(str::trim)
}

/// Where `part`, a slice of `text`, begins: in characters, from 1.
fn position_of(text: &str, part: &str) -> usize {
    let offset = part.as_ptr() as usize - text.as_ptr() as usize;
    text[..offset].chars().count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_cni_netfilter::value::Port;

    fn ports(text: &str) -> Result<Vec<u16>, (String, usize)> {
        list(text, Port::parse, Port::EXPECTED)
            .map(|ports| ports.iter().map(|port| port.get()).collect())
            .map_err(|error| (error.item, error.position))
    }

    #[test]
    fn lists_take_blanks_and_keep_the_first_of_twins() {
        assert_eq!(ports(""), Ok(vec![]));
        assert_eq!(ports("  "), Ok(vec![]));
        assert_eq!(ports(" 80 ,\t443,80"), Ok(vec![80, 443]));
    }

    #[test]
    fn items_that_do_not_parse_are_named_with_their_position() {
        assert_eq!(ports("80,,443"), Err((String::new(), 4)));
        assert_eq!(ports("80,443,"), Err((String::new(), 8)));
        assert_eq!(ports("80, 0"), Err(("0".to_owned(), 5)));
        assert_eq!(ports("65536"), Err(("65536".to_owned(), 1)));
        assert_eq!(ports("+80"), Err(("+80".to_owned(), 1)));
        assert_eq!(ports("é,80-90"), Err(("é".to_owned(), 1)));
        assert_eq!(ports("80,*"), Err(("*".to_owned(), 4)));
    }

    #[test]
    fn a_wildcard_stands_alone() {
        let read = |text| wildcard_or_list(text, Port::parse, Port::EXPECTED);
        assert_eq!(read(" * "), Ok(Selected::All));
        assert_eq!(read(""), Ok(Selected::Only(vec![])));
        assert!(read("*,80").is_err());
    }
}
