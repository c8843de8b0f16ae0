//! The parts of a kubeconfig that pod source `api` uses: one server, its certificates, and one kind of
//! credentials.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// The largest kubeconfig that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// How to reach the API server.
#[derive(Debug)]
pub(crate) struct Access {
    /// The server's address. Its certificate contains it unless `server_name` is set.
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    /// The prefix of the server's paths, before `/api`; usually empty.
    pub(crate) prefix: String,
    pub(crate) server_name: Option<String>,
    /// The certificate authorities of the server, as PEM.
    pub(crate) authorities: Vec<u8>,
    pub(crate) credentials: Credentials,
}

/// The client's credentials.
pub(crate) enum Credentials {
    Token(String),
    /// Certificate and key, as PEM.
    Certificate(Vec<u8>, Vec<u8>),
}

impl std::fmt::Debug for Credentials {
    /// Contains no secret, because it may be logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "a token",
            Self::Certificate(..) => "a certificate",
        })
    }
}

/// A kubeconfig that cannot be used.
#[derive(Debug, Error)]
pub(crate) enum KubeconfigError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("it is not a kubeconfig")]
    Syntax(#[source] Box<serde_saphyr::Error>),
    #[error("it is not a kubeconfig")]
    Fields(#[from] serde_json::Error),
    #[error("field `{field}` is `{name}`, but no entry has that name")]
    Dangling { field: &'static str, name: String },
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    #[error("field `{field}` is `{value}`, expected {expected}")]
    Value {
        field: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("field `{0}` is set, which this plugin does not support")]
    Unsupported(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    current_context: String,
    contexts: Option<Vec<Named>>,
    clusters: Option<Vec<Named>>,
    users: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    context: Context,
    #[serde(default)]
    cluster: Cluster,
    #[serde(default)]
    user: User,
}

#[derive(Default, Deserialize)]
struct Context {
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Cluster {
    server: String,
    tls_server_name: Option<String>,
    insecure_skip_tls_verify: bool,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    exec: Option<serde::de::IgnoredAny>,
}

impl Access {
    /// Reads the kubeconfig; paths in it are relative to it.
    pub(crate) fn read(path: &Path) -> Result<Self, KubeconfigError> {
        let text = read(path)?;
        let (cluster, user) = current(&String::from_utf8_lossy(&text))?;
        access(cluster, user, path.parent().unwrap_or(Path::new("/")))
    }
}

/// Cluster and user of the current context.
fn current(text: &str) -> Result<(Cluster, User), KubeconfigError> {
    // Manifests are parsed to the same type, so that the program has the code of only one.
    let config: serde_json::Value =
        serde_saphyr::from_str(text).map_err(|error| KubeconfigError::Syntax(Box::new(error)))?;
    let config = Kubeconfig::deserialize(config)?;
    let named = |list: Option<Vec<Named>>, field, name: &str| {
        let mut list = list.into_iter().flatten();
        let name = name.to_owned();
        list.find(|entry| entry.name == name)
            .ok_or(KubeconfigError::Dangling { field, name })
    };
    let context = named(config.contexts, "current-context", &config.current_context)?.context;
    let cluster = named(config.clusters, "cluster", &context.cluster)?.cluster;
    let user = named(config.users, "user", &context.user)?.user;
    Ok((cluster, user))
}

/// Address, port and prefix of the current server, if the text is valid that far.
pub(crate) fn current_server(text: &str) -> Option<(IpAddr, u16, String)> {
    let (cluster, _user) = current(text).ok()?;
    server(&cluster.server).ok()
}

fn access(cluster: Cluster, user: User, base: &Path) -> Result<Access, KubeconfigError> {
    if cluster.insecure_skip_tls_verify {
        return Err(KubeconfigError::Unsupported("insecure-skip-tls-verify"));
    }
    let (host, port, prefix) = server(&cluster.server)?;
    let authorities = data_or_file(
        cluster.certificate_authority_data,
        cluster.certificate_authority,
        base,
        "certificate-authority-data",
    )?;
    Ok(Access {
        host,
        port,
        prefix,
        server_name: cluster.tls_server_name,
        authorities: authorities.ok_or(KubeconfigError::Missing("certificate-authority-data"))?,
        credentials: credentials(user, base)?,
    })
}

fn credentials(user: User, base: &Path) -> Result<Credentials, KubeconfigError> {
    // As in Kubernetes the file has precedence: it is updated when the token expires.
    if let Some(path) = user.token_file {
        let token = read(&base.join(path))?;
        return Ok(Credentials::Token(
            String::from_utf8_lossy(&token).trim().to_owned(),
        ));
    }
    if let Some(token) = user.token.filter(|token| !token.is_empty()) {
        return Ok(Credentials::Token(token));
    }
    let certificate = data_or_file(
        user.client_certificate_data,
        user.client_certificate,
        base,
        "client-certificate-data",
    )?;
    let key = data_or_file(
        user.client_key_data,
        user.client_key,
        base,
        "client-key-data",
    )?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Credentials::Certificate(certificate, key)),
        _ if user.exec.is_some() => Err(KubeconfigError::Unsupported("exec")),
        _ => Err(KubeconfigError::Missing("token")),
    }
}

/// The content of a field, or of the file that another field names.
fn data_or_file(
    data: Option<String>,
    file: Option<PathBuf>,
    base: &Path,
    field: &'static str,
) -> Result<Option<Vec<u8>>, KubeconfigError> {
    use base64::Engine as _;
    match (data, file) {
        (Some(data), _) => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(data.trim());
            // The value may be a secret.
            decoded
                .map(Some)
                .map_err(|_invalid| KubeconfigError::Value {
                    field,
                    value: "…".to_owned(),
                    expected: "base64",
                })
        }
        (None, Some(path)) => read(&base.join(path)).map(Some),
        (None, None) => Ok(None),
    }
}

/// Address, port and prefix of `https://ADDRESS[:PORT][/PREFIX]`.
///
/// Host names are refused: a static program cannot use the node's resolver, and an ADD would wait for
/// DNS.
fn server(url: &str) -> Result<(IpAddr, u16, String), KubeconfigError> {
    let invalid = || KubeconfigError::Value {
        field: "server",
        value: url.to_owned(),
        expected: "https://ADDRESS[:PORT] with an IP address; set `tls-server-name` to the name in \
                   its certificate",
    };
    let rest = url.strip_prefix("https://").ok_or_else(invalid)?;
    let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let prefix = if prefix.is_empty() {
        String::new()
    } else {
        format!("/{prefix}")
    };
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) = inside.split_once(']').ok_or_else(invalid)?;
            (host, rest.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let host = host.parse().map_err(|_error| invalid())?;
    if !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid());
    }
    let port = port.map_or(Ok(443), |port| port.parse().map_err(|_error| invalid()))?;
    Ok((host, port, prefix))
}

