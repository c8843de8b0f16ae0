//! The bytes of each message, as a real ztunnel sends and accepts them.

use mesh_cni_zds::{Ack, DecodeError, Hello, Request, Workload};
use proptest::prelude::*;

fn add() -> Request {
    Request::Add {
        uid: "u".into(),
        workload: Workload {
            name: "n".into(),
            namespace: "s".into(),
            service_account: "a".into(),
        },
    }
}

fn uid() -> String {
    "u".into()
}

#[test]
fn each_message_has_the_documented_bytes() {
    assert_eq!(Hello.encode(), b"\x08\x01");
    let requests: [(Request, &[u8]); 4] = [
        (
            add(),
            b"\x0a\x0e\x0a\x01u\x12\x09\x0a\x01n\x12\x01s\x1a\x01a",
        ),
        (Request::Delete { uid: uid() }, b"\x12\x03\x12\x01u"),
        (Request::SnapshotSent, b"\x1a\x00"),
        (Request::Keep { uid: uid() }, b"\x2a\x03\x0a\x01u"),
    ];
    for (request, bytes) in requests {
        assert_eq!(request.encode(), bytes, "{request:?}");
        assert_eq!(Request::decode(bytes), Ok(request));
    }
    for (ack, bytes) in [
        (Ack(Ok(())), b"\x0a\x00".as_slice()),
        (Ack(Err("no".into())), b"\x0a\x04\x0a\x02no"),
    ] {
        assert_eq!(ack.encode(), bytes);
        assert_eq!(Ack::decode(bytes), Ok(ack));
    }
}

#[test]
fn long_texts_have_a_length_of_several_bytes() {
    let error = "x".repeat(4096);
    let ack = Ack(Err(error));
    assert_eq!(&ack.encode()[..7], b"\x0a\x83\x20\x0a\x80\x20x");
    assert_eq!(Ack::decode(&ack.encode()), Ok(ack));
}

#[test]
fn fields_of_later_versions_are_ignored() {
    // A number, a text, and numbers of 8 and 4 bytes.
    let unknown = b"\x50\x01\x5a\x01x\x61\0\0\0\0\0\0\0\0\x6d\0\0\0\0";
    for known in [add().encode(), Request::SnapshotSent.encode()] {
        let expected = Request::decode(&known);
        assert_eq!(Request::decode(&[unknown, &known[..]].concat()), expected);
        assert_eq!(Request::decode(&[&known[..], unknown].concat()), expected);
    }
    assert_eq!(
        Ack::decode(&[b"\x0a\x00", &unknown[..]].concat()),
        Ok(Ack(Ok(())))
    );
}

#[test]
fn what_is_not_a_message_is_an_error() {
    let wire_type = |field, wire_type| DecodeError::WireType { field, wire_type };
    let cases: [(&[u8], DecodeError); 11] = [
        (b"", DecodeError::Missing("payload")),
        (b"\x0a\x03\x0a\x01u", DecodeError::Missing("workload_info")),
        (b"\x12\x03\x12\x02u", DecodeError::Truncated),
        (b"\x12\x04\x12\x01u", DecodeError::Truncated),
        (b"\x12\x03\x12\x01\xff", DecodeError::Utf8 { field: 2 }),
        (b"\x18\x00", wire_type(3, 0)),
        (b"\x1b\x1c", wire_type(3, 3)),
        (b"\x1d\0\0\0\0", wire_type(3, 5)),
        (b"\x02\x00", DecodeError::FieldNumber(0)),
        (
            b"\x80\x80\x80\x80\x10\x00",
            DecodeError::FieldNumber(1 << 29),
        ),
        (
            b"\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            DecodeError::Overflow,
        ),
    ];
    for (bytes, error) in cases {
        assert_eq!(Request::decode(bytes), Err(error), "{bytes:x?}");
    }
    assert_eq!(Hello::decode(b""), Err(DecodeError::Version(0)));
    assert_eq!(Hello::decode(b"\x08\x02"), Err(DecodeError::Version(2)));
    assert_eq!(Ack::decode(b""), Err(DecodeError::Missing("ack")));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        uid in ".{0,40}", name in ".*", namespace in ".*", service_account in ".*", error in ".*",
    ) {
        let workload = Workload { name, namespace, service_account };
        for request in [
            Request::Add { uid: uid.clone(), workload },
            Request::Keep { uid: uid.clone() },
            Request::Delete { uid },
        ] {
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        let result = if error.is_empty() { Ok(()) } else { Err(error) };
        prop_assert_eq!(Ack::decode(&Ack(result.clone()).encode()), Ok(Ack(result)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
        if let Ok(ack) = Ack::decode(&bytes) {
            prop_assert_eq!(Ack::decode(&ack.encode()), Ok(ack));
        }
    }
}
