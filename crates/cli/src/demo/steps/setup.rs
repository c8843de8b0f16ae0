//! The first steps: the pods, their network, their containers.

use std::net::IpAddr;

use mesh_cni_netfilter::Listing;
use mesh_cni_rules::uses_passthrough;
use mesh_cni_selector::select;
use serde_json::{Value, json};

use super::{Demo, START_LIMIT};
use crate::console::{BOLD, Styled};
use crate::demo::dump;
use crate::demo::error::DemoError;
use crate::demo::pod::Pod;
use crate::demo::process::User;
use crate::demo::report::Report;
use crate::demo::runtime::{PLUGIN_LIMIT, PluginResult};

impl Demo<'_> {
    pub(super) fn introduce(&mut self, report: &mut Report<'_, '_>) -> Result<(), DemoError> {
        report.title("mesh-cni demo: a pod's traffic is redirected through its proxy")?;
        report.step("Two pods of bookinfo")?;
        report
            .line("Each has its own network namespace on this machine. No cluster, no images.")?;
        for pod in [&self.reviews, &self.productpage] {
            let decision = match select(&pod.sandbox.facts, &self.runtime.conf.policy()) {
                Ok(decision) => decision.to_string(),
                Err(error) => error.to_string(),
            };
            report.line(format_args!("{:<12} {decision}", pod.name))?;
        }
        report.block(self.sidecar.diagram)?;
        Ok(())
    }

    pub(super) fn attach(&mut self, report: &mut Report<'_, '_>) -> Result<(), DemoError> {
        let chain = self.runtime.chain();
        report.step(&format!("The runtime calls the plugins: {chain}"))?;
        let wait = self.interrupt.wait(PLUGIN_LIMIT);
        for pod in [&mut self.reviews, &mut self.productpage] {
            let results = pod.attach(&self.runtime, wait)?;
            print_add(pod, &results, report)?;
            let has_proxy = pod.sandbox.facts.proxy(self.sidecar.mesh).is_some();
            let rules = dump::listing(&pod.sandbox.netns, self.tools, self.sidecar.mesh)?;
            let line = match &rules {
                Some(listing) => format!("{} rules in the nat table", count(listing)),
                None => "no rules, traffic is not redirected".to_owned(),
            };
            report.check(
                rules.is_some() == has_proxy,
                format_args!("{}: {line}", pod.name),
            )?;
            let result = pod.result.clone().unwrap_or_default();
            let checks = self.runtime.check(&pod.sandbox, &result, wait)?;
            let plugins: Vec<_> = checks.iter().map(|check| check.plugin.as_str()).collect();
            let plugins = plugins.join(" and ");
            report.check(true, format_args!("{}: CHECK by {plugins}", pod.name))?;
            report.record(
                pod.name,
                json!({"result": result, "redirected": rules.is_some()}),
            );
        }
        Ok(())
    }

    pub(super) fn start_containers(
        &mut self,
        report: &mut Report<'_, '_>,
    ) -> Result<(), DemoError> {
        report.step("The containers start")?;
        let wait = self.interrupt.wait(START_LIMIT);
        let app = "0.0.0.0:9080";
        let reviews = [
            "app",
            "reviews",
            "--listen",
            app,
            "--listen",
            "0.0.0.0:15020",
        ];
        self.reviews.start(User::APP, &reviews, wait)?;
        // As with injectors, the proxy starts before the application, which may connect at once.
        let sidecar = self.sidecar;
        let ports =
            [sidecar.outbound, sidecar.inbound, sidecar.health].map(|port| port.to_string());
        let [outbound, inbound, health] = &ports;
        let mut proxy = vec![
            "proxy",
            "--outbound",
            outbound,
            "--inbound",
            inbound,
            "--health",
            health,
        ];
        if uses_passthrough(sidecar.mesh) {
            proxy.push("--passthrough");
        }
        self.productpage.start(sidecar.user, &proxy, wait)?;
        let upstream = self.reviews.at(9080).to_string();
        let page = [
            "app",
            "productpage",
            "--listen",
            app,
            "--upstream",
            &upstream,
        ];
        self.productpage.start(User::APP, &page, wait)?;
        report.line("reviews      an app as user 1000 on ports 9080 and 15020")?;
        report.line("productpage  an app as user 1000 on port 9080, which requests reviews")?;
        report.line(format_args!(
            "             a proxy as user {} on ports {outbound}, {inbound} and {health}",
            sidecar.user.0
        ))?;
        Ok(())
    }
}

fn print_add(
    pod: &Pod,
    results: &[PluginResult],
    report: &mut Report<'_, '_>,
) -> Result<(), DemoError> {
    report.line(Styled(BOLD, pod.name))?;
    let mut previous: Option<&Value> = None;
    for result in results {
        let add = format!("ADD by {:<9}", result.plugin);
        if let Some(previous) = previous {
            let unchanged = result.result == *previous;
            report.check(
                unchanged,
                format_args!("{add} returned prevResult unchanged"),
            )?;
        } else {
            let address = pod.address().as_ref().map(IpAddr::to_string);
            let address = address.unwrap_or_else(|| "no address".to_owned());
            let gateway = pod.gateway();
            report.line(format_args!(
                "{add} created eth0 with address {address}, gateway {gateway}"
            ))?;
        }
        for line in result.stderr.lines() {
            // The fields and the message, so that both fit in a terminal.
            let (fields, message) = line.split_once(": ").unwrap_or((line, ""));
            report.detail(format_args!("   {}", without_time(fields)))?;
            report.detail(format_args!("     {message}"))?;
        }
        previous = Some(&result.result);
    }
    Ok(())
}

/// A line of a log without the time at its start.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => line,
    }
}

fn count(listing: &Listing) -> usize {
    listing.chains.iter().map(|chain| chain.rules.len()).sum()
}
