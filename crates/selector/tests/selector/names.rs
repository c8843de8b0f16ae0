//! Valid and invalid names, including those that are dangerous in a path.

use mesh_cni_selector::is_dns_subdomain;

#[test]
fn valid_names() {
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
fn invalid_names() {
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
