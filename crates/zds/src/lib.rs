//! ztunnel's workload protocol: messages, and the node agent's side as a state machine.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod connection;
mod message;
mod wire;
mod ztunnels;

pub use connection::{ConversationError, Phase};
pub use message::{Ack, Hello, MAX_ACK, MAX_REQUEST, Request, Workload};
pub use wire::DecodeError;
pub use ztunnels::{
    ANSWER_TIMEOUT, ConnectionId, HELLO_TIMEOUT, MAX_CONNECTIONS, Output, Service, TooLong,
    TooManyConnections, Ztunnels,
};
