//! The steps of the demo.

mod checks;
mod setup;
mod traffic;

use std::fs;
use std::time::Duration;

use super::dump::Iptables;
use super::error::DemoError;
use super::keep;
use super::node::Node;
use super::pod::Pod;
use super::process::{Process, User};
use super::report::Report;
use super::runtime::Runtime;
use super::sandbox::PodSpec;
use super::sidecar::Sidecar;
use super::tools::Tools;
use super::wait::Interrupt;

/// The time limit for a process to become ready.
const START_LIMIT: Duration = Duration::from_secs(30);

const REVIEWS: PodSpec = PodSpec {
    name: "reviews",
    manifest: include_str!("../../demo/reviews.yaml"),
    address: "10.244.1.18",
};

/// The state that all steps share.
struct Demo<'demo> {
    tools: &'demo Tools,
    sidecar: &'static Sidecar,
    node: &'demo Node,
    iptables: Iptables,
    interrupt: &'demo Interrupt,
    runtime: Runtime<'demo>,
    reviews: Pod,
    productpage: Pod,
}

/// Runs all steps. With `keep` the pods keep running if the steps succeed.
pub(crate) fn run(
    tools: &Tools,
    sidecar: &'static Sidecar,
    keep: bool,
    report: &mut Report<'_, '_>,
    interrupt: &Interrupt,
) -> Result<(), DemoError> {
    let node = Node::enter()?;
    let wait = interrupt.wait(START_LIMIT);
    let iptables = Iptables::find(tools, &node, wait)?;
    let runtime = Runtime::new(tools, &node, iptables.backend(), sidecar);
    let productpage = PodSpec {
        name: "productpage",
        manifest: sidecar.manifest,
        address: "10.244.1.17",
    };
    let mut demo = Demo {
        tools,
        sidecar,
        node: &node,
        iptables,
        interrupt,
        runtime,
        reviews: Pod::new(REVIEWS, &node, wait)?,
        productpage: Pod::new(productpage, &node, wait)?,
    };
    let result = demo.steps(report);
    if result.is_ok() && keep {
        return demo.keep(report);
    }
    let removed = demo.remove(report);
    result.and(removed)
}

impl Demo<'_> {
    fn steps(&mut self, report: &mut Report<'_, '_>) -> Result<(), DemoError> {
        self.introduce(report)?;
        self.attach(report)?;
        self.start_containers(report)?;
        self.send_requests(report)?;
        let printed = self.print_dump(report)?;
        let listed = self.list_rules(report)?;
        checks::count(&listed, self.sidecar, report)?;
        self.compare(printed, listed, report)
    }

    /// Removes the pods as a runtime does: containers, network, sandbox.
    fn remove(mut self, report: &mut Report<'_, '_>) -> Result<(), DemoError> {
        report.step("The runtime removes the pods")?;
        for pod in [&mut self.productpage, &mut self.reviews] {
            pod.containers.clear();
            for result in self.runtime.del(&pod.sandbox, pod.result.as_ref()) {
                let passed = result.is_ok();
                let line = match result {
                    Ok(result) => format!("{}: DEL by {}", pod.name, result.plugin),
                    Err(error) => format!("{}: {}", pod.name, error_reporter::Report::new(error)),
                };
                report.check(passed, line)?;
            }
        }
        report
            .detail("namespaces, links, files and processes are removed when this program ends")?;
        Ok(())
    }

    fn keep(mut self, report: &mut Report<'_, '_>) -> Result<(), DemoError> {
        let entry = self.node.entry();
        fs::write(&entry, self.runtime.entry())
            .map_err(DemoError::system(format!("write `{}`", entry.display())))?;
        let wait = self.interrupt.wait(START_LIMIT);
        let mut node = Process::start(&self.node.netns, User::ROOT, &["pause", "--here"], wait)?;
        self.print_commands(node.pid(), report)?;
        let pods = [&mut self.productpage, &mut self.reviews];
        let of_pods = pods.into_iter().flat_map(Pod::processes);
        keep::leave(of_pods.chain([&mut node]).collect())
    }
}
