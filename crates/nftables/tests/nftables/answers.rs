//! What the kernel says: acknowledgements, refusals, and bytes that are no messages.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_nftables::{Answer, Batch, Content, Refusal, answers, compat};
use mesh_cni_rules::{Dialect, compile};
use proptest::prelude::*;

use crate::settings::documented;

/// `struct nlmsghdr`
fn header(length: u32, kind: u16, flags: u16, sequence: u32) -> Vec<u8> {
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes
}

/// A refusal as the kernel sends it with `NETLINK_CAP_ACK` and `NETLINK_EXT_ACK`.
fn refusal(errno: i32, text: &str, sequence: u32) -> Vec<u8> {
    const CAPPED_WITH_ATTRIBUTES: u16 = 0x300;
    let mut attribute = u16::try_from(text.len() + 5)
        .unwrap()
        .to_ne_bytes()
        .to_vec();
    attribute.extend(1_u16.to_ne_bytes());
    attribute.extend(text.as_bytes());
    attribute.push(0);
    let length = u32::try_from(16 + 4 + 16 + attribute.len()).unwrap();
    let mut bytes = header(length, 2, CAPPED_WITH_ATTRIBUTES, sequence);
    bytes.extend((-errno).to_ne_bytes());
    bytes.extend(header(400, 0x0a06, 5, sequence));
    bytes.extend(attribute);
    bytes
}

#[test]
fn a_refusal_names_the_rule_and_the_reason() {
    let rules = compile(&documented(), Dialect::Asm, Family::V4);
    let changes = compat::create(&rules).unwrap();
    let batch = Batch::new(&changes).encode();
    let datagram = refusal(2, "no such match", 9);
    let heard: Vec<Answer> = answers(&datagram).collect::<Result<_, _>>().unwrap();
    let [answer] = heard.as_slice() else {
        panic!("one message was sent, {} were heard", heard.len());
    };
    let refusal = Refusal {
        errno: 2,
        text: Some("no such match".to_owned()),
    };
    assert_eq!(answer.content, Content::Refused(refusal));
    let change = &changes[batch.change(answer.sequence).unwrap()];
    insta::assert_snapshot!(change.summary(), @"add rule ip nat ISTIO_INBOUND -p tcp --dport 15021 -j RETURN");
}

#[test]
fn the_edges_of_a_batch_speak_for_all_of_it() {
    let rules = compile(&documented(), Dialect::Asm, Family::V4);
    let changes = compat::create(&rules).unwrap();
    let batch = Batch::new(&changes).at_generation(7).encode();
    assert_eq!(batch.change(0), None);
    assert_eq!(batch.change(batch.last()), Some(changes.len() - 1));
    assert_eq!(batch.change(batch.last() + 1), None);
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for answer in answers(&bytes) {
            drop(answer);
        }
    }

    #[test]
    fn messages_with_a_byte_turned_are_read_or_refused(at in 0_usize..8_000, to in any::<u8>()) {
        let rules = compile(&documented(), Dialect::Asm, Family::V4);
        let changes = compat::create(&rules).unwrap();
        let mut bytes = Batch::new(&changes).encode().bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = to;
        let heard = answers(&bytes).count();
        prop_assert!(heard > 0);
    }
}
