//! A kubeconfig: the server's address and path are safe to use in a request.

use std::net::SocketAddr;

use mesh_cni_plugin::fuzzing;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let Some((host, port, prefix)) = fuzzing::server(text) else {
        return;
    };
    assert!(prefix.is_empty() || prefix.starts_with('/'), "{prefix:?}");
    assert!(!prefix.ends_with('/'), "{prefix:?}");
    assert!(
        prefix.bytes().all(|byte| byte.is_ascii_graphic()),
        "{prefix:?}"
    );
    let url = format!("https://{}{prefix}", SocketAddr::new(host, port));
    let again = format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters: [{{name: k, cluster: {{server: {url:?}}}}}]\nusers: [{{name: u}}]\n"
    );
    assert_eq!(
        fuzzing::server(&again),
        Some((host, port, prefix)),
        "{again}"
    );
}
