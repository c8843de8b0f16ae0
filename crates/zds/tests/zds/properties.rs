//! Whatever happens in whatever order, no ztunnel receives what would end it, and in the end each knows
//! exactly the pods that are served.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mesh_cni_zds::{ConnectionId, Hello, Output, Phase, Request, Service, Workload, Ztunnels};
use proptest::prelude::*;

use crate::model::Model;

#[derive(Clone, Debug)]
enum Event {
    Serve(u8, Option<u8>),
    Forget(u8),
    Connect,
    Hello(usize),
    Answer(usize, bool),
    Garbage(usize, Vec<u8>),
    Disconnect(usize),
    Pass(u64),
    Send,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..6_u8, prop::option::weighted(0.8, 0..3_u8)).prop_map(|(uid, netns)| Event::Serve(uid, netns)),
        3 => (0..6_u8).prop_map(Event::Forget),
        2 => Just(Event::Connect),
        3 => (0..4_usize).prop_map(Event::Hello),
        12 => (0..4_usize, prop::bool::weighted(0.8)).prop_map(|(at, ok)| Event::Answer(at, ok)),
        1 => (0..4_usize, prop::collection::vec(any::<u8>(), 0..8)).prop_map(|(at, bytes)| Event::Garbage(at, bytes)),
        1 => (0..4_usize).prop_map(Event::Disconnect),
        1 => (0..4000_u64).prop_map(Event::Pass),
        8 => Just(Event::Send),
    ]
}

struct Run {
    ztunnels: Ztunnels<u8>,
    models: BTreeMap<ConnectionId, Model>,
    wanted: BTreeMap<String, Option<u8>>,
    now: Instant,
}

impl Run {
    fn new() -> Self {
        Self {
            ztunnels: Ztunnels::new(),
            models: BTreeMap::new(),
            wanted: BTreeMap::new(),
            now: Instant::now(),
        }
    }

    fn connection(&self, at: usize) -> Option<ConnectionId> {
        self.models.keys().nth(at).copied()
    }

    fn serve(&mut self, uid: &str, netns: Option<u8>) {
        self.ztunnels
            .serve(uid, Workload::default(), netns)
            .unwrap();
        self.wanted.insert(uid.to_owned(), netns);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Serve(uid, netns) => self.serve(&uid.to_string(), netns),
            Event::Forget(uid) => {
                self.ztunnels.forget(&uid.to_string());
                self.wanted.remove(&uid.to_string());
            }
            Event::Connect => {
                if let Ok(id) = self.ztunnels.connect(self.now) {
                    self.models.insert(id, Model::default());
                }
            }
            Event::Hello(at) => {
                if let Some(id) = self.connection(at) {
                    self.ztunnels.receive(id, &Hello.encode());
                }
            }
            Event::Answer(at, is_ok) => {
                if let Some(id) = self.connection(at) {
                    self.answer(id, is_ok);
                }
            }
            Event::Garbage(at, bytes) => {
                if let Some(id) = self.connection(at) {
                    self.ztunnels.receive(id, &bytes);
                }
            }
            Event::Disconnect(at) => {
                if let Some(id) = self.connection(at) {
                    self.ztunnels.disconnect(id);
                    self.models.remove(&id);
                }
            }
            Event::Pass(milliseconds) => {
                self.now += Duration::from_millis(milliseconds);
                self.ztunnels.expire(self.now);
            }
            Event::Send => self.send(),
        }
    }

    fn answer(&mut self, id: ConnectionId, is_ok: bool) {
        let model = self.models.get_mut(&id).unwrap();
        if model.is_busy {
            let result = if is_ok { Ok(()) } else { Err("no".to_owned()) };
            self.ztunnels.receive(id, &model.answer(result));
        }
    }

    fn send(&mut self) {
        while let Some(output) = self.ztunnels.output(self.now) {
            match output {
                Output::Send {
                    to,
                    datagram,
                    netns,
                } => {
                    let model = self.models.get_mut(&to).expect("sends to open connections");
                    let request = model.receive(&datagram, netns);
                    if let Request::Add { uid, .. } = request {
                        assert_eq!(self.wanted.get(&uid), Some(&netns), "sends what is wanted");
                    }
                }
                Output::Close { connection, .. } => {
                    self.models.remove(&connection);
                }
                Output::Refused { .. } => {}
            }
        }
    }

    /// Every ztunnel says hello and answers everything with success.
    fn settle(&mut self) {
        self.send();
        let waiting: Vec<_> = self
            .ztunnels
            .connections()
            .filter(|(_, phase)| *phase == Phase::Hello)
            .collect();
        for (id, _) in waiting {
            self.ztunnels.receive(id, &Hello.encode());
        }
        for (uid, netns) in self.wanted.clone() {
            // Sends pods again that were refused.
            self.serve(&uid, netns);
        }
        for uid in 0..6_u8 {
            if !self.wanted.contains_key(&uid.to_string()) {
                self.ztunnels.forget(&uid.to_string());
            }
        }
        loop {
            self.send();
            let busy: Vec<_> = self
                .models
                .iter()
                .filter_map(|(id, model)| model.is_busy.then_some(*id))
                .collect();
            if busy.is_empty() {
                return;
            }
            for id in busy {
                self.answer(id, true);
            }
        }
    }

    /// Answers that were negative in the meantime may need a second round.
    fn check(mut self) {
        self.settle();
        self.settle();
        assert_eq!(self.ztunnels.deadline(), None, "everything is answered");
        for (id, model) in &self.models {
            assert!(model.has_snapshot, "{id}");
            for (uid, netns) in &self.wanted {
                let known = model.pods.get(uid);
                // A pod without a namespace is kept where it was known, whatever it was.
                assert!(
                    netns.is_none() || known == Some(netns),
                    "{id}: {uid} {known:?}"
                );
            }
            let surplus = model
                .pods
                .keys()
                .find(|uid| !self.wanted.contains_key(*uid));
            assert_eq!(surplus, None, "{id} serves a pod that was forgotten");
        }
        for (uid, netns) in &self.wanted {
            let expected = match (self.models.is_empty(), netns) {
                (true, _) => Service::NoZtunnel,
                (false, Some(_)) => Service::Served,
                (false, None) => continue,
            };
            assert_eq!(self.ztunnels.service(uid), Some(expected), "{uid}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_ztunnel_ends_and_all_know_the_same_pods(events in prop::collection::vec(event(), 0..120)) {
        let mut run = Run::new();
        for event in events {
            run.happen(event);
        }
        run.check();
    }
}
