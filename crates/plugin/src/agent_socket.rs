//! The agent's socket: connecting to it without ever waiting, whatever state the agent is in.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_cni_plan::MeshConf;
use rustix::net::socket_with;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as join};

use crate::http::Timed;

/// Where the agent of this node listens.
pub(crate) fn path(conf: &MeshConf) -> PathBuf {
    conf.cni_agent_run_dir.join("agent.sock")
}

/// Connects at once, or not at all: where an agent that is stopped or stuck has left its queue full,
/// the kernel would make a connection wait, and says so instead. The stream does not block.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    join(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

impl Timed for UnixStream {
    fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}
