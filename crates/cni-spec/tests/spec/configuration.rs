//! The network configuration on stdin: fields and errors.

use std::fmt::Write;

use mesh_cni_spec::{CniError, NetConf, SpecVersion};
use serde::Deserialize;

fn error(text: &str) -> CniError {
    NetConf::parse(text.as_bytes()).expect_err(text)
}

/// Each error contains the field and its value, or line and column.
#[test]
fn errors() {
    let texts = [
        "",
        "nope",
        "{\n  \"name\": \"a\",\n}",
        "{} {}",
        "[1]",
        "\"text\"",
        "{}",
        r#"{"name":null}"#,
        r#"{"name":5}"#,
        r#"{"name":""}"#,
        r#"{"name":"_a"}"#,
        r#"{"name":"a b"}"#,
        r#"{"name":"a","cniVersion":1.0}"#,
        r#"{"name":"a","cniVersion":"1.0"}"#,
        r#"{"name":"a","cniVersion":"2.0.0"}"#,
        r#"{"name":"a","type":{}}"#,
        r#"{"name":"a","prevResult":"x"}"#,
        r#"{"name":"a","runtimeConfig":[]}"#,
        r#"{"name":"a","args":1}"#,
        r#"{"name":"a","capabilities":{"ips":"yes"}}"#,
        r#"{"name":"a","dns":{"nameservers":["1.1.1.1",2]}}"#,
        r#"{"name":"a","ipam":"host-local"}"#,
        r#"{"name":"a","cni.dev/valid-attachments":{}}"#,
        r#"{"name":"a","cni.dev/valid-attachments":[{"containerID":"c"}]}"#,
        r#"{"name":"a","cni.dev/attachments":[{"containerID":"c","ifname":"eth0"},{"containerID":"/","ifname":"e"}]}"#,
    ];
    let mut lines = String::new();
    for text in texts {
        let error = error(text);
        let folded = text.replace('\n', "\\n");
        writeln!(lines, "{folded}\n  {} {}", error.code(), error.msg()).unwrap();
        if !error.details().is_empty() {
            writeln!(lines, "  {}", error.details()).unwrap();
        }
    }
    insta::with_settings!({
        snapshot_path => "../snapshots", prepend_module_to_snapshot => false,
        description => "each invalid configuration with its error code (6: not a JSON object, 7: an invalid field, 1: an unsupported version); the error must contain field and value, or line and column",
    }, {
        insta::assert_snapshot!("configuration-refusals", lines);
    });
}

#[test]
fn a_complete_configuration() {
    let conf = NetConf::parse(
        br#"{"cniVersion":"1.1.0","name":"net","type":"x","future":{"b":1.50,"a":-0},
            "runtimeConfig":{"portMappings":[]},"args":{"cni":{"ips":[]}},
            "capabilities":{"portMappings":true},"dns":{"nameservers":["10.0.0.10"]},
            "ipam":{"type":"static"},"prevResult":{"cniVersion":"1.1.0","n":1.0},
            "cni.dev/valid-attachments":[{"containerID":"c","ifname":"eth0","more":1}]}"#,
    )
    .unwrap();
    assert_eq!(conf.cni_version, SpecVersion::V1_1_0);
    assert_eq!(
        (conf.name.as_str(), conf.plugin_type.as_deref()),
        ("net", Some("x"))
    );
    assert_eq!(
        conf.prev_result.as_ref().unwrap().to_string(),
        r#"{"cniVersion":"1.1.0","n":1.0}"#
    );
    assert!(conf.runtime_config.contains_key("portMappings"));
    assert!(conf.args.contains_key("cni"));
    assert_eq!(conf.capabilities.get("portMappings"), Some(&true));
    assert_eq!(conf.dns.unwrap().nameservers, ["10.0.0.10"]);
    assert!(conf.ipam.unwrap().contains_key("type"));
    assert_eq!(
        conf.valid_attachments.unwrap()[0].container_id.as_str(),
        "c"
    );
    assert_eq!(
        conf.raw["future"].to_string(),
        r#"{"b":1.50,"a":-0}"#,
        "order and digits are kept"
    );
}

#[test]
fn null_counts_as_absent() {
    let bare = NetConf::parse(br#"{"name":"net"}"#).unwrap();
    let nulls = NetConf::parse(
        br#"{"name":"net","cniVersion":null,"prevResult":null,"runtimeConfig":null,"args":null,
            "capabilities":null,"dns":null,"ipam":null,"cni.dev/valid-attachments":null}"#,
    )
    .unwrap();
    assert_eq!(
        NetConf {
            raw: bare.raw.clone(),
            ..nulls
        },
        bare
    );
    assert_eq!(bare.cni_version, SpecVersion::V0_1_0, "the default version");
    assert_eq!(bare.valid_attachments, None, "unknown");
}

