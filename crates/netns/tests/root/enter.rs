//! Entering network namespaces.

use std::path::Path;
use std::thread;

use mesh_cni_netns::{EnterError, NetNs, NetnsEntry, OpenError};

use crate::support::scratch;

#[test]
fn work_runs_in_the_namespace_and_the_caller_stays_outside() {
    let (here, there) = (NetNs::current().unwrap(), scratch());
    let inside = there.run(|| NetNs::current().unwrap()).unwrap();
    assert!(inside.is_same(&there));
    assert!(!inside.is_same(&here));
    assert!(NetNs::current().unwrap().is_same(&here));
}

#[test]
fn a_scratch_namespace_has_a_path_while_it_is_open() {
    let netns = scratch();
    let path = netns.path().to_owned();
    assert!(NetNs::open(&path).unwrap().is_same(&netns));
    drop(netns);
    assert!(!NetNs::open(&path).is_ok_and(|other| other.path() != path));
}

#[test]
fn a_panic_in_the_namespace_is_an_error_outside() {
    let outcome = scratch().run(|| panic!("on purpose"));
    assert!(matches!(outcome, Err(EnterError::Panicked { .. })));
}

#[test]
fn a_calling_thread_that_entered_runs_the_work_itself() {
    let (here, there) = (NetNs::current().unwrap(), scratch());
    let elsewhere = scratch();
    let one_call = || {
        there.enter(NetnsEntry::CallingThread).unwrap();
        let own = thread::current().id();
        let worker = there.run(|| thread::current().id()).unwrap();
        assert_eq!(worker, own);
        assert!(NetNs::current().unwrap().is_same(&there));
        let outcome = there.run(|| panic!("on purpose"));
        assert!(matches!(outcome, Err(EnterError::Panicked { .. })));
        // Another thread enters any other namespace.
        let worker = elsewhere.run(|| (thread::current().id(), NetNs::current().unwrap()));
        let (worker, inside) = worker.unwrap();
        assert_ne!(worker, own);
        assert!(inside.is_same(&elsewhere));
        assert!(NetNs::current().unwrap().is_same(&there));
    };
    thread::scope(|scope| scope.spawn(one_call).join()).unwrap();
    assert!(NetNs::current().unwrap().is_same(&here));
}

#[test]
fn other_files_are_refused() {
    assert!(matches!(
        NetNs::open(Path::new("/no/such/netns")),
        Err(OpenError::Missing { .. })
    ));
    assert!(matches!(
        NetNs::open(Path::new("/etc/hostname")),
        Err(OpenError::Foreign { .. })
    ));
}

#[test]
fn another_kind_of_namespace_is_refused_when_entered() {
    let uts = NetNs::open(Path::new("/proc/self/ns/uts")).unwrap();
    assert!(matches!(uts.run(|| ()), Err(EnterError::Refused { .. })));
    assert!(matches!(
        uts.enter(NetnsEntry::CallingThread),
        Err(EnterError::Refused { .. })
    ));
}
