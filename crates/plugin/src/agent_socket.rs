//! Connects to the agent's socket without blocking.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use mesh_cni_agent_api::SOCKET_FILE;
use mesh_cni_plan::MeshConf;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect as connect_socket, socket_with,
};

/// The path of the agent's socket.
pub(crate) fn path(conf: &MeshConf) -> PathBuf {
    conf.cni_agent_run_dir.join(SOCKET_FILE)
}

/// Connects at once or fails, for reports, which must not wait for an agent that is stopped or stuck.
/// The returned stream does not block either.
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect_socket(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}
