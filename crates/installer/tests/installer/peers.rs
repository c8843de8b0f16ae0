//! Plans for nodes with the CNI plugins of Linkerd and Kuma, and with several at once.

mod installing;
mod members;
mod networks;
mod uninstalling;
