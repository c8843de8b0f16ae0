//! Keys and certificates of a test cluster.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::private_file;

/// Creates in `directory`: `ca.crt`, the certificate `server.crt` with `server.key` for these names,
/// and `tokens.key` with `tokens.pub`, which the API server uses to sign and verify tokens of service
/// accounts.
pub(crate) fn create_in(directory: &Path, names: &[&str]) {
    let key = KeyPair::generate().expect("a key can be generated");
    let root = authority()
        .self_signed(&key)
        .expect("a certificate is signed");
    private_file(&directory.join("ca.crt"), &root.pem());
    let issuer = Issuer::new(authority(), key);
    let own = KeyPair::generate().expect("a key can be generated");
    let server = server(names).signed_by(&own, &issuer);
    let server = server.expect("a certificate is signed");
    private_file(&directory.join("server.crt"), &server.pem());
    private_file(&directory.join("server.key"), &own.serialize_pem());
    let tokens = KeyPair::generate().expect("a key can be generated");
    private_file(&directory.join("tokens.key"), &tokens.serialize_pem());
    private_file(&directory.join("tokens.pub"), &tokens.public_key_pem());
}

fn authority() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let name = &mut parameters.distinguished_name;
    name.push(DnType::CommonName, "mesh-cni-tests");
    parameters
}

fn server(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).expect("the names are valid");
    let name = &mut parameters.distinguished_name;
    name.push(DnType::CommonName, "kube-apiserver");
    parameters
}
