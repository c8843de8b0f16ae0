//! The messages of the protobuf package `istio.workload.zds`, one datagram each.

use crate::wire::{DecodeError, Field, fields, put_bytes, put_text, put_varint};

/// The longest request in bytes: ztunnel reads with a buffer of this size.
pub const MAX_REQUEST: usize = 1024;

/// The size in bytes of the buffer for answers. A negative answer can contain a stack trace of several
/// thousand bytes.
pub const MAX_ACK: usize = 64 * 1024;

/// The first message of a ztunnel, `ZdsHello` with version 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello;

impl Hello {
    const VERSION: u64 = 1;

    /// The message as bytes.
    pub fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_varint(1, Self::VERSION, &mut bytes);
        bytes
    }

    /// Fails also on another version than 1.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut version = 0;
        for field in fields(bytes) {
            let field = field?;
            if field.number == 1 {
                version = field.varint()?;
            }
        }
        match version {
            Self::VERSION => Ok(Self),
            other => Err(DecodeError::Version(other)),
        }
    }
}

/// What ztunnel looks up in its configuration to find the identity of a pod, `WorkloadInfo`.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Workload {
    /// The pod's name.
    pub name: String,
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// `spec.serviceAccountName`.
    pub service_account: String,
}

impl Workload {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_text(1, &self.name, &mut bytes);
        put_text(2, &self.namespace, &mut bytes);
        put_text(3, &self.service_account, &mut bytes);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut workload = Self::default();
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => workload.name = field.text()?,
                2 => workload.namespace = field.text()?,
                3 => workload.service_account = field.text()?,
                _ => {}
            }
        }
        Ok(workload)
    }
}

/// A message of the agent, `WorkloadRequest`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Serve a pod. The datagram carries the file descriptor of the pod's network namespace; no other
    /// message carries one.
    Add {
        /// `metadata.uid` of the pod.
        uid: String,
        /// Optional in the protocol, but a ztunnel exits without it.
        workload: Workload,
    },
    /// Continue to serve a pod whose namespace the agent has not found. Only before `SnapshotSent`.
    Keep {
        /// `metadata.uid` of the pod.
        uid: String,
    },
    /// Stop serving a pod.
    Delete {
        /// `metadata.uid` of the pod.
        uid: String,
    },
    /// Every pod was named by `Add` or `Keep`: stop serving all others. Once on each connection.
    SnapshotSent,
}

impl Request {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        let number = match self {
            Self::Add { uid, workload } => {
                put_text(1, uid, &mut payload);
                put_bytes(2, &workload.encode(), &mut payload);
                1
            }
            Self::Keep { uid } => {
                put_text(1, uid, &mut payload);
                5
            }
            Self::Delete { uid } => {
                put_text(2, uid, &mut payload);
                2
            }
            Self::SnapshotSent => 3,
        };
        let mut bytes = Vec::new();
        put_bytes(number, &payload, &mut bytes);
        bytes
    }

    /// Reads the message as ztunnel does; an `Add` without a workload is
    /// [`Missing`](DecodeError::Missing).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut request = None;
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => request = Some(decode_add(field.bytes()?)?),
                2 => {
                    let uid = decode_uid(field, 2)?;
                    request = Some(Self::Delete { uid });
                }
                3 => {
                    fields(field.bytes()?).try_for_each(|field| field.map(drop))?;
                    request = Some(Self::SnapshotSent);
                }
                5 => {
                    let uid = decode_uid(field, 1)?;
                    request = Some(Self::Keep { uid });
                }
                _ => {}
            }
        }
        request.ok_or(DecodeError::Missing("payload"))
    }
}

fn decode_add(bytes: &[u8]) -> Result<Request, DecodeError> {
    let (mut uid, mut workload) = (String::new(), None);
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => uid = field.text()?,
            2 => workload = Some(Workload::decode(field.bytes()?)?),
            _ => {}
        }
    }
    let workload = workload.ok_or(DecodeError::Missing("workload_info"))?;
    Ok(Request::Add { uid, workload })
}

fn decode_uid(message: Field<'_>, number: u64) -> Result<String, DecodeError> {
    let mut uid = String::new();
    for field in fields(message.bytes()?) {
        let field = field?;
        if field.number == number {
            uid = field.text()?;
        }
    }
    Ok(uid)
}

/// ztunnel's answer to a request, `WorkloadResponse`: success, or what failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ack(pub Result<(), String>);

impl Ack {
    /// The message as bytes. An empty error is a success in this protocol.
    pub fn encode(&self) -> Vec<u8> {
        let (mut ack, mut bytes) = (Vec::new(), Vec::new());
        if let Err(error) = &self.0 {
            put_text(1, error, &mut ack);
        }
        put_bytes(1, &ack, &mut bytes);
        bytes
    }

    /// The error is as ztunnel wrote it, possibly with control characters.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut ack = None;
        for field in fields(bytes) {
            let field = field?;
            if field.number == 1 {
                let mut error = String::new();
                for field in fields(field.bytes()?) {
                    let field = field?;
                    if field.number == 1 {
                        error = field.text()?;
                    }
                }
                ack = Some(if error.is_empty() { Ok(()) } else { Err(error) });
            }
        }
        ack.map(Self).ok_or(DecodeError::Missing("ack"))
    }
}
