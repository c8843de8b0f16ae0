//! Lists of any text keep their bytes.

use mesh_cni_spec::{Change, ConfList};
use proptest::prelude::*;
use serde_json::{Value, json};

fn space() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(Vec::new()),
        2 => Just(b" ".to_vec()),
        2 => Just(b"\n    ".to_vec()),
        1 => "[ \t\r\n]{1,5}".prop_map(String::into_bytes),
    ]
}

fn string() -> impl Strategy<Value = Vec<u8>> {
    let pieces: [&[u8]; 14] = [
        b"a",
        b"\\u00e9",
        b"\\/",
        b"\\\"",
        b"\\\\",
        b"\xe9",
        "é".as_bytes(),
        b"]",
        b"}",
        b",",
        b":",
        b"\\ud800",
        b"\\ud83d\\ude00",
        b"\xf0\x9f",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..4)
        .prop_map(|pieces| [b"\"", &pieces.concat()[..], b"\""].concat())
}

/// A bracket, the items with white space around them, and the other bracket.
fn bracketed(
    item: impl Strategy<Value = Vec<u8>> + Clone,
    count: std::ops::Range<usize>,
    brackets: [&'static [u8]; 2],
) -> impl Strategy<Value = Vec<u8>> {
    let item = (space(), item, space()).prop_map(|(a, item, b)| [a, item, b].concat());
    (prop::collection::vec(item, count), space()).prop_map(move |(items, space)| {
        let items = if items.is_empty() {
            space
        } else {
            items.join(&b","[..])
        };
        [brackets[0], &items, brackets[1]].concat()
    })
}

fn member(
    key: impl Strategy<Value = Vec<u8>>,
    value: impl Strategy<Value = Vec<u8>>,
) -> impl Strategy<Value = Vec<u8>> {
    (key, space(), space(), value)
        .prop_map(|(key, a, b, value)| [&key[..], &a, b":", &b, &value].concat())
}

fn value() -> impl Strategy<Value = Vec<u8>> + Clone {
    let words: [&[u8]; 8] = [
        b"0",
        b"-1.50e+2",
        b"1E3",
        b"12345678901234567890123.0",
        b"null",
        b"true",
        b"[]",
        b"{ }",
    ];
    let leaf = prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
        string()
    ]
    .boxed();
    leaf.prop_recursive(3, 12, 3, |inner| {
        let inner = inner.boxed();
        let members = member(string(), inner.clone()).boxed();
        prop_oneof![
            bracketed(inner, 0..3, [b"[", b"]"]),
            bracketed(members, 0..3, [b"{", b"}"]),
        ]
    })
    .boxed()
}

fn literal(text: &'static [u8]) -> impl Strategy<Value = Vec<u8>> + Clone {
    Just(text.to_vec())
}

fn plugin() -> impl Strategy<Value = Vec<u8>> + Clone {
    let other = prop_oneof![
        literal(b"\"x\""),
        literal(b"\"\\u0078\""),
        literal(b"\"mtu\"")
    ];
    let others = prop::collection::vec(member(other, value()), 0..3);
    let kind = prop_oneof![
        literal(b"\"calico\""),
        literal(b"\"b\\/c\""),
        literal(b"\"\xe9\"")
    ];
    (others, member(literal(b"\"type\""), kind), space(), space())
        .prop_map(|(mut members, kind, a, b)| {
            members.push(kind);
            [b"{", &a[..], &members.join(&b","[..]), &b, b"}"].concat()
        })
        .boxed()
}

fn list() -> impl Strategy<Value = Vec<u8>> {
    let plugins = || bracketed(plugin(), 1..4, [b"[", b"]"]);
    let key = || prop_oneof![literal(b"\"plugins\""), literal(b"\"plug\\u0069ns\"")];
    let other = prop_oneof![
        4 => member(literal(b"\"x\""), value()).boxed(),
        1 => member(key(), plugins()).boxed(),
        1 => member(literal(b"\"name\""), literal(b"\"first\"")).boxed(),
    ]
    .boxed();
    let members = (
        prop::collection::vec(other, 0..3),
        member(key(), plugins()),
        member(literal(b"\"name\""), string()),
    );
    let members = members.prop_flat_map(|(mut others, plugins, name)| {
        others.extend([plugins, name]);
        Just(others).prop_shuffle()
    });
    (space(), members, space(), space()).prop_map(|(a, members, b, c)| {
        [&a[..], b"{", &b, &members.join(&b","[..]), &c, b"}", &a].concat()
    })
}

fn plugins(list: &ConfList) -> Vec<Value> {
    list.plugins().to_vec()
}

proptest! {
    #[test]
    fn an_entry_is_added_and_removed_without_a_trace(text in list()) {
        let mut list = ConfList::parse(&text).unwrap();
        let entry = json!({"type": "ours", "namespaces": ["a", "b"]});
        let expected = [plugins(&list), vec![entry.clone()]].concat();
        prop_assert_eq!(list.set_chained(&entry).unwrap(), Change::Appended);
        prop_assert_eq!(plugins(&list), expected.clone());

        let once = ConfList::parse(list.text()).unwrap();
        prop_assert_eq!(plugins(&once), expected);
        prop_assert_eq!(list.set_chained(&entry).unwrap(), Change::Unchanged);
        prop_assert_eq!(list.text(), once.text());
        list.set_chained(&json!({"type": "ours", "other": 1})).unwrap();
        prop_assert_eq!(list.remove("ours"), Change::Removed);
        prop_assert_eq!(list.text(), &text[..]);
    }

    #[test]
    fn fields_and_replaced_entries_are_restored_without_a_trace(text in list(), mark in value()) {
        let mut list = ConfList::parse(&text).unwrap();
        let replaced = list.set_aside("calico", &json!({"type": "ours"}), "ours/was").unwrap();
        let mark = ConfList::parse([b"{\"name\":\"n\",\"x\":", &mark[..], b"}"].concat()).unwrap();
        list.set_field("ours/mark", mark.field("x").unwrap()).unwrap();
        list = ConfList::parse(list.text()).unwrap();
        list.remove_field("ours/mark").unwrap();
        let once = replaced.is_change() && text.windows(8).filter(|part| part == b"\"calico\"").count() == 1;
        if once {
            prop_assert!(list.restore("ours/was", "ours"));
        }
        prop_assert!(list.text() == text || (replaced.is_change() && !once));
    }

    #[test]
    fn a_single_plugin_is_called_with_the_same_values(text in plugin()) {
        let list = ConfList::from_conf(&text).unwrap();
        let same = ConfList::parse([b"{\"name\":\"\",\"plugins\":[", &text[..], b"]}"].concat());
        prop_assert_eq!(plugins(&list), plugins(&same.unwrap()));
    }

    #[test]
    fn any_bytes_are_loaded_or_refused(text in prop::collection::vec(any::<u8>(), 0..60)) {
        drop(ConfList::parse(&text));
        drop(ConfList::from_conf(&text));
    }

    #[test]
    fn a_damaged_list_is_loaded_or_refused(text in list(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut text = text;
        let at = at.index(text.len());
        text[at] = byte;
        let entry = json!({"type": "ours"});
        if let Ok(mut list) = ConfList::parse(&text) && list.set_chained(&entry).is_ok() {
            prop_assert!(list.contains("ours"));
            list.remove("ours");
            prop_assert_eq!(list.text(), &text[..]);
        }
        drop(ConfList::parse(&text[..at]));
    }
}
