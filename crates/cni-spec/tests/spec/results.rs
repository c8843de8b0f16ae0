//! Results of every version and their conversion.

use std::fmt::Write;

use ipnetwork::IpNetwork;
use mesh_cni_spec::{CniResult, ResultShape, SpecVersion, pass_through};
use serde_json::{Value, json};

/// A result with every key of its version, and an unknown one at each level.
fn full(version: SpecVersion) -> Value {
    let dns = json!({
        "nameservers": ["10.96.0.10"], "domain": "a.local", "search": ["b.local", "c.local"],
        "options": ["ndots:5"], "dnsFuture": parsed("1.50"),
    });
    let mut result = match version.shape() {
        ResultShape::PerFamily => json!({
            "ip4": {
                "ip": "10.0.0.2/24", "gateway": "10.0.0.1", "ipFuture": 1,
                "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1", "routeFuture": 2}, {"dst": "10.1.0.0/16"}],
            },
            "ip6": {"ip": "fd00::2/64", "routes": [{"dst": "::/0", "gw": "fd00::1"}]},
        }),
        ResultShape::VersionedIps | ResultShape::PlainIps => json!({
            "interfaces": [
                {"name": "cni0", "mac": "0a:58:0a:00:00:01"},
                {"name": "eth0", "mac": "0a:58:0a:00:00:02", "sandbox": "/var/run/netns/c1", "interfaceFuture": []},
            ],
            "ips": [
                {"interface": 1, "address": "10.0.0.2/24", "gateway": "10.0.0.1", "ipFuture": 1},
                {"interface": 1, "address": "10.0.1.2/24"},
                {"interface": 1, "address": "fd00::2/64", "gateway": "fd00::1"},
            ],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1", "routeFuture": 2}, {"dst": "::/0"}],
        }),
    };
    result["cniVersion"] = version.as_str().into();
    result["dns"] = dns;
    result["future"] = parsed(r#"{"z": 1e-3, "a": null}"#);
    if version.shape() == ResultShape::VersionedIps {
        for (ip, family) in [(0, "4"), (1, "4"), (2, "6")] {
            result["ips"][ip]["version"] = family.into();
        }
    }
    if version >= SpecVersion::V1_1_0 {
        result["interfaces"][1]["mtu"] = 1450.into();
        result["interfaces"][1]["socketPath"] = "/run/vhost.sock".into();
        result["interfaces"][1]["pciID"] = "0000:04:00.1".into();
        for (key, number) in [
            ("mtu", 1400),
            ("advmss", 1360),
            ("priority", 100),
            ("table", 254),
            ("scope", 0),
        ] {
            result["routes"][0][key] = number.into();
        }
    }
    result
}

/// JSON whose numbers keep their digits.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Each version's full result in each version's shape.
#[test]
fn every_conversion() {
    for from in SpecVersion::ALL {
        let result = CniResult::from_value(&full(*from)).unwrap();
        let mut text = String::new();
        for to in SpecVersion::ALL {
            let losses = result.losses(*to).join(", ");
            let value = serde_json::to_string_pretty(&result.to_value(*to)).unwrap();
            writeln!(text, "# {from} -> {to}\nlost: {losses}\n{value}").unwrap();
        }
        insta::with_settings!({
            snapshot_path => "../snapshots", prepend_module_to_snapshot => false,
            description => "one version's result in the shape of all seven: ip4/ip6 before 0.3.0, `version` in ips up to 0.4.0, mtu/socketPath/pciID and advmss/priority/table/scope only in 1.1.0; everything lost must be listed after `lost:`, and every *Future key must remain if the version has its level",
        }, {
            insta::assert_snapshot!(format!("result-from-{from}"), text);
        });
    }
}

/// Nothing is lost in the result's own version.
#[test]
fn the_own_version_is_lossless() {
    for version in SpecVersion::ALL {
        let value = full(*version);
        let result = CniResult::from_value(&value).unwrap();
        assert_eq!(result.losses(*version), [""; 0]);
        assert_eq!(result.to_value(*version), value, "{version}");
    }
}

/// A conversion to a newer version and back loses nothing.
#[test]
fn a_newer_version_and_back_is_lossless() {
    for from in SpecVersion::ALL {
        for via in SpecVersion::ALL.iter().filter(|via| *via >= from) {
            let up = CniResult::from_value(&full(*from)).unwrap().to_value(*via);
            let back = CniResult::from_value(&up).unwrap();
            assert_eq!(back.to_value(*from), full(*from), "{from} via {via}");
            assert!(back.losses(*from).is_empty(), "{from} via {via}");
        }
    }
}

