//! Properties for generated input.

use mesh_cni_spec::{
    Change, CniArgs, CniResult, ConfList, Dns, Interface, IpConfig, NetConf, Route, SpecVersion,
    pass_through,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{Recorder, call};

/// Valid and invalid values.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "ADD",
            "CHECK",
            "DEL",
            "GC",
            "STATUS",
            "VERSION",
            "eth0",
            "c1",
            "/proc/self/ns/net",
            "1",
            "K8S_POD_NAME=a;;K8S_POD_NAMESPACE=b;=;x",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,20}",
        "[\\x00-\\x7f]{0,8}",
    ]
}

fn variable() -> impl Strategy<Value = String> {
    let names = vec![
        "CNI_COMMAND",
        "CNI_CONTAINERID",
        "CNI_NETNS",
        "CNI_IFNAME",
        "CNI_ARGS",
        "CNI_PATH",
        "CNI_NETNS_OVERRIDE",
        "TRACEPARENT",
    ];
    prop_oneof![8 => prop::sample::select(names).prop_map(str::to_owned), 1 => "[A-Z_]{1,9}"]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f32>().prop_map(|number| json!(number)),
        "\\PC{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "0.2.0",
            "0.4.0",
            "1.0.0",
            "1.1.0",
            "10.0.0.2/24",
            "fd00::1"
        ])
        .prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "cniVersion",
        "name",
        "type",
        "prevResult",
        "ips",
        "ip4",
        "ip6",
        "ip",
        "address",
        "routes",
        "dst",
        "interfaces",
        "dns",
        "mtu",
        "args",
        "cni.dev/valid-attachments",
        "plugins",
        "x",
    ]);
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|fields| {
                let fields = fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value));
                Value::Object(fields.collect::<Map<_, _>>())
            }),
        ]
    })
}

fn stdin() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        json_value().prop_map(|value| value.to_string().into_bytes()),
        (prop::sample::select(SpecVersion::ALL), json_value()).prop_map(|(version, prev)| {
            let conf = json!({"cniVersion": version.as_str(), "name": "n", "prevResult": prev});
            conf.to_string().into_bytes()
        }),
    ]
}

fn v4() -> impl Strategy<Value = String> {
    (any::<[u8; 4]>(), 0..=32_u8)
        .prop_map(|(bytes, length)| format!("{}/{length}", std::net::Ipv4Addr::from(bytes)))
}

fn v6() -> impl Strategy<Value = String> {
    (any::<[u8; 16]>(), 0..=128_u8)
        .prop_map(|(bytes, length)| format!("{}/{length}", std::net::Ipv6Addr::from(bytes)))
}

fn interface() -> impl Strategy<Value = Interface> {
    let text = || prop::option::of("[a-z0-9:/]{1,9}");
    (
        ("[a-z]{1,9}", text(), text(), text(), text()),
        prop::option::of(any::<u32>()),
    )
        .prop_map(
            |((name, mac, sandbox, socket_path, pci_id), mtu)| Interface {
                name,
                mac,
                mtu,
                sandbox,
                socket_path,
                pci_id,
                extra: Map::new(),
            },
        )
}

fn route() -> impl Strategy<Value = Route> {
    let number = || prop::option::of(any::<u32>());
    let gateway = prop::option::of(any::<std::net::IpAddr>());
    let numbers = (number(), number(), number(), number(), number());
    (prop_oneof![v4(), v6()], gateway, numbers).prop_map(
        |(dst, gw, (mtu, advmss, priority, table, scope))| Route {
            dst: dst.parse().unwrap(),
            gw,
            mtu,
            advmss,
            priority,
            table,
            scope,
            extra: Map::new(),
        },
    )
}

fn ip() -> impl Strategy<Value = IpConfig> {
    let gateway = prop::option::of(any::<std::net::IpAddr>());
    (prop_oneof![v4(), v6()], gateway, prop::option::of(0..9_u32)).prop_map(
        |(address, gateway, interface)| IpConfig {
            address: address.parse().unwrap(),
            gateway,
            interface,
            extra: Map::new(),
        },
    )
}

fn result() -> impl Strategy<Value = CniResult> {
    let list = |text| prop::collection::vec(text, 0..3);
    let dns = (
        list("[a-z.]{1,9}"),
        list("[a-z.]{1,9}"),
        list("[a-z.]{1,9}"),
        prop::option::of("[a-z]{1,9}"),
    );
    (
        prop::collection::vec(interface(), 0..4),
        prop::collection::vec(ip(), 0..4),
        prop::collection::vec(route(), 0..4),
        dns,
    )
        .prop_map(
            |(interfaces, ips, routes, (nameservers, search, options, domain))| CniResult {
                interfaces,
                ips,
                routes,
                dns: Dns {
                    nameservers,
                    domain,
                    search,
                    options,
                    extra: Map::new(),
                },
                extra: Map::new(),
            },
        )
}