#[test]
fn valid_attachments_have_two_names() {
    let conf =
        |keys: &str| NetConf::parse(format!(r#"{{"name":"net",{keys}}}"#).as_bytes()).unwrap();
    let entry = r#"[{"containerID":"c","ifname":"eth0"}]"#;
    let new = conf(&format!(r#""cni.dev/valid-attachments":{entry}"#));
    let old = conf(&format!(r#""cni.dev/attachments":{entry}"#));
    assert_eq!(new.valid_attachments, old.valid_attachments);
    assert_eq!(new.valid_attachments.unwrap().len(), 1);
    let empty = conf(r#""cni.dev/valid-attachments":[]"#);
    assert_eq!(
        empty.valid_attachments.unwrap(),
        [],
        "no attachment is valid"
    );
}

#[test]
fn tolerant_parsing_leaves_invalid_fields_empty() {
    let text = br#"{"name":"net","dns":5,"ipam":6,"args":{"a":1}}"#;
    let (conf, errors) = NetConf::parse_tolerant(text).unwrap();
    assert_eq!((conf.dns, conf.ipam), (None, None));
    assert_eq!(conf.args.len(), 1);
    let errors: Vec<&str> = errors.iter().map(CniError::msg).collect();
    assert_eq!(
        errors,
        [
            "field `dns` is `5`, expected an object",
            "field `ipam` is `6`, expected an object"
        ]
    );
}

#[derive(Debug, Deserialize)]
struct Own {
    log_level: Option<String>,
    #[serde(default)]
    ports: Vec<u16>,
    must: bool,
}

#[test]
fn own_fields() {
    let own = |fields: &str| {
        let text = format!(r#"{{"name":"net","zero":0,{fields}}}"#);
        NetConf::parse(text.as_bytes()).unwrap().decode::<Own>()
    };
    let good = own(r#""log_level":"debug","must":true,"ports":[1,65535]"#).unwrap();
    assert_eq!(
        (good.log_level.as_deref(), good.ports, good.must),
        (Some("debug"), vec![1, 65535], true)
    );
    let errors = [
        own(r#""log_level":5,"must":true"#),
        own(r#""must":"yes","ports":[1]"#),
        own(r#""must":true,"ports":[70000],"later":1"#),
        own(r#""ports":[]"#),
    ];
    let errors: Vec<String> = errors.map(|error| error.unwrap_err().to_string()).into();
    insta::assert_snapshot!(errors.join("\n"), @r#"
    field `log_level` is `5`: invalid type: number, expected a string (CNI error code 7)
    field `must` is `"yes"`: invalid type: string "yes", expected a boolean (CNI error code 7)
    field `ports` is `[70000]`: invalid number (CNI error code 7)
    invalid network configuration: missing field `must` (CNI error code 7)
    "#);
}

#[test]
fn a_missing_previous_result_has_a_remedy() {
    let conf = NetConf::parse(br#"{"name":"net","prevResult":null}"#).unwrap();
    let error = conf.required_prev_result().unwrap_err();
    assert_eq!(error.code().number(), 7);
    assert!(
        error.details().contains("network configuration list"),
        "{}",
        error.details()
    );
    assert_eq!(conf.decoded_prev_result().unwrap(), None);
}

#[test]
fn previous_addresses_are_read_from_an_otherwise_invalid_result() {
    let addresses = |prev: &str| {
        let conf = format!(r#"{{"name":"net","cniVersion":"1.0.0","prevResult":{prev}}}"#);
        let read = NetConf::parse(conf.as_bytes()).unwrap().prev_addresses();
        let texts = read.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        texts.map_err(|error| (error.code().number(), error.msg().to_owned()))
    };
    let read = |texts: &[&str]| Ok(texts.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(addresses("null"), read(&[]));
    assert_eq!(addresses(r#"{"ips":"none","routes":3}"#), read(&[]));
    assert_eq!(
        addresses(
            r#"{"ips":[{"address":"10.0.0.5/24","interface":-1},{},{"address":"fd00::5/64"}]}"#
        ),
        read(&["10.0.0.5", "fd00::5"])
    );
    assert_eq!(
        addresses(r#"{"ip4":{"ip":"10.0.0.5/24","gateway":7},"ip6":{"ip":"fd00::5/64"}}"#),
        read(&["10.0.0.5", "fd00::5"])
    );
    let wrong = addresses(r#"{"ips":[{"address":"10.0.0.5"}]}"#).unwrap_err();
    assert_eq!(wrong.0, 7);
    assert!(
        wrong.1.contains("`prevResult.ips[0].address`"),
        "{}",
        wrong.1
    );
}

#[test]
fn a_previous_result_has_the_version_of_the_configuration() {
    let conf = NetConf::parse(
        br#"{"name":"net","cniVersion":"0.4.0","prevResult":{"ips":[{"version":"6","address":"fd00::2/64"}]}}"#,
    )
    .unwrap();
    let result = conf.decoded_prev_result().unwrap().unwrap();
    assert!(result.ips[0].address.is_ipv6());
    let wrong =
        br#"{"name":"net","cniVersion":"0.4.0","prevResult":{"ips":[{},{"address":"fd00::2"}]}}"#;
    let error = NetConf::parse(wrong)
        .unwrap()
        .decoded_prev_result()
        .unwrap_err();
    assert!(
        error
            .msg()
            .contains("`prevResult.ips[0].address` is missing"),
        "{}",
        error.msg()
    );
}
