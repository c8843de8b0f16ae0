//! What each act shows.

use std::net::IpAddr;

use mesh_cni_netfilter::Listing;
use mesh_cni_selector::{Policy, select};
use mesh_cni_spec::CniResult;
use serde_json::{Value, json};

use super::{START_LIMIT, Stage};
use crate::console::{BOLD, Styled};
use crate::demo::actor::Connection;
use crate::demo::child::Owner;
use crate::demo::dump;
use crate::demo::error::DemoError;
use crate::demo::pod::Pod;
use crate::demo::requests::{self, Hop, Outcome, REQUEST_LIMIT};
use crate::demo::runtime::{Called, PLUGIN_LIMIT};
use crate::demo::story::Story;

const PICTURE: &str = "\
in    other pod ─▶ eth0 ─▶ PREROUTING ─▶ ISTIO_INBOUND ─▶ proxy :15006 ─▶ app :9080
out   app ─▶ OUTPUT ─▶ ISTIO_OUTPUT ─▶ proxy :15001 ─▶ eth0 ─▶ other pod";

type Told = Result<(), DemoError>;

impl Stage<'_> {
    pub(super) fn introduce(&mut self, story: &mut Story<'_, '_>) -> Told {
        story.title("mesh-cni, on this machine: a pod's traffic goes through its proxy")?;
        story.step("A node and two pods of bookinfo")?;
        story.say("Network namespaces of their own, on this machine; no cluster, no image.")?;
        for pod in [&self.reviews, &self.productpage] {
            let decision = select(&pod.sandbox.facts, &Policy::default());
            let decision = decision.map_or_else(|error| error.to_string(), |told| told.to_string());
            story.say(format_args!("{:<12} {decision}", pod.name))?;
        }
        story.block(PICTURE)?;
        Ok(())
    }

    pub(super) fn attach(&mut self, story: &mut Story<'_, '_>) -> Told {
        story.step(&format!(
            "The runtime calls the chain: {}",
            self.runtime.chain()
        ))?;
        let patience = self.interrupt.patience(PLUGIN_LIMIT);
        for pod in [&mut self.reviews, &mut self.productpage] {
            let called = pod.attach(&self.runtime, patience)?;
            let wanted = pod.sandbox.facts.proxy().is_some();
            tell_add(pod, &called, story)?;
            let rules = dump::listing(&pod.sandbox.netns, self.tools)?;
            let line = match &rules {
                Some(listing) => format!("{} rules in its nat table", count(listing)),
                None => "no rule: its traffic is left alone".to_owned(),
            };
            story.check(
                rules.is_some() == wanted,
                format_args!("{}: {line}", pod.name),
            )?;
            let result = pod.result.clone().unwrap_or_default();
            let checked = self.runtime.check(&pod.sandbox, &result, patience)?;
            let checked: Vec<_> = checked
                .iter()
                .map(|called| called.plugin.as_str())
                .collect();
            story.check(
                true,
                format_args!("{}: CHECK by {}", pod.name, checked.join(" and ")),
            )?;
            story.record(
                pod.name,
                json!({"result": result, "redirected": rules.is_some()}),
            );
        }
        Ok(())
    }

    pub(super) fn start_containers(&mut self, story: &mut Story<'_, '_>) -> Told {
        story.step("The containers start")?;
        let patience = self.interrupt.patience(START_LIMIT);
        let app = "0.0.0.0:9080";
        let reviews = [
            "app",
            "reviews",
            "--listen",
            app,
            "--listen",
            "0.0.0.0:15020",
        ];
        self.reviews.start(Owner::APP, &reviews, patience)?;
        // The sidecar first, as injectors order it: the application may ask others at once.
        self.productpage.start(Owner::PROXY, &["proxy"], patience)?;
        let upstream = self.reviews.at(9080).to_string();
        let page = [
            "app",
            "productpage",
            "--listen",
            app,
            "--upstream",
            &upstream,
        ];
        self.productpage.start(Owner::APP, &page, patience)?;
        story.say("reviews      the app as user 1000 on 9080 and 15020")?;
        story.say("productpage  the app as user 1000 on 9080, which asks reviews for each page")?;
        story.say("             a proxy stand-in as user 1337 on 15001, 15006 and 15021")?;
        Ok(())
    }

    pub(super) fn send_requests(&mut self, story: &mut Story<'_, '_>) -> Told {
        story.step("Real requests, in and out")?;
        let interrupt = self.interrupt;
        let connections = || {
            let proxy = self.productpage.container("proxy")?;
            let report = proxy.report(interrupt.patience(REQUEST_LIMIT))?;
            let connections: Result<Vec<Connection>, _> = serde_json::from_str(&report);
            connections.map_err(|_none| proxy.unreadable(&report))
        };
        let requests = requests::all(
            &self.node.netns,
            gateway(&self.productpage),
            &self.productpage,
            &self.reviews,
        );
        let mut outcomes = Vec::new();
        for request in &requests {
            let outcome = requests::send(request, connections, interrupt)?;
            tell_outcome(&outcome, story)?;
            outcomes.push(outcome);
        }
        story.record("requests", json!(outcomes));
        Ok(())
    }
}

