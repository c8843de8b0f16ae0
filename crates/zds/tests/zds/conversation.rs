//! Conversations, step by step.

use std::time::{Duration, Instant};

use mesh_cni_zds::{
    ANSWER_TIMEOUT, Ack, ConnectionId, ConversationError, DecodeError, HELLO_TIMEOUT, Hello,
    MAX_CONNECTIONS, Output, Phase, Request, Service, TooLong, TooManyConnections, Workload,
    Ztunnels,
};

struct Lab {
    ztunnels: Ztunnels<u8>,
    now: Instant,
}

impl Lab {
    fn new() -> Self {
        Self {
            ztunnels: Ztunnels::new(),
            now: Instant::now(),
        }
    }

    fn serve(&mut self, uid: &str, netns: Option<u8>) {
        let workload = Workload {
            name: uid.to_uppercase(),
            namespace: "shop".into(),
            service_account: "default".into(),
        };
        self.ztunnels.serve(uid, workload, netns).unwrap();
    }

    /// A ztunnel that has said hello.
    fn hello(&mut self) -> ConnectionId {
        let id = self.ztunnels.connect(self.now).unwrap();
        self.ztunnels.receive(id, &Hello.encode());
        id
    }

    /// A ztunnel that has received its snapshot.
    fn live(&mut self) -> ConnectionId {
        let id = self.hello();
        self.settle();
        id
    }

    fn answer(&mut self, from: ConnectionId, result: Result<(), &str>) {
        let ack = Ack(result.map_err(str::to_owned));
        self.ztunnels.receive(from, &ack.encode());
    }