/// A conversion to any version and back loses something if and only if `losses` lists it.
#[test]
fn any_version_and_back_loses_only_what_losses_lists() {
    for from in SpecVersion::ALL {
        for via in SpecVersion::ALL {
            let result = CniResult::from_value(&full(*from)).unwrap();
            let back = CniResult::from_value(&result.to_value(*via)).unwrap();
            let is_same = back.to_value(*from) == full(*from);
            assert_eq!(is_same, result.losses(*via).is_empty(), "{from} via {via}");
        }
    }
}

/// A key that the version does not define is unknown: it is kept, but not validated or decoded.
#[test]
fn newer_keys_in_older_results_are_unknown_keys() {
    let old = json!({
        "cniVersion": "0.4.0",
        "interfaces": [{"name": "eth0", "mtu": "large"}],
        "routes": [{"dst": "0.0.0.0/0", "scope": "link"}],
    });
    let result = CniResult::from_value(&old).unwrap();
    assert_eq!(result.interfaces[0].mtu, None);
    assert_eq!(result.to_value(SpecVersion::V0_4_0), old);
}

/// Otherwise a version that defines the key would read the value as its own, or refuse it.
#[test]
fn unknown_keys_that_a_version_defines_are_left_out_of_it() {
    let old = json!({
        "cniVersion": "0.2.0",
        "interfaces": [{"name": 7}],
        "later": 1,
        "ip4": {"ip": "10.0.0.2/24", "address": 1, "routes": [{"dst": "0.0.0.0/0", "scope": "link"}]},
        "dns": {"domain": "a", "later": 2},
    });
    let result = CniResult::from_value(&old).unwrap();
    assert_eq!(result.losses(SpecVersion::V0_2_0), Vec::<String>::new());
    let written = result.to_value(SpecVersion::V1_1_0);
    assert_eq!(written["later"], 1);
    assert_eq!(written["dns"]["later"], 2);
    assert_eq!(written.get("interfaces"), None);
    assert_eq!(written["ips"][0]["address"], "10.0.0.2/24");
    let mut losses = result.losses(SpecVersion::V1_1_0);
    losses.sort();
    assert_eq!(losses, ["interfaces", "ips[0].address", "routes[0].scope"]);
    assert!(CniResult::from_value(&written).is_ok(), "{written}");
}

#[test]
fn the_version_of_a_result_without_one_is_guessed() {
    let per_family = CniResult::from_value(&json!({"ip4": {"ip": "10.0.0.2/24"}})).unwrap();
    let lists =
        CniResult::from_value(&json!({"cniVersion": "", "ips": [{"address": "10.0.0.2/24"}]}));
    assert_eq!(per_family, lists.unwrap());
    let as_old = CniResult::from_value_as(&json!({"ips": []}), SpecVersion::V0_2_0).unwrap();
    assert!(
        as_old.extra.contains_key("ips"),
        "0.2.0 does not define this key"
    );
}

#[test]
fn errors_contain_path_and_value() {
    let cases = [
        json!([]),
        json!({"cniVersion": 1}),
        json!({"cniVersion": "7.0.0"}),
        json!({"cniVersion": "1.0.0", "ips": {}}),
        json!({"cniVersion": "1.0.0", "ips": [1]}),
        json!({"cniVersion": "1.0.0", "ips": [{}]}),
        json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2"}]}),
        json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/33"}]}),
        json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/255.255.255.0"}]}),
        json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24", "gateway": "there"}]}),
        json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24", "interface": -1}]}),
        json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24", "interface": 1.5}]}),
        json!({"cniVersion": "1.0.0", "interfaces": [{"mac": "x"}]}),
        json!({"cniVersion": "1.0.0", "routes": [{"dst": "default"}]}),
        json!({"cniVersion": "1.0.0", "dns": {"search": "a.local"}}),
        json!({"cniVersion": "1.1.0", "interfaces": [{"name": "e", "mtu": "1500"}]}),
        json!({"cniVersion": "1.1.0", "routes": [{"dst": "::/0", "table": 4_294_967_296_u64}]}),
        json!({"cniVersion": "0.2.0", "ip4": {"ip": "fd00::2/64"}}),
        json!({"cniVersion": "0.2.0", "ip6": {"gateway": "fd00::1"}}),
    ];
    let mut text = String::new();
    for case in cases {
        let error = CniResult::from_value(&case).unwrap_err();
        writeln!(
            text,
            "{case}\n  {} {} {}",
            error.code(),
            error.msg(),
            error.details()
        )
        .unwrap();
    }
    insta::with_settings!({
        snapshot_path => "../snapshots", prepend_module_to_snapshot => false,
        description => "invalid results: code 1 for an unknown version, else code 7 with the path of the field, its value and the expected form",
    }, {
        insta::assert_snapshot!("result-refusals", text);
    });
}