proptest! {
    /// No environment and stdin cause a panic. stdout contains at most one document, which is an error
    /// object if and only if the exit code is not zero.
    #[test]
    fn at_most_one_document_that_agrees_with_the_exit_code(
        pairs in prop::collection::vec((variable(), value()), 0..9),
        is_complete in any::<bool>(),
        stdin in stdin(),
    ) {
        let mut pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if is_complete {
            pairs.extend([("CNI_CONTAINERID", "c1"), ("CNI_NETNS", "/n"), ("CNI_IFNAME", "eth0")]);
        }
        let output = call(&Recorder::default(), &pairs, &stdin);
        let documents: Vec<Value> = serde_json::Deserializer::from_str(&output.stdout)
            .into_iter::<Value>()
            .collect::<Result<_, _>>()
            .expect("stdout is JSON");
        prop_assert!(documents.len() <= 1, "{}", output.stdout);
        let is_error = documents.first().is_some_and(|document| document.get("msg").is_some() && document.get("code").is_some());
        prop_assert_eq!(output.exit != 0, is_error, "{:?}", output);
        if is_error {
            let msg = output.msg();
            prop_assert!(!msg.is_empty() && !msg.chars().any(char::is_control), "{}", msg);
            prop_assert!(!msg.contains("panicked"), "{}", msg);
        }
    }

    #[test]
    fn all_arguments_are_accepted(text in "[A-Z=; ]{0,40}|\\PC{0,40}") {
        let args = CniArgs::parse(&text);
        let parts = text.split(';').filter(|part| !part.is_empty()).count();
        prop_assert_eq!(args.iter().count() + args.malformed().len(), parts, "nothing is lost");
        for (key, _) in args.iter() {
            prop_assert!(args.get(key).is_some());
        }
        let again: Vec<String> = args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let again = CniArgs::parse(&again.join(";"));
        prop_assert!(again.iter().eq(args.iter()), "{}", text);
    }

    #[test]
    fn configurations_never_panic(stdin in stdin()) {
        if let Ok(conf) = NetConf::parse(&stdin) {
            let whole: Value = serde_json::from_slice(&stdin).unwrap();
            prop_assert_eq!(Value::Object(conf.raw.clone()), whole, "all keys are kept");
            prop_assert!(conf.decoded_prev_result().is_ok() || conf.prev_result.is_some());
        }
    }

    /// Writing in any version and reading again loses only what `losses` lists.
    #[test]
    fn conversions_lose_only_what_losses_lists(
        result in result(),
        version in prop::sample::select(SpecVersion::ALL),
    ) {
        let written = result.to_value(version);
        let back = CniResult::from_value(&written).unwrap();
        prop_assert_eq!(back.to_value(version), written, "a second conversion changes nothing");
        prop_assert!(back.losses(version).is_empty());
        if result.losses(version).is_empty() && version >= SpecVersion::V0_3_0 {
            prop_assert_eq!(back, result);
        } else if !result.losses(version).is_empty() {
            prop_assert_ne!(back, result);
        }
    }

    #[test]
    fn passing_through_within_a_shape_changes_only_the_version(
        prev in json_value(),
        from in prop::sample::select(SpecVersion::ALL),
        to in prop::sample::select(SpecVersion::ALL),
    ) {
        let Value::Object(mut fields) = prev else { return Ok(()) };
        fields.insert("cniVersion".to_owned(), from.as_str().into());
        let passed = pass_through(&Value::Object(fields.clone()), to);
        if from.shape() == to.shape() {
            fields.insert("cniVersion".to_owned(), to.as_str().into());
            prop_assert_eq!(passed.unwrap().to_string(), Value::Object(fields).to_string());
        } else if let Ok(passed) = passed {
            prop_assert_eq!(&passed["cniVersion"], to.as_str());
        }
    }

    /// Our entry is added once, and all others are unchanged.
    #[test]
    fn lists_keep_other_entries(
        types in prop::collection::vec(prop::sample::select(vec!["a", "b", "ours"]), 1..7),
        extra in json_value(),
    ) {
        let plugins: Vec<Value> = types.iter().map(|name| json!({"type": name, "x": extra})).collect();
        let text = json!({"extra": extra, "name": "n", "plugins": plugins}).to_string();
        let mut list = ConfList::parse(&text).unwrap();
        let others = |list: &ConfList| -> Vec<Value> {
            list.plugins().iter().filter(|plugin| plugin["type"] != "ours").cloned().collect()
        };
        let before = others(&list);
        list.set_chained(&json!({"type": "ours"})).unwrap();
        prop_assert_eq!(others(&list), before.clone());
        prop_assert_eq!(list.plugins().iter().filter(|plugin| plugin["type"] == "ours").count(), 1);
        prop_assert_eq!(list.set_chained(&json!({"type": "ours"})).unwrap(), Change::Unchanged);
        let again = ConfList::parse(list.text()).unwrap();
        prop_assert_eq!(again.plugins(), list.plugins());
        list.remove("ours");
        prop_assert_eq!(others(&list), before);
        prop_assert!(!list.contains("ours"));
    }

    #[test]
    fn parsing_lists_never_panics(value in json_value(), text in "\\PC{0,40}") {
        drop(ConfList::parse(&text));
        drop(ConfList::from_conf(&text));
        drop(ConfList::parse(value.to_string()));
        drop(ConfList::from_conf(value.to_string()));
    }
}
