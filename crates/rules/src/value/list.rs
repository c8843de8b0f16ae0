//! Comma-separated lists, parsed item by item with the position of each.

use std::collections::BTreeSet;

use mesh_cni_netfilter::value::InvalidValue;

use super::InvalidItem;

/// A setting that is a wildcard or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selected<T> {
    /// `*`.
    All,
    /// The items of the list; may be empty.
    Only(Vec<T>),
}

/// Parses a comma-separated list. White space around items is allowed; an empty text is the empty
/// list.
///
/// An empty item is refused like any other that is not valid. Duplicates are removed.
///
/// # Examples
///
/// ```
/// use mesh_cni_netfilter::Port;
/// use mesh_cni_rules::value::list;
///
/// let ports = list("22, 15020", str::parse::<Port>).unwrap();
/// assert_eq!(ports.iter().map(|port| port.get()).collect::<Vec<_>>(), [22, 15020]);
///
/// let error = list("22,http", str::parse::<Port>).unwrap_err();
/// assert_eq!((error.item.as_str(), error.position), ("http", 4));
/// ```
pub fn list<T: Ord + Clone>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, InvalidValue>,
) -> Result<Vec<T>, InvalidItem> {
    let mut known = BTreeSet::new();
    let mut values = every_item(text, parse)?;
    values.retain(|value| known.insert(value.clone()));
    Ok(values)
}

/// Parses a comma-separated list and keeps duplicates.
pub fn every_item<T>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, InvalidValue>,
) -> Result<Vec<T>, InvalidItem> {
    let value = |item| parse(item).map_err(|error| invalid(text, item, error.expected));
    items(text).map(value).collect()
}

/// Parses `*`, or a list.
pub fn wildcard_or_list<T: Ord + Clone>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, InvalidValue>,
) -> Result<Selected<T>, InvalidItem> {
    if text.trim() == "*" {
        return Ok(Selected::All);
    }
    list(text, parse).map(Selected::Only)
}

/// Parses exactly one value.
pub fn single<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
) -> Result<T, InvalidItem> {
    let trimmed = text.trim();
    parse(trimmed).map_err(|error| invalid(text, trimmed, error.expected))
}

/// The error for an item, which must be a slice of `text`.
pub(crate) fn invalid(text: &str, item: &str, expected: &'static str) -> InvalidItem {
    let offset = item.as_ptr() as usize - text.as_ptr() as usize;
    InvalidItem {
        item: item.to_owned(),
        position: text[..offset].chars().count() + 1,
        expected,
    }
}

/// The items without surrounding white space.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    let is_empty = text.trim().is_empty();
    text.split(',').filter(move |_| !is_empty).map(str::trim)
}

#[cfg(test)]
mod tests {
    use mesh_cni_netfilter::Port;

    use super::*;

    fn ports(text: &str) -> Result<Vec<u16>, (String, usize)> {
        list(text, str::parse::<Port>)
            .map(|ports| ports.iter().map(|port| port.get()).collect())
            .map_err(|error| (error.item, error.position))
    }

    #[test]
    fn white_space_and_duplicates_are_removed() {
        assert_eq!(ports(""), Ok(vec![]));
        assert_eq!(ports("  "), Ok(vec![]));
        assert_eq!(ports(" 80 ,\t443,80"), Ok(vec![80, 443]));
    }

    #[test]
    fn invalid_items_are_reported_with_their_position() {
        assert_eq!(ports("80,,443"), Err((String::new(), 4)));
        assert_eq!(ports("80,443,"), Err((String::new(), 8)));
        assert_eq!(ports("80, 0"), Err(("0".to_owned(), 5)));
        assert_eq!(ports("65536"), Err(("65536".to_owned(), 1)));
        assert_eq!(ports("+80"), Err(("+80".to_owned(), 1)));
        assert_eq!(ports("é,80-90"), Err(("é".to_owned(), 1)));
        assert_eq!(ports("80,*"), Err(("*".to_owned(), 4)));
    }

    #[test]
    fn a_wildcard_is_not_an_item() {
        let parse = |text| wildcard_or_list(text, str::parse::<Port>);
        assert_eq!(parse(" * "), Ok(Selected::All));
        assert_eq!(parse(""), Ok(Selected::Only(vec![])));
        assert!(parse("*,80").is_err());
    }
}