fn tell_add(pod: &Pod, called: &[Called], story: &mut Story<'_, '_>) -> Told {
    story.say(Styled(BOLD, pod.name))?;
    let mut previous: Option<&Value> = None;
    for call in called {
        let line = format!("ADD by {:<9}", call.plugin);
        match previous {
            None => {
                let address = pod.address().map(|address| address.to_string());
                let address = address.unwrap_or_else(|| "no address".to_owned());
                story.say(format_args!(
                    "{line} made eth0, {address}, behind {}",
                    gateway(pod)
                ))?;
            }
            Some(previous) => {
                let unchanged = call.result == *previous;
                story.check(
                    unchanged,
                    format_args!("{line} passed the result on unchanged"),
                )?;
            }
        }
        for said in call.said.lines() {
            story.aside(format_args!("   {}", without_time(said)))?;
        }
        previous = Some(&call.result);
    }
    Ok(())
}

/// A line of a log without the time at its head.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => line,
    }
}

fn tell_outcome(outcome: &Outcome, story: &mut Story<'_, '_>) -> Told {
    story.check(outcome.as_wanted(), outcome.title)?;
    for hop in &outcome.hops {
        story.say(format_args!("     {}", in_words(hop, &outcome.to)))?;
    }
    if let Some(error) = &outcome.error {
        story.say(format_args!("     {error}"))?;
    }
    if !outcome.as_wanted() {
        for hop in &outcome.wanted {
            story.say(format_args!("     wanted: {}", in_words(hop, &outcome.to)))?;
        }
    }
    Ok(())
}

/// `through 15006, meant for 10.0.0.1:9080 ─▶ reviews (user 1000), asked by 10.0.0.2`.
fn in_words(hop: &Hop, to: &str) -> String {
    let way = match (hop.through, hop.original) {
        (Some(port), Some(original)) => format!("through {port}, original destination {original}"),
        (Some(port), None) => format!("through {port}, without an original destination"),
        (None, _) => format!("direct to {to}"),
    };
    let answered = match &hop.answered {
        Some(answered) => format!("{} (user {}) answered", answered.by, answered.user),
        None => "nobody answered".to_owned(),
    };
    let asked_by = hop.asked_by.map(|address| format!(", asked by {address}"));
    format!("{way:<54} {answered}{}", asked_by.unwrap_or_default())
}

fn gateway(pod: &Pod) -> IpAddr {
    let result = pod.result.as_ref().map(CniResult::from_value);
    let first = result.and_then(|result| result.ok()?.ips.first().cloned());
    let gateway = first.and_then(|first| first.gateway);
    gateway.unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

fn count(listing: &Listing) -> usize {
    listing.chains.iter().map(|chain| chain.rules.len()).sum()
}
