//! An entry of another plugin is refused, replaced, or stays.

use std::collections::BTreeSet;

use mesh_cni_installer::{Chaining, Note, Refusal, Step, error_chain, plan_install};
use serde_json::{Value, json};

use super::members::{
    FILE, MODES, Member, istio, kuma, left, linkerd, list, node_with, ours, replaced, replacing,
    restoring, serving, with_files,
};
use crate::assert_snapshot;
use crate::fixture::{entry, installing, name_of, node, with_binary, written};

#[test]
fn a_list_with_the_plugin_of_a_served_mesh_is_refused() {
    let mut refusals = Vec::new();
    for member in [linkerd(), kuma()] {
        for chaining in MODES {
            let mut settings = serving(&[&istio(), &member]);
            settings.chaining = chaining;
            let refusal = plan_install(&settings, &node_with(&[&member])).unwrap_err();
            refusals.push(format!("{refusal}\nhint: {}", refusal.remedy()));
        }
    }
    assert_snapshot!(
        "peers-refused",
        "in every mode, with a remedy",
        refusals.join("\n")
    );
}

#[test]
fn the_plugin_of_another_mesh_stays_beside_ours() {
    let members = [istio(), linkerd(), kuma()];
    for (own, theirs) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
        let (own, theirs) = (&members[own], &members[theirs]);
        let settings = serving(&[own]);
        let state = node_with(&[theirs]);
        let text = written(&settings, &state, FILE);
        let chained = with_files(&[theirs], node(&[(FILE, &text)]));
        assert_eq!(plan_install(&settings, &chained).unwrap().steps, []);
        let (types, _) = left(&chained, &restoring(&[]));
        assert_eq!(types, ["calico", "portmap", theirs.peer.plugin_type()]);
    }
}

#[test]
fn a_mesh_that_is_not_served_is_not_replaced() {
    for (own, theirs) in [(istio(), linkerd()), (linkerd(), kuma()), (kuma(), istio())] {
        let mut settings = serving(&[&own]);
        settings.replace = BTreeSet::from([theirs.peer]);
        let refusal = plan_install(&settings, &node_with(&[&theirs])).unwrap_err();
        assert!(
            matches!(refusal, Refusal::PeerNotServed { .. }),
            "{refusal}"
        );
    }
}

#[test]
fn each_entry_is_replaced_in_one_edit() {
    assert_snapshot!(
        "linkerd-replaced",
        "the object `linkerd` as it is, the log level, and iptables-legacy for its mode; the entry is kept",
        installing(&replacing(&[&linkerd()]), &node_with(&[&linkerd()]))
    );
    assert_snapshot!(
        "kuma-replaced",
        "Kuma's log level and excluded namespaces; the entry is kept",
        installing(&replacing(&[&kuma()]), &node_with(&[&kuma()]))
    );
}

#[test]
fn settings_with_the_same_meaning_are_carried_over() {
    let cases = [
        (
            linkerd(),
            "/log_level",
            json!("trace"),
            "plugin_log_level",
            json!("warn"),
        ),
        (
            linkerd(),
            "/linkerd/iptables-mode",
            json!("nft"),
            "backend",
            json!("auto"),
        ),
        (
            linkerd(),
            "/linkerd/iptables-mode",
            json!("plain"),
            "backend",
            json!("auto"),
        ),
        (
            linkerd(),
            "/linkerd/iptables-mode",
            json!(""),
            "backend",
            Value::Null,
        ),
        (
            linkerd(),
            "/kubernetes",
            json!({"exclude_namespaces": ["a"]}),
            "exclude_namespaces",
            Value::Null,
        ),
        (
            kuma(),
            "/log_level",
            json!("off"),
            "plugin_log_level",
            json!("error"),
        ),
        (
            kuma(),
            "/log_level",
            json!("loud"),
            "plugin_log_level",
            Value::Null,
        ),
        (
            istio(),
            "/plugin_log_level",
            json!("warn"),
            "plugin_log_level",
            json!("warn"),
        ),
    ];
    for (mut member, at, value, field, expected) in cases {
        *member.entry.pointer_mut(at).unwrap() = value;
        let text = written(&replacing(&[&member]), &node_with(&[&member]), FILE);
        assert_eq!(ours(&text)[field], expected, "{at} {field}: {text}");
    }
}

