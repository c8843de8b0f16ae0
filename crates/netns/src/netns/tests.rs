//! Files that are not namespaces.

use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

#[test]
fn files_of_every_kind_are_refused_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    std::fs::write(at("file"), "").unwrap();
    let mut paths: Vec<_> = ["fifo", "socket", "file", ""].map(at).into();
    paths.extend(["/dev/null", "/dev/zero", "/proc/self/stat"].map(PathBuf::from));
    for path in paths {
        let (sender, receiver) = mpsc::channel();
        let opened = path.clone();
        thread::spawn(move || sender.send(NetNs::open(&opened)));
        let outcome = receiver.recv_timeout(Duration::from_secs(10));
        let outcome = outcome.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            matches!(outcome, Err(OpenError::Foreign { .. })),
            "{}: {outcome:?}",
            path.display()
        );
    }
}

#[test]
fn a_descriptor_is_the_namespace_that_it_was_opened_from() {
    let current = NetNs::current().unwrap();
    let file = File::open(CURRENT).unwrap();
    assert_eq!(NetNs::from_file(file).unwrap(), current);
    for path in ["/proc/self/ns/mnt", "/dev/null"] {
        let opened = NetNs::from_file(File::open(path).unwrap());
        assert!(
            matches!(opened, Err(OpenError::Foreign { .. })),
            "{path}: {opened:?}"
        );
    }
}
