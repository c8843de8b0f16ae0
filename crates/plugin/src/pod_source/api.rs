//! Pod source `api`: the API server itself is asked, with the kubeconfig that the node holds.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh_cni_plan::MeshConf;
use mesh_cni_selector::PodFacts;
use mesh_cni_spec::PodArgs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use thiserror::Error;

use super::FactsError;
use super::kubeconfig::{Access, Identity};
use crate::http::{Answer, Deadline, HttpError, Timed, ask};

/// How long the API server may take, for one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);

/// A request that came to no answer.
#[derive(Debug, Error)]
pub(crate) enum RequestError {
    #[error("no connection to {0}")]
    Connect(SocketAddr, #[source] io::Error),
    #[error("the server's name `{0}` is none")]
    Name(String),
    #[error("certificates or key of the kubeconfig cannot be used")]
    Material(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the request failed")]
    Http(#[from] HttpError),
}

/// What the API server knows about the pod, and about its namespace where the policy asks for it.
pub(super) fn facts(conf: &MeshConf, pod: &PodArgs) -> Result<PodFacts, FactsError> {
    let access = access(conf)?;
    let path = format!("/api/v1/namespaces/{}/pods/{}", pod.namespace, pod.name);
    let object = get(&access, &path)?;
    let mut facts = PodFacts::from_object(&object).map_err(FactsError::ApiPod)?;
    if conf.policy().needs_namespace_labels() {
        let namespace = get(&access, &format!("/api/v1/namespaces/{}", pod.namespace))?;
        let labels = namespace["metadata"]["labels"]
            .as_object()
            .into_iter()
            .flatten();
        let text =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        facts.namespace_labels = Some(labels.filter_map(text).collect());
    }
    Ok(facts)
}

/// Whether there is a kubeconfig that could be used; nobody is asked.
pub(super) fn available(conf: &MeshConf) -> Result<(), FactsError> {
    access(conf).map(drop)
}

fn access(conf: &MeshConf) -> Result<Access, FactsError> {
    let path = conf.kubeconfig.as_deref().ok_or(FactsError::NoKubeconfig)?;
    read(path)
}

fn read(path: &Path) -> Result<Access, FactsError> {
    Access::read(path).map_err(|source| FactsError::Kubeconfig {
        path: path.to_owned(),
        source,
    })
}

fn get(access: &Access, path: &str) -> Result<Value, FactsError> {
    let answer = request(access, path).map_err(FactsError::ApiAway)?;
    let object = serde_json::from_slice::<Value>(&answer.body);
    match (answer.status, object) {
        (200, Ok(object)) => Ok(object),
        (200, Err(error)) => Err(FactsError::ApiAnswer(error)),
        (status, object) => {
            let words = object
                .ok()
                .and_then(|body| body["message"].as_str().map(str::to_owned));
            let words = words.unwrap_or_else(|| "it says no more".to_owned());
            Err(if status == 404 {
                FactsError::NoPod(words)
            } else {
                FactsError::ApiRefused { status, words }
            })
        }
    }
}

fn request(access: &Access, path: &str) -> Result<Answer, RequestError> {
    let deadline = Deadline::after(PATIENCE);
    let address = SocketAddr::new(access.host, access.port);
    let server = match &access.server_name {
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_invalid| RequestError::Name(name.clone()))?,
        None => ServerName::from(access.host),
    };
    let config = Arc::new(tls(access)?);
    let connection = ClientConnection::new(config, server)
        .map_err(|error| RequestError::Material(error.into()))?;
    let mut stream = StreamOwned::new(connection, connect(address)?);
    let bearer = match &access.identity {
        Identity::Token(token) => format!("authorization: Bearer {token}\r\n"),
        Identity::Certificate(..) => String::new(),
    };
    let request = format!(
        "GET {}{path} HTTP/1.1\r\nhost: {}\r\nuser-agent: mesh-cni/{}\r\n\
         accept: application/json\r\n{bearer}connection: close\r\n\r\n",
        access.prefix,
        address,
        env!("CARGO_PKG_VERSION"),
    );
    Ok(ask(&mut stream, request.as_bytes(), deadline)?)
}

fn connect(server: SocketAddr) -> Result<TcpStream, RequestError> {
    TcpStream::connect_timeout(&server, CONNECT)
        .map_err(|error| RequestError::Connect(server, error))
}

fn tls(access: &Access) -> Result<ClientConfig, RequestError> {
    let wrong = |error: Box<dyn std::error::Error + Send + Sync>| RequestError::Material(error);
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(&access.authorities) {
        let authority = authority.map_err(|error| wrong(error.into()))?;
        roots.add(authority).map_err(|error| wrong(error.into()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.into()))?
        .with_root_certificates(roots);
    let Identity::Certificate(chain, key) = &access.identity else {
        return Ok(config.with_no_client_auth());
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|error| wrong(error.into()))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(error.into()))?;
    config
        .with_client_auth_cert(chain, key)
        .map_err(|error| wrong(error.into()))
}

impl Timed for StreamOwned<ClientConnection, TcpStream> {
    fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.sock.set_read_timeout(Some(patience))?;
        self.sock.set_write_timeout(Some(patience))
    }
}
