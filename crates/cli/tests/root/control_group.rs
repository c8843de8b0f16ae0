//! Control groups named as kubelet and the container runtimes name theirs, with a process in them.

use std::fs;
use std::path::PathBuf;

/// Groups that end with the test, whose process goes back to where it came from.
pub(crate) struct ControlGroup {
    root: PathBuf,
    steps: Vec<PathBuf>,
    process: u32,
}

impl ControlGroup {
    /// Puts the process into a group at that path below the first hierarchy that takes one.
    pub(crate) fn of(process: u32, path: &[&str]) -> Self {
        let root = hierarchy();
        let mut steps = vec![root.join(format!("mesh-cni-test-{process}"))];
        for step in path {
            steps.push(steps.last().unwrap().join(step));
        }
        fs::create_dir_all(steps.last().unwrap()).unwrap();
        let group = Self {
            root,
            steps,
            process,
        };
        let last = group.steps.last().unwrap();
        fs::write(last.join("cgroup.procs"), process.to_string()).unwrap();
        group
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // One that has ended is in no group any more.
        let _moved = fs::write(self.root.join("cgroup.procs"), self.process.to_string());
        for step in self.steps.iter().rev() {
            let _removed = fs::remove_dir(step);
        }
    }
}

/// Version 2, else the hierarchy of version 1 that steers nothing but the number of processes.
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
