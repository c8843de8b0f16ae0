//! The bytes that the agent sends, and the reports that it receives.

use std::io::{self, Read, Write};

use mesh_cni_agent_api::{AgentStatus, Client, PodAnswer, Report, Response};

/// A connection that returns the input in two parts and ends.
struct Connection<'a>(&'a [u8], &'a [u8]);

impl Read for Connection<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => self.1.read(buffer),
            count => Ok(count),
        }
    }
}

impl Write for Connection<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn run(input: &[u8]) {
    let receive = |at: usize| {
        let (start, end) = input.split_at(at.min(input.len()));
        Client::new(Connection(start, end)).receive().ok()
    };
    let response = receive(0);
    // Wherever the connection splits the bytes, the answer is the same.
    for at in [1, 16, input.len() / 2, input.len().saturating_sub(1)] {
        assert_eq!(receive(at), response, "split at {at}");
    }
    if let Some(response) = response {
        check(&response, input.len());
        body(&response.body);
    }
    body(input);
}

fn check(response: &Response, received: usize) {
    assert!(response.body.len() <= received);
    assert!(
        response.message().chars().count() <= 300,
        "{:?}",
        response.message()
    );
    let is_ok = response.status == 200;
    assert!(is_ok || response.pod_facts().is_err());
    assert!(is_ok || response.json::<AgentStatus>().is_err());
}

/// What is read can be written and read again.
fn body(json: &[u8]) {
    if let Ok(answer) = PodAnswer::from_json(json) {
        let written = serde_json::to_vec(&answer).expect("an answer has a JSON form");
        let read = PodAnswer::from_json(&written).expect("a written answer is an answer");
        assert_eq!(read, answer);
    }
    if let Ok(status) = serde_json::from_slice::<AgentStatus>(json) {
        let written = serde_json::to_vec(&status).expect("a status has a JSON form");
        let read: AgentStatus = serde_json::from_slice(&written).expect("a written status is one");
        assert_eq!(read, status);
    }
    if let Ok(report) = Report::from_json(json) {
        assert!(
            report.reason.len() <= 40 && report.reason.is_ascii(),
            "{}",
            report.reason
        );
        let request = report.to_request();
        let end = request.windows(4).position(|end| end == b"\r\n\r\n");
        let body = &request[end.expect("a request has a head") + 4..];
        assert_eq!(
            Report::from_json(body).expect("a written report is one"),
            report
        );
    }
}