    /// What is sent next, as `CONNECTION: REQUEST UID NETNS`, without an answer.
    fn sent(&mut self) -> Vec<(ConnectionId, String)> {
        std::iter::from_fn(|| self.ztunnels.output(self.now))
            .map(|output| match output {
                Output::Send {
                    to,
                    datagram,
                    netns,
                } => {
                    let netns = netns.map(|netns| format!(" {netns}")).unwrap_or_default();
                    (
                        to,
                        match Request::decode(&datagram).unwrap() {
                            Request::Add { uid, .. } => format!("add {uid}{netns}"),
                            Request::Keep { uid } => format!("keep {uid}{netns}"),
                            Request::Delete { uid } => format!("delete {uid}{netns}"),
                            Request::SnapshotSent => format!("snapshot{netns}"),
                        },
                    )
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// Everything that is sent if each request succeeds.
    fn settle(&mut self) -> Vec<(ConnectionId, String)> {
        let mut all = Vec::new();
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                return all;
            }
            for (to, _) in &sent {
                self.answer(*to, Ok(()));
            }
            all.extend(sent);
        }
    }

    fn requests(&mut self) -> Vec<String> {
        self.settle()
            .into_iter()
            .map(|(_, request)| request)
            .collect()
    }
}

#[test]
fn a_ztunnel_receives_the_snapshot_and_then_changes() {
    let mut lab = Lab::new();
    lab.serve("a", Some(1));
    lab.serve("b", None);
    let id = lab.ztunnels.connect(lab.now).unwrap();
    assert_eq!(lab.sent(), [], "nothing before the hello");
    lab.ztunnels.receive(id, &Hello.encode());
    assert_eq!(lab.ztunnels.service("a"), Some(Service::NoZtunnel));
    assert_eq!(lab.requests(), ["add a 1", "keep b", "snapshot"]);
    assert_eq!(lab.ztunnels.service("a"), Some(Service::Served));
    assert_eq!(lab.ztunnels.service("b"), Some(Service::Kept));

    lab.serve("b", Some(2));
    lab.serve("c", Some(3));
    lab.serve("unknown", None);
    assert_eq!(lab.requests(), ["add b 2", "add c 3"]);
    assert_eq!(lab.ztunnels.service("unknown"), Some(Service::Pending));
    lab.serve("a", Some(1));
    assert_eq!(lab.requests(), [] as [&str; 0], "nothing changed");
    lab.serve("a", Some(9));
    lab.ztunnels.forget("c");
    assert_eq!(lab.requests(), ["add a 9", "delete c"]);
    assert_eq!(lab.ztunnels.service("c"), None);
}

#[test]
fn one_request_at_a_time() {
    let mut lab = Lab::new();
    let id = lab.live();
    lab.serve("a", Some(1));
    lab.serve("b", Some(2));
    assert_eq!(lab.sent(), [(id, "add a 1".into())]);
    assert_eq!(lab.sent(), []);
    lab.answer(id, Ok(()));
    assert_eq!(lab.sent(), [(id, "add b 2".into())]);
}

#[test]
fn pods_of_a_long_snapshot_do_not_delay_its_end() {
    let mut lab = Lab::new();
    lab.serve("a", Some(1));
    lab.serve("c", Some(3));
    lab.hello();
    lab.serve("b", Some(2));
    lab.ztunnels.forget("c");
    assert_eq!(lab.requests(), ["add a 1", "snapshot", "add b 2"]);
}

#[test]
fn changes_that_cancel_each_other_send_nothing() {
    let mut lab = Lab::new();
    let id = lab.live();
    lab.serve("a", Some(1));
    lab.ztunnels.forget("a");
    assert_eq!(lab.requests(), [] as [&str; 0]);

    lab.serve("b", Some(2));
    assert_eq!(lab.sent(), [(id, "add b 2".into())]);
    lab.ztunnels.forget("b");
    assert!(lab.ztunnels.is_known("b"));
    lab.answer(id, Ok(()));
    assert_eq!(lab.requests(), ["delete b"]);
    assert!(!lab.ztunnels.is_known("b"));
}

#[test]
fn every_ztunnel_is_asked_and_the_newest_with_a_snapshot_decides() {
    let mut lab = Lab::new();
    let old = lab.live();
    let new = lab.live();
    lab.serve("a", Some(1));
    assert_eq!(
        lab.sent(),
        [(old, "add a 1".into()), (new, "add a 1".into())]
    );
    lab.answer(old, Ok(()));
    assert_eq!(lab.ztunnels.service("a"), Some(Service::Pending));
    lab.answer(new, Ok(()));
    assert_eq!(lab.ztunnels.service("a"), Some(Service::Served));

    // One that only starts does not delay the others.
    let starting = lab.hello();
    lab.serve("b", Some(2));
    lab.sent();
    lab.answer(new, Ok(()));
    assert_eq!(lab.ztunnels.service("b"), Some(Service::Served));

    lab.ztunnels.forget("a");
    lab.answer(old, Ok(()));
    lab.answer(starting, Ok(()));
    lab.settle();
    assert!(!lab.ztunnels.is_known("a"));
    let phases: Vec<_> = lab.ztunnels.connections().collect();
    assert_eq!(phases, [old, new, starting].map(|id| (id, Phase::Live)));
}

/// Upstream's agent adds pods only to the newest: the older one does not know them.
#[test]
fn when_the_newest_ends_the_one_before_it_knows_every_pod() {
    let mut lab = Lab::new();
    lab.live();
    let new = lab.live();
    lab.serve("a", Some(1));
    lab.settle();
    lab.ztunnels.disconnect(new);
    assert_eq!(lab.ztunnels.service("a"), Some(Service::Served));
    assert_eq!(lab.requests(), [] as [&str; 0]);
}

#[test]
fn a_refused_pod_is_reported_and_sent_again_on_request() {
    let mut lab = Lab::new();
    let id = lab.live();
    lab.serve("a", Some(1));
    lab.sent();
    lab.answer(id, Err("failure to start proxy: \u{1b}[1m"));
    let error = "failure to start proxy: \\u{1b}[1m";
    let refused = Output::Refused {
        by: id,
        uid: "a".into(),
        error: error.into(),
    };
    assert_eq!(lab.ztunnels.output(lab.now), Some(refused));
    assert_eq!(lab.ztunnels.service("a"), Some(Service::Refused(error)));
    assert_eq!(lab.requests(), [] as [&str; 0]);
    lab.serve("a", Some(1));
    assert_eq!(lab.requests(), ["add a 1"]);
    assert_eq!(lab.ztunnels.service("a"), Some(Service::Served));
}

#[test]
fn a_refused_pod_is_deleted_and_a_refused_deletion_is_repeated() {
    let mut lab = Lab::new();
    let id = lab.live();
    lab.serve("a", Some(1));
    lab.sent();
    lab.answer(id, Err("no"));
    lab.ztunnels.output(lab.now);
    lab.ztunnels.forget("a");
    assert_eq!(lab.sent(), [(id, "delete a".into())]);
    lab.answer(id, Err("no"));
    lab.ztunnels.output(lab.now);
    assert!(lab.ztunnels.is_known("a"));
    lab.ztunnels.forget("a");
    assert_eq!(lab.requests(), ["delete a"]);
}

#[test]
fn deadlines_end_a_connection() {
    let mut lab = Lab::new();
    let silent = lab.ztunnels.connect(lab.now).unwrap();
    let start = lab.now;
    assert_eq!(lab.ztunnels.deadline(), Some(start + HELLO_TIMEOUT));
    lab.now += Duration::from_secs(1);
    let slow = lab.hello();
    assert_eq!(lab.sent(), [(slow, "snapshot".into())]);

    lab.ztunnels.expire(start + HELLO_TIMEOUT);
    let closed = |connection, error| Some(Output::Close { connection, error });
    let output = lab.ztunnels.output(lab.now);
    assert_eq!(output, closed(silent, ConversationError::NoHello));
    let deadline = lab.now + ANSWER_TIMEOUT;
    assert_eq!(lab.ztunnels.deadline(), Some(deadline));
    lab.ztunnels.expire(lab.now + ANSWER_TIMEOUT / 2);
    assert_eq!(lab.ztunnels.output(lab.now), None);
    lab.ztunnels.expire(deadline);
    let output = lab.ztunnels.output(lab.now);
    assert_eq!(output, closed(slow, ConversationError::NoAnswer));
    assert_eq!(lab.ztunnels.deadline(), None);
}

#[test]
fn a_message_out_of_turn_ends_the_connection() {
    let missing = DecodeError::Missing("ack");
    let cases: [(bool, &[u8], ConversationError); 4] = [
        (
            false,
            b"\x08\x02",
            ConversationError::Hello(DecodeError::Version(2)),
        ),
        (
            false,
            b"",
            ConversationError::Hello(DecodeError::Version(0)),
        ),
        (true, b"", ConversationError::Answer(missing)),
        (
            true,
            b"\x0a\x04\x0a\x02no",
            ConversationError::SnapshotRefused("no".into()),
        ),
    ];
    for (after_hello, datagram, error) in cases {
        let mut lab = Lab::new();
        let connection = lab.ztunnels.connect(lab.now).unwrap();
        if after_hello {
            lab.ztunnels.receive(connection, &Hello.encode());
            lab.sent();
        }
        lab.ztunnels.receive(connection, datagram);
        let output = lab.ztunnels.output(lab.now);
        assert_eq!(output, Some(Output::Close { connection, error }));
        assert_eq!(lab.ztunnels.connections().count(), 0);
    }

    let mut lab = Lab::new();
    let connection = lab.live();
    lab.answer(connection, Ok(()));
    let error = ConversationError::Unexpected;
    let output = lab.ztunnels.output(lab.now);
    assert_eq!(output, Some(Output::Close { connection, error }));
}

#[test]
fn what_ztunnel_cannot_read_is_not_served() {
    let mut ztunnels = Ztunnels::<u8>::new();
    let mut workload = Workload {
        name: "n".repeat(253),
        namespace: "s".repeat(63),
        service_account: "a".repeat(253),
    };
    let uid = "u".repeat(36);
    assert_eq!(ztunnels.serve(&uid, workload.clone(), Some(1)), Ok(()));
    workload.name = "n".repeat(1024);
    let refused = ztunnels.serve(&uid, workload, Some(1));
    assert_eq!(refused, Err(TooLong { length: 1392 }));
}

#[test]
fn the_number_of_connections_is_limited() {
    let mut lab = Lab::new();
    let first = lab.hello();
    for _ in 1..MAX_CONNECTIONS {
        lab.hello();
    }
    assert_eq!(lab.ztunnels.connect(lab.now), Err(TooManyConnections));
    lab.ztunnels.disconnect(first);
    assert!(lab.ztunnels.connect(lab.now).is_ok());
}
