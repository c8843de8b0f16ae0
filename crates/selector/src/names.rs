//! Valid names of pods and namespaces.

/// `validation.DNS1123SubdomainMaxLength` of apimachinery, in bytes.
const MAX_LENGTH: usize = 253;

/// Whether `text` is a DNS-1123 subdomain, as the name of every pod and namespace is.
///
/// At most 253 bytes of `a`-`z`, `0`-`9`, `-` and `.`, where each part between dots starts and
/// ends with a letter or digit. Such a name is safe as one segment of a path or URL: it is never
/// empty, `.` or `..`, and contains no `/`.
///
/// ```
/// use mesh_cni_selector::is_dns_subdomain;
///
/// assert!(is_dns_subdomain("reviews-v1-545db77b95-xk2lp"));
/// assert!(!is_dns_subdomain("../default"));
/// assert!(!is_dns_subdomain("Reviews"));
/// ```
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= MAX_LENGTH && text.split('.').all(is_dns_label)
}

fn is_dns_label(label: &str) -> bool {
    label
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
}
