//! What the API server and etcd use, from `/proc`, the server's metrics and its audit log.

use std::time::{Duration, Instant};

use mesh_cni_tests::KubeApi;

use crate::process_figures::Figures;

/// Measures phases, and prints a row for each.
pub(crate) struct Meter {
    /// The CPU seconds of API server and etcd in a second in which nothing happens.
    idle: [f64; 2],
}

/// The CPU time of API server and etcd so far.
#[derive(Clone, Copy)]
struct Cpu {
    time: Instant,
    used: [Duration; 2],
}

/// What was requested so far.
#[derive(Clone, Copy, Default)]
struct Counters {
    /// Requests of the agents' account.
    requests: usize,
    /// Bytes of responses and events about pods.
    bytes: f64,
    /// Pods that were read from etcd for lists.
    from_etcd: f64,
}

impl Meter {
    /// Prints the header.
    pub(crate) fn new() -> Self {
        println!(
            "{:<38} {:>7} {:>10} {:>8} {:>9} {:>9} {:>10} {:>8} {:>8}",
            "",
            "wall s",
            "API CPU s",
            "etcd s",
            "requests",
            "pods KiB",
            "from etcd",
            "API MiB",
            "at most"
        );
        Self { idle: [0.0; 2] }
    }

    /// Measures the CPU time when nothing happens.
    pub(crate) fn measure_idle(&mut self, api: &KubeApi, work: impl FnOnce()) {
        let before = Cpu::of(api);
        work();
        let (wall, used) = Cpu::of(api).since(&before);
        self.idle = used.map(|used| used / wall);
    }

    /// Measures a phase.
    pub(crate) fn row(&self, api: &KubeApi, name: &str, work: impl FnOnce()) {
        let counters = Counters::of(api);
        let before = Cpu::of(api);
        work();
        self.print(name, before, api, counters);
    }

    /// Measures a phase that began with the start of the API server, which is ready now.
    pub(crate) fn row_of_new_server(
        &self,
        api: &KubeApi,
        name: &str,
        requests: usize,
        work: impl FnOnce(),
    ) {
        let mut before = Cpu::of(api);
        before.used[0] = Duration::ZERO;
        let counters = Counters {
            requests,
            ..Counters::default()
        };
        work();
        self.print(name, before, api, counters);
    }

    fn print(&self, name: &str, before: Cpu, api: &KubeApi, counters: Counters) {
        let (wall, used) = Cpu::of(api).since(&before);
        let net = [0, 1].map(|process| (used[process] - self.idle[process] * wall).max(0.0));
        let server = Figures::of(api.pids()[0]);
        let after = Counters::of(api);
        println!(
            "{name:<38} {wall:>7.1} {:>10.2} {:>8.2} {:>9} {:>9.0} {:>10} {:>8} {:>8}",
            net[0],
            net[1],
            after.requests - counters.requests,
            (after.bytes - counters.bytes) / 1024.0,
            after.from_etcd - counters.from_etcd,
            server.resident_kib / 1024,
            server.peak_kib / 1024,
        );
    }
}

impl Cpu {
    fn of(api: &KubeApi) -> Self {
        Self {
            used: api.pids().map(|pid| Figures::of(pid).cpu),
            time: Instant::now(),
        }
    }

    /// The seconds since then, and the CPU seconds.
    fn since(&self, before: &Self) -> (f64, [f64; 2]) {
        let used = [0, 1].map(|process| {
            let used = self.used[process].saturating_sub(before.used[process]);
            used.as_secs_f64()
        });
        ((self.time - before.time).as_secs_f64(), used)
    }
}

/// How many requests the agents' account has sent.
pub(crate) fn requests(api: &KubeApi) -> usize {
    api.requests_of("kube-system", "mesh-cni").len()
}

impl Counters {
    fn of(api: &KubeApi) -> Self {
        let metrics = api.must("get --raw /metrics");
        let sum = |name: &str, label: &str| -> f64 {
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            lines
                .filter(|line| line.contains(label))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum()
        };
        let pods = r#"resource="pods""#;
        Self {
            requests: requests(api),
            bytes: sum("apiserver_response_sizes_sum", pods)
                + sum("apiserver_watch_events_sizes_sum", pods),
            from_etcd: sum("apiserver_storage_list_evaluated_objects_total", pods),
        }
    }
}
