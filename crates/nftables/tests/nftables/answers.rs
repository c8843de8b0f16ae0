//! Answers of the kernel: acknowledgements, refusals, and bytes that are not valid messages.

use mesh_cni_netfilter::ruleset::Family;
use mesh_cni_nftables::{Answer, Batch, Content, Refusal, answers, compat};
use mesh_cni_rules::istio::{Dialect, compile};
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
    const NLMSG_ERROR: u16 = 2;
    const NLM_F_CAPPED: u16 = 0x100;
    const NLM_F_ACK_TLVS: u16 = 0x200;
    const NLMSGERR_ATTR_MSG: u16 = 1;
    /// `NFT_MSG_NEWRULE` of `NFNL_SUBSYS_NFTABLES`
    const NEW_RULE: u16 = 10 << 8 | 6;
    /// `NLM_F_REQUEST | NLM_F_ACK`
    const REQUEST_WITH_ACK: u16 = 0x1 | 0x4;
    let mut attribute = u16::try_from(text.len() + 5)
        .unwrap()
        .to_ne_bytes()
        .to_vec();
    attribute.extend(NLMSGERR_ATTR_MSG.to_ne_bytes());
    attribute.extend(text.as_bytes());
    attribute.push(0);
    let length = u32::try_from(16 + 4 + 16 + attribute.len()).unwrap();
    let mut bytes = header(length, NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, sequence);
    bytes.extend((-errno).to_ne_bytes());
    bytes.extend(header(400, NEW_RULE, REQUEST_WITH_ACK, sequence));
    bytes.extend(attribute);
    bytes
}

#[test]
fn a_refusal_contains_the_reason_and_leads_to_the_rule() {
    let rules = compile(&documented(), Dialect::Asm, Family::V4);
    let changes = compat::create(&rules).unwrap();
    let batch = Batch::new(&changes).encode();
    let datagram = refusal(2, "no such match", 9);
    let decoded: Vec<Answer> = answers(&datagram).collect::<Result<_, _>>().unwrap();
    let [answer] = decoded.as_slice() else {
        panic!("1 message was encoded, {} were decoded", decoded.len());
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
fn begin_and_end_of_a_batch_belong_to_no_change() {
    let rules = compile(&documented(), Dialect::Asm, Family::V4);
    let changes = compat::create(&rules).unwrap();
    let batch = Batch::new(&changes).at_generation(7).encode();
    assert_eq!(batch.change(0), None);
    assert_eq!(batch.change(batch.last()), Some(changes.len() - 1));
    assert_eq!(batch.change(batch.last() + 1), None);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for answer in answers(&bytes) {
            drop(answer);
        }
    }

    #[test]
    fn messages_with_a_changed_byte_are_decoded_or_refused(at in 0_usize..8_000, to in any::<u8>()) {
        let rules = compile(&documented(), Dialect::Asm, Family::V4);
        let changes = compat::create(&rules).unwrap();
        let mut bytes = Batch::new(&changes).encode().bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = to;
        let decoded = answers(&bytes).count();
        prop_assert!(decoded > 0);
    }
}
