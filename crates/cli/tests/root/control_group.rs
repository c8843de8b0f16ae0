//! Puts a process into control groups with the names that kubelet and container runtimes use.

use std::fs;
use std::path::PathBuf;

/// Groups that are removed with the test.
pub(crate) struct ControlGroup {
    root: PathBuf,
    groups: Vec<PathBuf>,
    process: u32,
}

impl ControlGroup {
    /// Creates groups with these names inside each other, and moves the process into the last.
    pub(crate) fn of(process: u32, path: &[&str]) -> Self {
        let root = hierarchy();
        let mut groups = vec![root.join(format!("mesh-cni-test-{process}"))];
        for name in path {
            groups.push(groups.last().unwrap().join(name));
        }
        fs::create_dir_all(groups.last().unwrap()).unwrap();
        let group = Self {
            root,
            groups,
            process,
        };
        let last = group.groups.last().unwrap();
        fs::write(last.join("cgroup.procs"), process.to_string()).unwrap();
        group
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Fails if the process has ended.
        let _moved = fs::write(self.root.join("cgroup.procs"), self.process.to_string());
        for group in self.groups.iter().rev() {
            let _removed = fs::remove_dir(group);
        }
    }
}

/// The hierarchy of version 2, else the pids hierarchy of version 1.
fn hierarchy() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mounted = |wanted: &dyn Fn(&str, &str) -> bool| {
        mounts.lines().find_map(|line| {
            let fields: Vec<_> = line.split(' ').collect();
            let options = fields[3].split(',');
            let fits = options.clone().any(|option| wanted(fields[2], option));
            (fits && options.clone().any(|option| option == "rw")).then(|| fields[1].into())
        })
    };
    let second = mounted(&|kind, _| kind == "cgroup2");
    let first = || mounted(&|kind, option| kind == "cgroup" && option == "pids");
    second
        .or_else(first)
        .expect("this machine has control groups")
}
