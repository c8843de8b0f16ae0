//! A fake API server that returns given pods and fails on demand. Tests in `tests/` use a real one;
//! this one is for failures that a real one does not have.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// A failure of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A response with that status.
    Status(u16),
    /// The connection closes without a response.
    Close,
    /// No response; the connection stays open.
    Silence,
    /// A response with status 200 and that body.
    Body(&'static str),
    /// A response with that status whose body does not end.
    Endless(u16),
    /// The answer of an admission policy that refuses a change.
    Refused,
}

/// The value of a field that the server writes without quotes, so that the object is not valid JSON.
pub(crate) const INVALID: &str = "INVALID";

/// The value of a field for which the server writes 13 MiB.
pub(crate) const FILLER: &str = "FILLER";

#[derive(Default)]
struct State {
    pods: Vec<Value>,
    namespaces: Vec<Value>,
    watchers: Vec<(String, Sender<String>)>,
    /// Each applies to one request whose path contains the text.
    faults: VecDeque<(&'static str, Fault)>,
    /// Path and query of each request.
    requests: Vec<String>,
    /// The user agent and the accepted type of each request.
    senders: Vec<[String; 2]>,
    changes: Vec<(String, Value)>,
    /// Connections without a response.
    silent: Vec<TcpStream>,
}

/// The server. It ends with the process of the test.
pub(crate) struct ApiServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl ApiServer {
    /// A server with these pods.
    pub(crate) fn new(pods: impl IntoIterator<Item = Value>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        server.state.lock().unwrap().pods.extend(pods);
        let state = Arc::clone(&server.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                thread::spawn(move || serve(&state, &stream));
            }
        });
        server
    }

    /// Writes a kubeconfig for this server.
    pub(crate) fn kubeconfig(&self, directory: &Path) -> PathBuf {
        let path = directory.join("kubeconfig.yaml");
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        });
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        path
    }

    /// Lets the next request whose path contains the text fail.
    pub(crate) fn fail(&self, path: &'static str, fault: Fault) {
        self.state.lock().unwrap().faults.push_back((path, fault));
    }

    /// Adds a pod without a watch event.
    pub(crate) fn hide(&self, pod: Value) {
        self.state.lock().unwrap().pods.push(pod);
    }

    /// Adds a namespace.
    pub(crate) fn namespace(&self, namespace: Value) {
        self.state.lock().unwrap().namespaces.push(namespace);
    }

    /// Sends an event to every watch of pods, for example `ADDED` with a pod.
    pub(crate) fn send(&self, kind: &str, object: &Value) {
        self.send_line(&json!({"type": kind, "object": object}).to_string());
    }

    /// Sends a line to every watch of pods.
    pub(crate) fn send_line(&self, line: &str) {
        let mut state = self.state.lock().unwrap();
        state.watchers.retain(|(path, watcher)| {
            path != "/api/v1/pods" || watcher.send(line.to_owned()).is_ok()
        });
    }

    /// Replaces the pod of that name without a watch event.
    pub(crate) fn replace(&self, pod: Value) {
        let mut state = self.state.lock().unwrap();
        let name = pod["metadata"]["name"].clone();
        state.pods.retain(|one| one["metadata"]["name"] != name);
        state.pods.push(pod);
    }

    /// The requests for changes so far: method and path, and the body.
    pub(crate) fn changes(&self) -> Vec<(String, Value)> {
        self.state.lock().unwrap().changes.clone()
    }

    /// Ends every watch.
    pub(crate) fn drop_watches(&self) {
        self.state.lock().unwrap().watchers.clear();
    }

    /// The requests so far: path and query.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// The requests for lists so far: path and query.
    pub(crate) fn lists(&self) -> Vec<String> {
        let mut requests = self.requests();
        requests.retain(|path| path.contains('?') && !path.contains("watch=true"));
        requests
    }

    /// The user agent and the accepted type of each request so far, in lower case.
    pub(crate) fn senders(&self) -> Vec<[String; 2]> {
        self.state.lock().unwrap().senders.clone()
    }
}

fn serve(state: &Mutex<State>, stream: &TcpStream) {
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut parts = line.split(' ').map(str::to_owned);
        let method = parts.next().unwrap_or_default();
        let uri = parts.next().unwrap_or_default();
        let (mut length, mut sender) = (0, [const { String::new() }; 2]);
        while line.trim() != "" {
            line.clear();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let lower = line.to_ascii_lowercase();
            let given = lower.strip_prefix("content-length:");
            length = given.map_or(length, |given| given.trim().parse().unwrap());
            for (name, value) in ["user-agent: ", "accept: "].into_iter().zip(&mut sender) {
                if let Some(given) = lower.strip_prefix(name) {
                    given.trim().clone_into(value);
                }
            }
        }
        let mut body = vec![0; length];
        if lines.read_exact(&mut body).is_err() {
            return;
        }
        if method != "GET" {
            let path = uri.split('?').next().unwrap_or_default();
            let change = (
                format!("{method} {path}"),
                serde_json::from_slice(&body).unwrap_or_default(),
            );
            state.lock().unwrap().changes.push(change);
        }
        let only_metadata = sender[1].contains("as=partialobjectmetadatalist");
        state.lock().unwrap().senders.push(sender);
        if respond(state, stream, &uri, only_metadata).is_err() {
            return;
        }
    }
}

