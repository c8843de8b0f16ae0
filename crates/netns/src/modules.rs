//! The kernel modules that a back end or a refused request needs.

use std::fs;
use std::path::{Path, PathBuf};

use mesh_cni_nftables::Query;

use crate::backend::Backend;

/// What the documented rules need from `x_tables`, besides the module of a table.
const EXTENSIONS: [&str; 3] = ["xt_REDIRECT", "xt_owner", "xt_tcpudp"];

/// The modules for the documented rules.
pub(crate) fn of_backend(backend: Backend) -> Vec<String> {
    let base: &[&str] = match backend {
        Backend::Netlink | Backend::IptablesNft => &["nf_tables", "nft_compat", "nft_chain_nat"],
        Backend::NftNative => &["nf_tables", "nft_chain_nat", "nft_redir"],
        Backend::IptablesLegacy => &["ip_tables", "iptable_nat"],
    };
    let extensions: &[&str] = match backend {
        Backend::NftNative => &[],
        _ => &EXTENSIONS,
    };
    owned(base.iter().chain(extensions))
}

/// The modules for a match or target of `x_tables` in `nft_compat`.
pub(crate) fn of_extension(query: &Query) -> Vec<String> {
    match query {
        Query::Match { name, .. } | Query::Target { name, .. } => {
            vec!["nft_compat".to_owned(), of_x_tables(name, false)]
        }
        _ => Vec::new(),
    }
}

/// The modules for a refused request: a rule in the format of iptables, a chain as `nft` lists it, or
/// the lines of a table for `iptables-restore`. Empty if the text names nothing that is a module.
pub(crate) fn of_request(backend: Backend, is_ipv6: bool, text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    if text.contains("type nat ") {
        modules.push("nft_chain_nat".to_owned());
    }
    if backend == Backend::IptablesLegacy
        && let Some(table) = text.lines().next().and_then(|line| line.strip_prefix('*'))
    {
        let family = if is_ipv6 { "ip6" } else { "ip" };
        modules.extend([format!("{family}_tables"), format!("{family}table_{table}")]);
    }
    let words: Vec<_> = text.split_whitespace().collect();
    for pair in words.windows(2) {
        let [option, name] = *pair else { continue };
        let name = name.trim_matches('"');
        match option {
            "-m" => modules.extend(of_match(backend, name)),
            "-j" => modules.extend(of_target(backend, is_ipv6, name)),
            _ => {}
        }
    }
    let is_compat = modules.iter().any(|module| !module.starts_with("nft_"));
    if is_compat && matches!(backend, Backend::Netlink | Backend::IptablesNft) {
        modules.push("nft_compat".to_owned());
    }
    modules.sort();
    modules.dedup();
    modules
}

fn of_match(backend: Backend, name: &str) -> Option<String> {
    match (backend, name) {
        (Backend::NftNative, "conntrack" | "state") => Some("nft_ct".to_owned()),
        // `nf_tables` itself has the rest.
        (Backend::NftNative, _) => None,
        _ => Some(of_x_tables(name, false)),
    }
}

fn of_target(backend: Backend, is_ipv6: bool, name: &str) -> Option<String> {
    // `nf_tables` and `ip_tables` themselves have verdicts; the rest are names of chains.
    let module = match (backend, name) {
        (Backend::NftNative, "REDIRECT") => "nft_redir",
        (Backend::NftNative, "TPROXY") => "nft_tproxy",
        (Backend::NftNative, "CT" | "CONNMARK") => "nft_ct",
        (Backend::NftNative, "REJECT") if is_ipv6 => "nft_reject_ipv6",
        (Backend::NftNative, "REJECT") => "nft_reject_ipv4",
        (Backend::NftNative, "LOG") => "nft_log",
        (Backend::NftNative, _) => return None,
        (_, "REDIRECT" | "TPROXY" | "CT" | "CONNMARK" | "MARK" | "REJECT" | "LOG") => {
            return Some(of_x_tables(name, is_ipv6));
        }
        _ => return None,
    };
    Some(module.to_owned())
}

