//! CPU time and memory of a running process, from `/proc`.

use std::time::Duration;
use std::{fmt, fs};

use nix::unistd::{Pid, SysconfVar, sysconf};

/// CPU time and memory since the start of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) cpu: Duration,
    pub(crate) resident_kib: u64,
    /// Of the resident memory, what no file has: heap, stacks, changed pages of the program.
    anonymous_kib: u64,
    /// Of the resident memory, unchanged pages of the program. All processes of a file share them, and the
    /// kernel can drop them.
    file_kib: u64,
    pub(crate) peak_kib: u64,
}

impl Figures {
    pub(crate) fn of(pid: Pid) -> Self {
        let read = |name: &str| {
            let text = fs::read_to_string(format!("/proc/{pid}/{name}"));
            text.expect("the process runs")
        };
        let status = read("status");
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            number.expect("the kernel reports a process's memory")
        };
        Self {
            cpu: cpu(&read("stat")),
            resident_kib: kib("VmRSS"),
            anonymous_kib: kib("RssAnon"),
            file_kib: kib("RssFile"),
            peak_kib: kib("VmHWM"),
        }
    }
}

/// Its memory.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resident, peak) = (self.resident_kib, self.peak_kib);
        let (anonymous, file) = (self.anonymous_kib, self.file_kib);
        write!(
            f,
            "{resident} KiB resident ({anonymous} anonymous, {file} file-backed), {peak} KiB at most"
        )
    }
}

/// Time in user and kernel mode, fields 14 and 15. Field 2, the name, may contain spaces.
fn cpu(stat: &str) -> Duration {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: u32 = fields.filter_map(|field| field.parse::<u32>().ok()).sum();
    let second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let second = second.and_then(|ticks| u32::try_from(ticks).ok());
    Duration::from_secs(1) * ticks / second.unwrap_or(100)
}
