//! Pod source `api`: a request to the API server, with the kubeconfig on the node.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mesh_cni_agent_api::{Bounded, Client, Deadline, HttpError, Response};
use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;
use mesh_cni_spec::PodArgs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use thiserror::Error;

use super::FactsError;
use super::kubeconfig::{Access, Credentials};

/// The longest time of all requests of one call.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A request without a response.
#[derive(Debug, Error)]
pub(crate) enum RequestError {
    #[error("cannot connect to {0}")]
    Connect(SocketAddr, #[source] io::Error),
    #[error("`tls-server-name` of the kubeconfig is `{0}`, which is not a valid server name")]
    ServerName(String),
    #[error("invalid certificate or key in the kubeconfig")]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the request failed")]
    Http(#[from] HttpError),
}

/// The facts about the pod, and those about its namespace if the configuration needs them.
pub(super) fn facts(conf: &MeshConf, pod: &PodArgs) -> Result<PodFacts, FactsError> {
    let access = access(conf)?;
    let deadline = Deadline::after(TIMEOUT);
    let path = format!("/api/v1/namespaces/{}/pods/{}", pod.namespace, pod.name);
    let object = get(&access, &path, deadline)?;
    let mut facts = PodFacts::from_object(&object).map_err(FactsError::ApiPod)?;
    if conf.needs_namespaces() {
        let path = format!("/api/v1/namespaces/{}", pod.namespace);
        let namespace = get(&access, &path, deadline)?;
        facts.namespace_labels = Some(texts(&namespace["metadata"]["labels"]));
        facts.namespace_annotations = Some(texts(&namespace["metadata"]["annotations"]));
    }
    Ok(facts)
}

/// The fields of an object whose values are text.
fn texts(object: &Value) -> BTreeMap<String, String> {
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// Whether the kubeconfig can be used. Sends no request.
pub(super) fn available(conf: &MeshConf) -> Result<(), FactsError> {
    access(conf).map(drop)
}

fn access(conf: &MeshConf) -> Result<Access, FactsError> {
    let path = conf.kubeconfig.as_deref().ok_or(FactsError::NoKubeconfig)?;
    Access::read(path).map_err(|source| FactsError::Kubeconfig {
        path: path.to_owned(),
        source,
    })
}

fn get(access: &Access, path: &str, deadline: Deadline) -> Result<Value, FactsError> {
    let response = request(access, path, deadline).map_err(FactsError::ApiUnreachable)?;
    let object = serde_json::from_slice::<Value>(&response.body);
    match (response.status, object) {
        (200, Ok(object)) => Ok(object),
        (200, Err(error)) => Err(FactsError::ApiAnswer(error)),
        (status, object) => {
            let message = object
                .ok()
                .and_then(|body| body["message"].as_str().map(str::to_owned))
                .unwrap_or_else(|| "no further details".to_owned());
            Err(match status {
                404 => FactsError::NoPod(message),
                _ => FactsError::ApiStatus { status, message },
            })
        }
    }
}

fn request(access: &Access, path: &str, deadline: Deadline) -> Result<Response, RequestError> {
    let address = SocketAddr::new(access.host, access.port);
    let server = match &access.server_name {
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_invalid| RequestError::ServerName(name.clone()))?,
        None => ServerName::from(access.host),
    };
    let config = Arc::new(tls(access)?);
    let connection = ClientConnection::new(config, server)
        .map_err(|error| RequestError::Credentials(error.into()))?;
    let stream = StreamOwned::new(connection, connect(address, deadline)?);
    let bearer = match &access.credentials {
        Credentials::Token(token) => format!("authorization: Bearer {token}\r\n"),
        Credentials::Certificate(..) => String::new(),
    };
    let request = format!(
        "GET {}{path} HTTP/1.1\r\nhost: {}\r\nuser-agent: mesh-cni/{}\r\n\
         accept: application/json\r\n{bearer}connection: close\r\n\r\n",
        access.prefix,
        address,
        env!("CARGO_PKG_VERSION"),
    );
    let mut client = Client::new(stream);
    client.send(request.as_bytes())?;
    Ok(client.receive()?)
}

fn connect(server: SocketAddr, until: Deadline) -> Result<Bounded<TcpStream>, RequestError> {
    until
        .remaining()
        .and_then(|left| TcpStream::connect_timeout(&server, left.min(CONNECT_TIMEOUT)))
        .map(|stream| Bounded::new(stream, until))
        .map_err(|error| RequestError::Connect(server, error))
}

fn tls(access: &Access) -> Result<ClientConfig, RequestError> {
    let invalid =
        |error: Box<dyn std::error::Error + Send + Sync>| RequestError::Credentials(error);
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(&access.authorities) {
        let authority = authority.map_err(|error| invalid(error.into()))?;
        roots
            .add(authority)
            .map_err(|error| invalid(error.into()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid(error.into()))?
        .with_root_certificates(roots);
    let Credentials::Certificate(chain, key) = &access.credentials else {
        return Ok(config.with_no_client_auth());
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|error| invalid(error.into()))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| invalid(error.into()))?;
    config
        .with_client_auth_cert(chain, key)
        .map_err(|error| invalid(error.into()))
}
