//! The datagrams of a ztunnel, and as many of them as the input has lines.

use std::time::Instant;

use mesh_cni_zds::{Ack, Hello, Output, Request, Service, Workload, Ztunnels};

use crate::property::{assert_bounded_error, assert_one_line};

pub(crate) fn run(input: &[u8]) {
    if let Ok(request) = Request::decode(input) {
        let read = Request::decode(&request.encode());
        assert_eq!(read.as_ref(), Ok(&request));
    }
    if let Ok(ack) = Ack::decode(input) {
        assert_eq!(Ack::decode(&ack.encode()), Ok(ack));
    }
    conversation(input);
}

/// Each line is the answer to one request. No answer ends with a pod that is served by mistake.
fn conversation(input: &[u8]) {
    let now = Instant::now();
    let mut ztunnels = Ztunnels::new();
    for uid in ["a", "b"] {
        let served = ztunnels.serve(uid, Workload::default(), Some(uid.len()));
        served.expect("a short message");
    }
    let connection = ztunnels.connect(now).expect("the first connection");
    ztunnels.receive(connection, &Hello.encode());
    let mut accepted = 0;
    for line in input.split(|byte| *byte == b'\n') {
        while let Some(output) = ztunnels.output(now) {
            match output {
                Output::Send { .. } => {}
                Output::Refused { error, .. } => assert_one_line(&error),
                Output::Close { error, .. } => assert_bounded_error(&error),
            }
        }
        accepted += usize::from(Ack::decode(line) == Ok(Ack(Ok(()))));
        ztunnels.receive(connection, line);
    }
    let is_served = |uid: &&str| ztunnels.service(uid) == Some(Service::Served);
    let served = ["a", "b"].iter().filter(|uid| is_served(uid)).count();
    assert!(served <= accepted, "{served} served, {accepted} accepted");
}