fn of_x_tables(name: &str, is_ipv6: bool) -> String {
    match name {
        "tcp" | "udp" => "xt_tcpudp".to_owned(),
        "MARK" => "xt_mark".to_owned(),
        "CONNMARK" => "xt_connmark".to_owned(),
        "REJECT" if is_ipv6 => "ip6t_REJECT".to_owned(),
        "REJECT" => "ipt_REJECT".to_owned(),
        other => format!("xt_{other}"),
    }
}

/// The modules of iptables-legacy that this kernel neither has nor can load; `None` if that cannot be
/// found out, because this kernel's list of modules is not readable.
pub(crate) fn missing_legacy() -> Option<Vec<String>> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let directory = PathBuf::from("/lib/modules").join(release.trim());
    missing(&directory, &of_backend(Backend::IptablesLegacy))
}

fn missing(directory: &Path, modules: &[String]) -> Option<Vec<String>> {
    let list = |name: &str| fs::read_to_string(directory.join(name));
    // `modules.builtin` has one path a line, `modules.dep` a path and its dependencies.
    let available = list("modules.dep").ok()? + &list("modules.builtin").unwrap_or_default();
    let is_available = |module: &String| {
        let mut paths = available.lines().filter_map(|line| line.split(':').next());
        paths.any(|path| name_of(path) == Some(module.as_str()))
    };
    let is_loaded = |module: &String| Path::new("/sys/module").join(module).exists();
    let lacks = |module: &&String| !is_loaded(module) && !is_available(module);
    Some(modules.iter().filter(lacks).cloned().collect())
}

/// The module of a path such as `kernel/net/netfilter/xt_owner.ko.xz`.
fn name_of(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.split(".ko").next()
}

fn owned<'a>(names: impl Iterator<Item = &'a &'a str>) -> Vec<String> {
    names.map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_request_names_its_modules() {
        use Backend::{IptablesLegacy, IptablesNft, Netlink, NftNative};

        let tproxy = "add rule ip mangle ISTIO_TPROXY -p tcp -m tcp ! -d 127.0.0.1/32 -j TPROXY";
        let zone = "-A ISTIO_OUTPUT -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1";
        let reject = "add rule ip6 filter MESH_CNI_REJECT_IPV6 -p tcp --syn -j REJECT";
        let jump = "-A PREROUTING -p tcp -j ISTIO_INBOUND";
        let chain = "add chain ip nat OUTPUT { type nat hook output priority -100; }";
        for (backend, text, modules) in [
            (Netlink, tproxy, "nft_compat xt_TPROXY xt_tcpudp"),
            (NftNative, tproxy, "nft_tproxy"),
            (IptablesNft, zone, "nft_compat xt_CT xt_owner"),
            (IptablesLegacy, zone, "xt_CT xt_owner"),
            (NftNative, zone, "nft_ct"),
            (Netlink, reject, "ip6t_REJECT nft_compat"),
            (NftNative, reject, "nft_reject_ipv6"),
            (Netlink, jump, ""),
            (NftNative, chain, "nft_chain_nat"),
            (
                IptablesLegacy,
                "*mangle\n-A ISTIO_DIVERT -p tcp -j MARK\nCOMMIT",
                "ip6_tables ip6table_mangle xt_mark",
            ),
            (Netlink, "delete table ip mesh-cni-nat", ""),
        ] {
            let is_ipv6 = text.contains("ip6") || text.starts_with('*');
            let found = of_request(backend, is_ipv6, text);
            assert_eq!(found.join(" "), modules, "{backend}: {text}");
        }
    }

    #[test]
    fn a_module_is_missing_if_the_kernel_has_no_file_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let modules = ["no_such_a", "no_such_b", "no_such_c"].map(str::to_owned);
        assert_eq!(missing(directory.path(), &modules), None);
        let dep = "kernel/net/no_such_a.ko.xz: kernel/net/no_such_c.ko.xz\n";
        fs::write(directory.path().join("modules.dep"), dep).unwrap();
        let without_built_in = missing(directory.path(), &modules).unwrap();
        assert_eq!(without_built_in, ["no_such_b", "no_such_c"]);
        let built_in = "kernel/net/no_such_b.ko\n";
        fs::write(directory.path().join("modules.builtin"), built_in).unwrap();
        assert_eq!(missing(directory.path(), &modules).unwrap(), ["no_such_c"]);
    }
}
