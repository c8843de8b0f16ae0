//! Names of pods and namespaces, among them those that would lead a path astray.

use mesh_cni_selector::is_dns_subdomain;

#[test]
fn what_kubernetes_allows_is_a_name() {
    let longest = "a".repeat(253);
    for name in [
        "a",
        "0",
        "kube-system",
        "web-0.web",
        "1.2.3",
        longest.as_str(),
    ] {
        assert!(is_dns_subdomain(name), "{name}");
    }
}

#[test]
fn nothing_else_is_one() {
    let longer = "a".repeat(254);
    let names = [
        "",
        ".",
        "..",
        "a/b",
        "a..b",
        ".a",
        "a.",
        "-a",
        "a-",
        "a.-b",
        "A",
        "a_b",
        "ä",
        "a\0",
        "a b",
        "a\n",
        "%2e",
        longer.as_str(),
    ];
    for name in names {
        assert!(!is_dns_subdomain(name), "{name:?}");
    }
}