/// An error ends the connection.
fn respond(
    state: &Mutex<State>,
    stream: &TcpStream,
    uri: &str,
    only_metadata: bool,
) -> std::io::Result<()> {
    let closed = || Err(std::io::ErrorKind::ConnectionAborted.into());
    let fault = {
        let mut state = state.lock().unwrap();
        state.requests.push(uri.to_owned());
        let due = state
            .faults
            .front()
            .is_some_and(|(path, _)| uri.contains(path));
        if due { state.faults.pop_front() } else { None }
    };
    match fault {
        Some((_, Fault::Close)) => return closed(),
        Some((_, Fault::Silence)) => {
            state.lock().unwrap().silent.push(stream.try_clone()?);
            return Ok(());
        }
        Some((_, Fault::Body(body))) => {
            return send(stream, 200, &body);
        }
        Some((_, Fault::Endless(code))) => return send_endless(stream, code),
        Some((_, Fault::Refused)) => return send(stream, 403, &refused()),
        Some((_, Fault::Status(code))) => return send(stream, code, &status(code)),
        None => {}
    }
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    if query.contains("watch=true") {
        watch(state, stream, path)?;
        return closed();
    }
    let (code, mut body) = object(&state.lock().unwrap(), path, query);
    if only_metadata {
        for item in body["items"].as_array_mut().unwrap() {
            *item = json!({"metadata": item["metadata"]});
        }
    }
    let mut body = body.to_string().replace(&format!("\"{INVALID}\""), INVALID);
    if body.contains(FILLER) {
        body = body.replace(FILLER, &"x".repeat(13 << 20));
    }
    send(stream, code, &body)
}

/// Sends until the client closes the connection, at most 100 MB.
fn send_endless(mut stream: &TcpStream, code: u16) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {code} X\r\ncontent-length: 1000000000000\r\n\r\n"
    )?;
    for _ in 0..100 {
        stream.write_all(&vec![b'x'; 1_000_000])?;
    }
    Ok(())
}

fn object(state: &State, path: &str, query: &str) -> (u16, Value) {
    let of = |objects: &Vec<Value>, name: &str| {
        let found = objects
            .iter()
            .find(|object| object["metadata"]["name"] == name);
        found.map_or((404, status(404)), |object| (200, object.clone()))
    };
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["", "api", "v1", "pods"] => (200, page(&state.pods, query)),
        ["", "api", "v1", "namespaces"] => (200, page(&state.namespaces, query)),
        ["", "api", "v1", "namespaces", name] => of(&state.namespaces, name),
        ["", "api", "v1", "namespaces", _, "pods", name] => of(&state.pods, name),
        ["", "apis", "events.k8s.io", "v1", "namespaces", _, "events"] => (201, json!({})),
        _ => (404, status(404)),
    }
}

/// A page of the list, by `limit` and `continue`. A list from the cache has no pages.
fn page(objects: &[Value], query: &str) -> Value {
    let is_from_cache = query.contains("resourceVersionMatch=NotOlderThan");
    let number = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(key, _)| *key == name && !is_from_cache);
        value.and_then(|(_, value)| value.parse::<usize>().ok())
    };
    let begin = number("continue").unwrap_or(0);
    let end = objects
        .len()
        .min(begin + number("limit").unwrap_or(usize::MAX - begin));
    let next = if end < objects.len() {
        end.to_string()
    } else {
        String::new()
    };
    json!({
        "metadata": {"resourceVersion": "10", "continue": next},
        "items": objects[begin..end],
    })
}

fn watch(state: &Mutex<State>, mut stream: &TcpStream, path: &str) -> std::io::Result<()> {
    let (sender, events) = channel();
    state
        .lock()
        .unwrap()
        .watchers
        .push((path.to_owned(), sender));
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )?;
    for event in events {
        let line = format!("{event}\n");
        write!(stream, "{:x}\r\n{line}\r\n", line.len())?;
    }
    write!(stream, "0\r\n\r\n")
}

fn send(mut stream: &TcpStream, code: u16, body: &impl ToString) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn refused() -> Value {
    let mut status = status(403);
    let message = "pods \"cart\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied \
         request: the pod is not on node a";
    status["message"] = json!(message);
    status
}

pub(crate) fn status(code: u16) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": format!("Reason{code}"),
        "message": match code {
            403 => "pods is forbidden: User \"test\" cannot do this",
            _ => "as the test requires",
        },
    })
}