fn read(path: &Path) -> Result<Vec<u8>, KubeconfigError> {
    use io::Read as _;
    let failed = |source| KubeconfigError::Read {
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_an_address_a_port_and_a_prefix() {
        for (url, wanted) in [
            ("https://10.0.0.1", ("10.0.0.1", 443, "")),
            ("https://10.0.0.1:6443/", ("10.0.0.1", 6443, "")),
            ("https://[fd00::1]:6443", ("fd00::1", 6443, "")),
            ("https://[fd00::1]", ("fd00::1", 443, "")),
            ("https://10.0.0.1/k8s/c-1/", ("10.0.0.1", 443, "/k8s/c-1")),
        ] {
            let (host, port, prefix) = server(url).unwrap();
            let host = host.to_string();
            assert_eq!((host.as_str(), port, prefix.as_str()), wanted, "{url}");
        }
        for url in [
            "",
            "http://10.0.0.1",
            "https://",
            "https://a:b",
            "https://[fd00::1",
            "https://kube.example:6443",
            "https://user@10.0.0.1",
            "https://a b",
            "https://10.0.0.1/a b",
        ] {
            assert!(server(url).is_err(), "{url}");
        }
    }

    fn read_text(text: &str) -> Result<Access, KubeconfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubeconfig");
        fs::write(&path, text).unwrap();
        Access::read(&path)
    }

    const WHOLE: &str = "
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: 'https://10.0.0.1', certificate-authority-data: eA==}}]
users: [{name: u, user: {token: secret}}]
";

    #[test]
    fn a_token_is_read_and_not_printed() {
        let access = read_text(WHOLE).unwrap();
        assert!(matches!(&access.credentials, Credentials::Token(token) if token == "secret"));
        assert_eq!(access.authorities, b"x");
        assert!(!format!("{access:?}").contains("secret"));
    }

    #[test]
    fn an_unusable_field_is_named() {
        for (from, to, wanted) in [
            (
                "current-context: c",
                "current-context: d",
                "field `current-context` is `d`",
            ),
            ("user: u}", "user: v}", "field `user` is `v`"),
            ("{token: secret}", "{}", "field `token` is missing"),
            (
                "{token: secret}",
                "{exec: {command: x}}",
                "field `exec` is set",
            ),
            ("https:", "http:", "field `server` is `http://10.0.0.1`"),
            ("eA==", "'?'", "field `certificate-authority-data`"),
            (
                "certificate-authority-data: eA==",
                "insecure-skip-tls-verify: true",
                "field `insecure-skip-tls-verify` is set",
            ),
        ] {
            let error = read_text(&WHOLE.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{to}: {error}");
        }
        assert!(matches!(read_text("["), Err(KubeconfigError::Syntax(_))));
        for text in ["", "[]", "users: 1", "current-context: [c]"] {
            let error = read_text(text).unwrap_err();
            assert!(matches!(error, KubeconfigError::Fields(_)), "{text}");
        }
    }

    #[test]
    fn a_list_without_value_is_empty() {
        // This is how `kubectl config` writes a list without entries.
        let error = read_text("current-context: c\ncontexts: null\nclusters: null\nusers: null\n");
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no entry has that name"), "{error}");
    }
}
