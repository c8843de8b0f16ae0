//! The text form of a packet.

use mesh_cni_netfilter::Packet;

use crate::support::assert_snapshot;

#[test]
fn all_options_are_parsed_and_displayed() {
    for text in [
        "in tcp 10.244.1.17:9080 from 10.0.0.9:40000 iface eth0 mark 7 connmark 8 \
         state established reply size 1500",
        "in udp [fd00::17]:53 from [fd00::9]:53",
        "out tcp 10.0.0.7:9080",
        "out tcp 10.0.0.7:9080 from 127.0.0.6:32768 uid 1337",
        "out udp 10.0.0.7:53 iface net1 uid 2000 gid 1337 state related",
    ] {
        assert_eq!(text.parse::<Packet>().unwrap().to_string(), text);
    }
}

#[test]
fn defaults_are_not_displayed() {
    for (text, canonical) in [
        (
            "  out  tcp 10.0.0.7:80 gid 5 uid 5 ",
            "out tcp 10.0.0.7:80 uid 5",
        ),
        (
            "in tcp 10.0.0.7:80 state new size 60 from 10.0.0.9",
            "in tcp 10.0.0.7:80 from 10.0.0.9:32768",
        ),
        (
            "in tcp [::1]:80 size 80 from [::2] mark 0x539",
            "in tcp [::1]:80 from [::2]:32768 mark 1337",
        ),
    ] {
        assert_eq!(text.parse::<Packet>().unwrap().to_string(), canonical);
    }
}

#[test]
fn an_invalid_text_is_refused_with_the_position() {
    let refused = [
        "",
        "up tcp 10.0.0.7:80",
        "out sctp 10.0.0.7:80",
        "out tcp 10.0.0.7",
        "out tcp 10.0.0.7:0",
        "out tcp fd00::7:80",
        "out tcp 10.0.0.7:80 uid",
        "out tcp 10.0.0.7:80 uid root",
        "out tcp 10.0.0.7:80 gid 1337",
        "out tcp 10.0.0.7:80 uid 1 uid 2",
        "out tcp 10.0.0.7:80 as root",
        "in tcp 10.0.0.7:80",
        "in tcp 10.0.0.7:80 from 10.0.0.9 uid 1",
        "in tcp 10.0.0.7:80 from nobody",
        "in tcp 10.0.0.7:80 from ::1",
        "in tcp 10.0.0.7:80 iface eth+",
        "out tcp 10.0.0.7:80 mark 0xx",
        "out tcp 10.0.0.7:80 state open",
        "out tcp 10.0.0.7:80 size -1",
    ];
    let errors = refused.map(|text| {
        let error = text.parse::<Packet>().unwrap_err();
        let caret = " ".repeat(error.position - 1);
        format!("{text}\n{caret}^ {error}")
    });
    assert_snapshot!(
        "packet-problems",
        "under each text a caret at the invalid word, or after the text if a word is missing, and \
         what is valid there",
        errors.join("\n")
    );
}
