//! A ztunnel that receives what the agent sends, and fails at what would end a real one.

use std::collections::BTreeMap;

use mesh_cni_zds::{Ack, MAX_REQUEST, Request};

/// One connection of it.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The namespace of each pod that it serves; nothing for those that it was asked to keep.
    pub(crate) pods: BTreeMap<String, Option<u8>>,
    pub(crate) has_snapshot: bool,
    /// It has received a request and not answered it.
    pub(crate) is_busy: bool,
}

impl Model {
    /// Receives a request, which is answered later.
    pub(crate) fn receive(&mut self, datagram: &[u8], netns: Option<u8>) -> Request {
        assert!(!self.is_busy, "a request before the answer to the last one");
        assert!(datagram.len() <= MAX_REQUEST, "{} bytes", datagram.len());
        let request = Request::decode(datagram).expect("ztunnel reads every request");
        assert_eq!(
            netns.is_some(),
            matches!(request, Request::Add { .. }),
            "a file descriptor with {request:?}"
        );
        self.is_busy = true;
        match &request {
            Request::Add { uid, .. } => {
                self.pods.insert(uid.clone(), netns);
            }
            Request::Keep { uid } => {
                assert!(!self.has_snapshot, "`Keep` after the snapshot");
                self.pods.insert(uid.clone(), None);
            }
            Request::Delete { uid } => {
                self.pods.remove(uid);
            }
            Request::SnapshotSent => {
                assert!(!self.has_snapshot, "a second `SnapshotSent`");
                self.has_snapshot = true;
            }
        }
        request
    }

    /// The answer to the last request.
    pub(crate) fn answer(&mut self, result: Result<(), String>) -> Vec<u8> {
        self.is_busy = false;
        Ack(result).encode()
    }
}
