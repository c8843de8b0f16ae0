//! What Kubernetes allows as the name of a pod or a namespace.

/// `validation.DNS1123SubdomainMaxLength` of apimachinery.
const LONGEST: usize = 253;

/// Whether the text is a DNS-1123 subdomain, as every pod's and namespace's name is.
///
/// At most 253 bytes: parts of `a`-`z`, `0`-`9` and `-` that begin and end with a letter or digit,
/// joined by dots. Such a name is safe as one part of a path or a URL: it is never empty, holds no
/// `/`, and is neither `.` nor `..`.
///
/// ```
/// use mesh_cni_selector::is_dns_subdomain;
///
/// assert!(is_dns_subdomain("reviews-v1-545db77b95-xk2lp"));
/// assert!(!is_dns_subdomain("../default"));
/// assert!(!is_dns_subdomain("Reviews"));
/// ```
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= LONGEST && text.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    let alphanumeric = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit();
    let ends = [part.bytes().next(), part.bytes().next_back()];
    let inner = |sign| alphanumeric(sign) || sign == b'-';
    part.bytes().all(inner) && ends.into_iter().all(|end| end.is_some_and(alphanumeric))
}
