//! Sends the requests, and checks the path of each.

use serde_json::json;

use super::Demo;
use crate::demo::error::DemoError;
use crate::demo::report::Report;
use crate::demo::requests::{self, Hop, REQUEST_LIMIT, SentRequest};
use crate::demo::workload::Connection;

impl Demo<'_> {
    pub(super) fn send_requests(&mut self, report: &mut Report<'_, '_>) -> Result<(), DemoError> {
        report.step("Requests to and from the pods")?;
        let interrupt = self.interrupt;
        let connections = || {
            let proxy = self.productpage.container("proxy")?;
            let text = proxy.report(interrupt.wait(REQUEST_LIMIT))?;
            let connections: Result<Vec<Connection>, _> = serde_json::from_str(&text);
            connections.map_err(|_invalid| proxy.unexpected(&text))
        };
        let mut sent = Vec::new();
        let (node, page) = (&self.node.netns, &self.productpage);
        for request in requests::all(node, page, &self.reviews, self.sidecar) {
            let request = requests::send(&request, connections, interrupt)?;
            print_request(&request, report)?;
            sent.push(request);
        }
        report.record("requests", json!(sent));
        Ok(())
    }
}

fn print_request(request: &SentRequest, report: &mut Report<'_, '_>) -> Result<(), DemoError> {
    report.check(request.as_wanted(), request.title)?;
    for hop in &request.hops {
        report.line(format_args!("     {}", describe(hop, &request.to)))?;
    }
    if let Some(error) = &request.error {
        report.line(format_args!("     {error}"))?;
    }
    if !request.as_wanted() {
        for hop in &request.wanted {
            report.line(format_args!("     wanted: {}", describe(hop, &request.to)))?;
        }
    }
    Ok(())
}

/// One line, such as `through 15006, original destination 10.0.0.1:9080   reviews (user 1000)
/// answered, client 10.0.0.2`.
fn describe(hop: &Hop, to: &str) -> String {
    let path = match (hop.through, hop.original) {
        (Some(port), Some(original)) => format!("through {port}, original destination {original}"),
        (Some(port), None) => format!("through {port}, without an original destination"),
        (None, _) => format!("direct to {to}"),
    };
    let answered = match &hop.answered {
        Some(answered) => format!("{} (user {}) answered", answered.by, answered.user),
        None => "no answer".to_owned(),
    };
    let client = hop.asked_by.map(|address| format!(", client {address}"));
    format!("{path:<54} {answered}{}", client.unwrap_or_default())
}