#[test]
fn settings_that_cannot_be_carried_over_are_refused() {
    let mut simulating = linkerd();
    simulating.entry["linkerd"]["simulate"] = json!(true);
    let mut invalid = kuma();
    invalid.entry["kubernetes"]["exclude_namespaces"] = json!("kube-system");
    let disagreeing = [istio(), kuma()];
    let [one, other] = &disagreeing;
    let cases: [(&[&Member], _); 3] = [
        (&[&simulating], json!({"linkerd": {}})),
        (&[&invalid], json!({"exclude_namespaces": []})),
        (
            &[one, other],
            json!({"exclude_namespaces": [], "plugin_log_level": "info"}),
        ),
    ];
    let mut refusals = Vec::new();
    for (members, own) in cases {
        let state = node_with(members);
        let mut settings = replacing(members);
        let refusal = plan_install(&settings, &state).unwrap_err();
        refusals.push(format!(
            "{}\nhint: {}",
            error_chain(&refusal),
            refusal.remedy()
        ));
        let profiles: Vec<_> = members.iter().map(|member| member.profile).collect();
        let mut fields = own;
        fields["profile"] = json!(profiles);
        settings.entry = entry(fields);
        // What we set ourselves is not carried over, but a plugin that redirects nothing stays an error.
        let is_simulating = matches!(refusal, Refusal::PeerSimulates { .. });
        assert_eq!(plan_install(&settings, &state).is_err(), is_simulating);
    }
    assert_snapshot!(
        "peers-settings-refused",
        "each names the file, and the field or the plugin",
        refusals.join("\n")
    );
}

#[test]
fn a_replaced_entry_of_each_peer_needs_no_step() {
    for member in [istio(), linkerd(), kuma()] {
        let state = replaced(&[&member]);
        for settings in [replacing(&[&member]), serving(&[&member])] {
            let plan = plan_install(&settings, &state).unwrap();
            assert_eq!(plan.steps, [], "{}", member.peer);
        }
    }
}

#[test]
fn an_entry_that_an_agent_adds_again_is_replaced_again() {
    for member in [linkerd(), kuma()] {
        let state = replaced(&[&member]);
        let mut list: Value = serde_json::from_slice(&state.confs[0].text).unwrap();
        let plugins = list["plugins"].as_array_mut().unwrap();
        plugins.push(member.entry.clone());
        let again = with_files(&[&member], node(&[(FILE, &list.to_string())]));
        let text = written(&replacing(&[&member]), &again, FILE);
        ours(&text);
        let text = text.replace(' ', "");
        let kept = text
            .matches(&format!(r#""type":"{}""#, member.peer))
            .count();
        assert_eq!(kept, 1, "{text}");
    }
}

#[test]
fn each_entry_is_replaced_in_a_copy() {
    for member in [linkerd(), kuma()] {
        let mut settings = replacing(&[&member]);
        settings.chaining = Chaining::OwnedFirst;
        let plan = plan_install(&settings, &node_with(&[&member])).unwrap();
        let names: Vec<_> = plan.steps.iter().map(Step::to_string).collect();
        assert!(
            matches!(&names[..], [only] if only.starts_with("wrote /etc/cni/net.d/02-mesh-cni")),
            "{names:?}"
        );
        ours(&written(
            &settings,
            &node_with(&[&member]),
            "02-mesh-cni.conflist",
        ));
    }
}

#[test]
fn modes_without_a_list_of_their_own_cannot_replace() {
    for member in [linkerd(), kuma()] {
        for chaining in [Chaining::DropIn, Chaining::StandAlone] {
            let mut settings = replacing(&[&member]);
            settings.chaining = chaining;
            let refusal = plan_install(&settings, &node_with(&[&member])).unwrap_err();
            assert!(
                matches!(refusal, Refusal::PeerNotReplaceable { .. }),
                "{refusal}"
            );
        }
    }
}

#[test]
fn a_plugin_that_another_plugin_calls_cannot_be_replaced() {
    for member in [linkerd(), kuma()] {
        let nested: Value = serde_json::from_str(&list(&[&member])).unwrap();
        let multus = json!({"name": "m", "plugins": [{"type": "multus", "delegates": [nested]}]});
        let state = with_binary(node(&[("00-multus.conflist", &multus.to_string())]));
        for chaining in MODES {
            for mut settings in [serving(&[&member]), replacing(&[&member])] {
                settings.chaining = chaining;
                settings.owned_name = name_of("00-multus.conf-mesh-cni.conflist");
                let refusal = plan_install(&settings, &state).unwrap_err();
                assert!(matches!(refusal, Refusal::PeerNested { .. }), "{refusal}");
            }
        }
        plan_install(&serving(&[&istio()]), &state).unwrap();
    }
}

#[test]
fn a_note_names_the_kubeconfig_of_a_replaced_plugin() {
    let member = linkerd();
    let plan = plan_install(&replacing(&[&member]), &node_with(&[&member])).unwrap();
    let notes: Vec<_> = plan.notes.iter().map(Note::to_string).collect();
    assert_eq!(
        notes[1..],
        [
            "/etc/cni/net.d/ZZZ-linkerd-cni-kubeconfig contains a token of linkerd-cni, which mesh-cni does \
             not need: remove it with Linkerd CNI's DaemonSet"
        ]
    );
}
