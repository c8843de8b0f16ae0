//! Carries the settings of a replaced entry over to ours.

use std::path::Path;

use mesh_cni_plan::{MeshConf, Profile};
use serde_json::{Map, Value, json};

use super::Peer;
use crate::{Entry, Refusal};

/// Our entry with the settings of replaced entries that it does not set itself. `path` is their file.
pub(crate) fn entry_with<'a>(
    ours: &Entry,
    replaced: impl IntoIterator<Item = (Peer, &'a Value)>,
    path: &Path,
) -> Result<Entry, Refusal> {
    let mut defaults = Map::new();
    let mut entry = ours.clone();
    for (peer, theirs) in replaced {
        let linkerd = theirs.get("linkerd").unwrap_or(&Value::Null);
        if peer == Peer::LinkerdCni && linkerd.get("simulate") == Some(&Value::Bool(true)) {
            let path = path.to_owned();
            return Err(Refusal::PeerSimulates { path });
        }
        if peer == Peer::IstioCni && theirs.get("ambient_enabled") == Some(&Value::Bool(true)) {
            check_ambient(ours, theirs, path)?;
        }
        for (field, value) in translated(peer, theirs) {
            if ours.has(&field) {
                continue;
            }
            let other = defaults.insert(field.clone(), value.clone());
            if other.is_some_and(|other| other != value) {
                let path = path.to_owned();
                return Err(Refusal::PeersDisagree { path, field });
            }
        }
        entry = ours
            .with_defaults(&defaults)
            .map_err(|source| Refusal::PeerSettings {
                path: path.to_owned(),
                peer,
                source,
            })?;
    }
    Ok(entry)
}

/// Refuses to replace Istio CNI in ambient mode by an entry that would leave out some of its pods. Its selectors
/// are not carried over, because our agent needs them too.
fn check_ambient(ours: &Entry, theirs: &Value, path: &Path) -> Result<(), Refusal> {
    let path = path.to_owned();
    if !ours.conf().profile.contains(Profile::Ambient) {
        return Err(Refusal::PeerServesAmbient { path });
    }
    let Some(selectors) = theirs.get("enablement_selectors") else {
        return Ok(());
    };
    let ambient = json!({"enablement_selectors": selectors});
    let fields = Map::from_iter([("ambient".to_owned(), ambient)]);
    let decoded = MeshConf::decode(&fields).map_err(|source| Refusal::PeerSettings {
        path: path.clone(),
        peer: Peer::IstioCni,
        source,
    })?;
    let selectors = |conf: &MeshConf| conf.ambient().enablement_selectors.clone();
    if selectors(&decoded.conf) != selectors(ours.conf()) {
        return Err(Refusal::PeerSelectsOthers { path });
    }
    Ok(())
}

/// The settings of a peer's entry that have the same meaning in ours. The others belong to its own agent.
fn translated(peer: Peer, theirs: &Value) -> Map<String, Value> {
    let nested = |object: &str, name: &str| theirs.get(object)?.get(name).cloned();
    let level = theirs.get("plugin_log_level").or(theirs.get("log_level"));
    let excluded = theirs.get("exclude_namespaces").cloned();
    let excluded = excluded.or_else(|| nested("kubernetes", "exclude_namespaces"));
    let backend = match peer {
        Peer::IstioCni => (theirs.get("native_nftables") == Some(&Value::Bool(true)))
            .then(|| Value::from("nft-native")),
        Peer::LinkerdCni => nested("linkerd", "iptables-mode").and_then(|mode| backend_of(&mode)),
        Peer::KumaCni => None,
    };
    let linkerd = theirs.get("linkerd").cloned();
    let fields = [
        (
            "plugin_log_level",
            level.and_then(|level| log_level(peer, level)),
        ),
        (
            "exclude_namespaces",
            excluded.filter(|_| peer != Peer::LinkerdCni),
        ),
        ("backend", backend),
        ("linkerd", linkerd.filter(|_| peer == Peer::LinkerdCni)),
    ];
    fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// Our level for a peer's; `None` if it is neither one of ours nor equivalent to one.
fn log_level(peer: Peer, theirs: &Value) -> Option<Value> {
    let ours = match (peer, theirs.as_str()?) {
        (Peer::LinkerdCni, level) if !matches!(level, "debug" | "info") => "warn",
        (Peer::KumaCni, "off") => "error",
        (_, level) => level,
    };
    let single = Map::from_iter([("plugin_log_level".to_owned(), Value::from(ours))]);
    MeshConf::decode(&single).is_ok().then(|| Value::from(ours))
}

/// The back end that writes what this `iptables-mode` of Linkerd writes; `None` if it is not one.
fn backend_of(mode: &Value) -> Option<Value> {
    match mode.as_str()? {
        "nft" | "plain" => Some(Value::from("auto")),
        "legacy" => Some(Value::from("iptables-legacy")),
        _ => None,
    }
}
