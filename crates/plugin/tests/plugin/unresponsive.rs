//! Sources that do not answer in time: an ADD fails with code 11 and a remedy.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake_agent::{FakeAgent, response};
use crate::support::Node;

/// How long a test waits for the plugin before it fails.
const WATCHDOG: Duration = Duration::from_secs(120);

const ARGS: &str = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=productpage;K8S_POD_UID=u-1";

/// The error of an ADD with these fields in its configuration.
fn error(node: &Node, fields: &Value) -> Value {
    let mut conf = node.conf();
    for (field, value) in fields.as_object().unwrap() {
        conf[field] = value.clone();
    }
    let call = node.call("ADD").conf(&conf).with("CNI_ARGS", ARGS);
    let (sender, output) = channel();
    thread::spawn(move || sender.send(call.run()));
    let output = output
        .recv_timeout(WATCHDOG)
        .expect("the plugin does not end");
    assert_eq!(output.code, 1, "{}", output.stdout);
    output.json()
}

fn assert_stuck(error: &Value) {
    assert_eq!(error["code"], 11, "{error}");
    let text = |key: &str| error[key].as_str().unwrap().to_owned();
    assert!(text("msg").contains("no response in time"), "{error}");
    assert!(text("details").contains("stuck or overloaded"), "{error}");
}

/// A node whose agent listens but has no program behind it yet.
fn listening() -> (Node, UnixListener) {
    let node = Node::new();
    let run = node.path().join("run");
    fs::create_dir(&run).unwrap();
    let listener = UnixListener::bind(run.join("agent.sock")).unwrap();
    (node, listener)
}

#[test]
fn an_agent_accepts_and_never_answers() {
    let (node, listener) = listening();
    let connections = thread::spawn(move || {
        // The request, then the report.
        [listener.accept().unwrap(), listener.accept().unwrap()]
    });
    assert_stuck(&error(&node, &json!({"pod_source": "agent"})));
    connections.join().unwrap();
}

#[test]
fn an_agent_accepts_no_connection() {
    let (node, listener) = listening();
    rustix::net::listen(&listener, 0).unwrap();
    let _queue = UnixStream::connect(node.path().join("run/agent.sock")).unwrap();
    assert_stuck(&error(&node, &json!({"pod_source": "agent"})));
}

#[test]
fn an_agent_sends_a_byte_per_second() {
    let (node, listener) = listening();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").unwrap();
        // It ends when the plugin closes the connection.
        while stream.write_all(b"y").is_ok() {
            thread::sleep(Duration::from_secs(1));
        }
    });
    assert_stuck(&error(&node, &json!({"pod_source": "agent"})));
}

/// An agent that is updated: what it read of a request is lost, and the next one answers.
#[test]
fn an_add_waits_for_the_next_agent() {
    for begun in ["", "HTTP/1.1 200 OK\r\n"] {
        let (node, old) = listening();
        let run = node.path().join("run");
        let next = thread::spawn(move || {
            let (mut stream, _) = old.accept().unwrap();
            stream.write_all(begun.as_bytes()).unwrap();
            // Now no agent listens, and the plugin learns it.
            drop((old, stream));
            thread::sleep(Duration::from_millis(200));
            fs::remove_file(run.join("agent.sock")).unwrap();
            thread::sleep(Duration::from_millis(200));
            let facts = json!({
                "namespace": "default", "name": "productpage", "uid": "u-1",
                "containers": [{"name": "app"}],
            });
            FakeAgent::new(&run, &response(200, &facts.to_string()))
        });
        let mut conf = node.conf();
        conf["pod_source"] = "agent".into();
        let output = node.call("ADD").conf(&conf).with("CNI_ARGS", ARGS).run();
        assert_eq!(output.code, 0, "{begun:?}: {}", output.stdout);
        next.join().unwrap();
    }
}

#[test]
fn an_agent_stops_and_no_other_starts() {
    let (node, old) = listening();
    drop(old);
    let error = error(&node, &json!({"pod_source": "agent"}));
    assert_eq!(error["code"], 11, "{error}");
    assert!(
        error["details"]
            .as_str()
            .unwrap()
            .contains("starting or stopped"),
        "{error}"
    );
}

#[test]
fn after_a_silent_agent_the_api_server_has_a_limit_of_its_own() {
    let (node, agent) = listening();
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let kubeconfig = node.path().join("kubeconfig");
    fs::write(&kubeconfig, kubeconfig_of(api.local_addr().unwrap().port())).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = api.accept().unwrap();
        // The start of a TLS record of 16,384 bytes, then its content byte by byte.
        stream.write_all(&[0x16, 0x03, 0x03, 0x40, 0x00]).unwrap();
        while stream.write_all(&[0]).is_ok() {
            thread::sleep(Duration::from_secs(1));
        }
    });
    let fields = json!({"pod_source": "auto", "kubeconfig": kubeconfig});
    let error = error(&node, &fields);
    drop(agent);
    assert_eq!(error["code"], 11, "{error}");
    let msg = error["msg"].as_str().unwrap();
    assert!(msg.contains("the API server does not answer"), "{error}");
    assert!(msg.contains("no response in time"), "{error}");
}

fn kubeconfig_of(port: u16) -> String {
    json!({
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority-data": "eA==",
        }}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    })
    .to_string()
}