/// Within a shape only `cniVersion` changes. The order, the digits of numbers, unknown keys and
/// invalid fields remain.
#[test]
fn pass_through_is_verbatim_within_a_shape() {
    let tail =
        r#""z":1.0,"a":[1.50,-0,18446744073709551616,0.00001],"ips":"odd","dns":{},"x":null}"#;
    for from in SpecVersion::ALL {
        for to in SpecVersion::ALL
            .iter()
            .filter(|to| to.shape() == from.shape())
        {
            for version in [format!(r#""cniVersion":"{from}","#), String::new()] {
                let prev: Value = serde_json::from_str(&format!("{{{version}{tail}")).unwrap();
                let out = pass_through(&prev, *to).unwrap().to_string();
                assert_eq!(out, format!(r#"{{"cniVersion":"{to}",{tail}"#));
            }
        }
    }
    // The only exception: serde_json adds a sign to exponents.
    let prev: Value = serde_json::from_str(r#"{"cniVersion":"1.0.0","a":[1E5,1e-5]}"#).unwrap();
    let out = pass_through(&prev, SpecVersion::V1_0_0)
        .unwrap()
        .to_string();
    assert_eq!(out, r#"{"cniVersion":"1.0.0","a":[1e+5,1e-5]}"#);
    let prev: Value = serde_json::from_str(r#"{"a":1,"cniVersion":"0.3.0","b":2}"#).unwrap();
    let out = pass_through(&prev, SpecVersion::V0_4_0)
        .unwrap()
        .to_string();
    assert_eq!(
        out, r#"{"a":1,"cniVersion":"0.4.0","b":2}"#,
        "the version keeps its position"
    );
}

#[test]
fn pass_through_converts_between_shapes() {
    for from in SpecVersion::ALL {
        for to in SpecVersion::ALL
            .iter()
            .filter(|to| to.shape() != from.shape())
        {
            let expected = CniResult::from_value(&full(*from)).unwrap().to_value(*to);
            assert_eq!(
                pass_through(&full(*from), *to).unwrap(),
                expected,
                "{from} -> {to}"
            );
        }
    }
}

#[test]
fn pass_through_keeps_newer_keys_in_1_0() {
    let out = pass_through(&full(SpecVersion::V1_1_0), SpecVersion::V1_0_0).unwrap();
    assert_eq!(
        out["interfaces"][1]["mtu"], 1450,
        "same shape, so unchanged"
    );
}

#[test]
fn pass_through_errors() {
    for (prev, code, expected) in [
        (json!("text"), 7, "`prevResult` is `\"text\"`"),
        (
            json!({"cniVersion": "9.9.9"}),
            1,
            "`prevResult.cniVersion` is `9.9.9`",
        ),
        (
            json!({"cniVersion": 1}),
            7,
            "`prevResult.cniVersion` is `1`",
        ),
        (
            json!({"cniVersion": "0.2.0", "ip4": {}}),
            7,
            "`prevResult.ip4.ip` is missing",
        ),
    ] {
        let error = pass_through(&prev, SpecVersion::V1_0_0).unwrap_err();
        assert_eq!(error.code().number(), code);
        let whole = format!("{} {}", error.msg(), error.details());
        assert!(whole.contains(expected), "{whole}");
    }
}

#[test]
fn routes_without_an_address_of_their_family_are_lost_before_0_3_0() {
    let mut result = CniResult::default();
    let dst: IpNetwork = "::/0".parse().unwrap();
    result.routes.push(mesh_cni_spec::Route::new(dst));
    assert_eq!(result.losses(SpecVersion::V0_2_0), ["routes[0]"]);
    assert_eq!(
        result.to_value(SpecVersion::V0_2_0),
        json!({"cniVersion": "0.2.0"})
    );
    assert!(result.losses(SpecVersion::V0_3_0).is_empty());
}
