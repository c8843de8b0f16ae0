//! Linkerd's rules are those of `linkerd2-proxy-init` for the same settings, and its settings are read
//! strictly.

use std::collections::BTreeMap;
use std::slice::from_ref;

use mesh_cni_netfilter::{Family, RuleSet, parse, render};
use mesh_cni_rules::linkerd::settings::items;
use mesh_cni_rules::linkerd::{Interception, PodSettings, compile};
use mesh_cni_rules::value::every_item;
use mesh_cni_rules::{Mesh, difference, incomplete};

use crate::support::{annotations, as_saved};

/// What `iptables-nft-save` printed after `linkerd2-proxy-init` with the ports, user and lists that
/// the injector passes: `--incoming-proxy-port 4143 --outgoing-proxy-port 4140 --proxy-uid 2102
/// --inbound-ports-to-ignore 4190,4191,4567,4568 --outbound-ports-to-ignore 4567,4568`.
const INJECTED: &str = "\
-A PREROUTING -m comment --comment \"proxy-init/install-proxy-init-prerouting\" -j PROXY_INIT_REDIRECT
-A OUTPUT -m comment --comment \"proxy-init/install-proxy-init-output\" -j PROXY_INIT_OUTPUT
-A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -m comment --comment \"proxy-init/ignore-proxy-user-id\" -j RETURN
-A PROXY_INIT_OUTPUT -o lo -m comment --comment \"proxy-init/ignore-loopback\" -j RETURN
-A PROXY_INIT_OUTPUT -p tcp -m multiport --dports 4567,4568 -m comment --comment \"proxy-init/ignore-port-4567,4568\" -j RETURN
-A PROXY_INIT_OUTPUT -p tcp -m comment --comment \"proxy-init/redirect-all-outgoing-to-proxy-port\" -j REDIRECT --to-ports 4140
-A PROXY_INIT_REDIRECT -p tcp -m multiport --dports 4190,4191,4567,4568 -m comment --comment \"proxy-init/ignore-port-4190,4191,4567,4568\" -j RETURN
-A PROXY_INIT_REDIRECT -p tcp -m comment --comment \"proxy-init/redirect-all-incoming-to-proxy-port\" -j REDIRECT --to-ports 4143
";

fn saved(rules: &str) -> RuleSet {
    let chains = ":PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
        :PROXY_INIT_OUTPUT - [0:0]\n:PROXY_INIT_REDIRECT - [0:0]";
    parse::save(&format!("*nat\n{chains}\n{rules}COMMIT\n"), Family::V4)
        .expect("the rules are valid")
}

fn injected() -> Interception {
    let ports = |text| every_item(text, items::port).expect("valid ports");
    let mut to = Interception::pod_default();
    to.skipped_inbound_ports = ports("4190,4191,4567,4568");
    to.skipped_outbound_ports = ports("4567,4568");
    to
}

fn resolve(pairs: &[(&str, &str)]) -> Result<Interception, String> {
    let annotations: BTreeMap<_, _> = annotations(pairs)
        .into_iter()
        .map(|(key, value)| (format!("config.linkerd.io/{key}"), value))
        .collect();
    let resolved = settings(&annotations).resolve();
    resolved
        .map(|resolved| resolved.interception)
        .map_err(|error| {
            let problem = &error.problem;
            format!("{error}: {problem}")
        })
}

fn settings(annotations: &BTreeMap<String, String>) -> PodSettings<'_> {
    PodSettings {
        defaults: Interception::pod_default(),
        annotations: Some(annotations),
        namespace_annotations: None,
        proxy_env: None,
        run_as_user: None,
        run_as_group: None,
        kube_api_ports: &[],
    }
}

#[test]
fn the_rules_of_an_injected_pod_are_those_of_its_init_container() {
    let rules = compile(&injected(), Family::V4);
    let found = saved(INJECTED);
    assert_eq!(
        difference(Mesh::Linkerd, from_ref(&rules), from_ref(&found)),
        None
    );
    // The comments too.
    let drift = mesh_cni_netfilter::drift(&rules, &found, &mesh_cni_rules::linkerd::OWNERSHIP);
    assert_eq!(drift, None);
}

#[test]
fn comments_and_the_order_of_ports_do_not_count() {
    let older = INJECTED
        .replace(
            "/install-proxy-init-output",
            "/install-proxy-init-output/1681151363",
        )
        .replace(
            "--dports 4190,4191,4567,4568",
            "--dports 4568,4191,4190,4567",
        );
    let rules = compile(&injected(), Family::V4);
    assert_eq!(
        difference(Mesh::Linkerd, from_ref(&rules), &[saved(&older)]),
        None
    );
    let missing = INJECTED.replace("-A PROXY_INIT_OUTPUT -o lo", "-A PROXY_INIT_OUTPUT -o eth9");
    assert!(difference(Mesh::Linkerd, &[rules], &[saved(&missing)]).is_some());
}

#[test]
fn ports_are_packed_into_rules_of_at_most_fifteen_slots() {
    let dports = |ports: &str| -> Vec<String> {
        let mut to = Interception::command_default();
        to.skipped_inbound_ports = every_item(ports, items::port).unwrap();
        let text = render::restore(&compile(&to, Family::V4));
        let lines = text.lines().filter_map(|line| line.split_once("--dports "));
        lines
            .map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(
        dports("4190,4191,22,8000-8010,9000-9000,10000-10001,1,2,3,4,5,6,7,8,9"),
        [
            "4190,4191,22,8000:8010,9000,10000:10001,1,2,3,4,5,6,7",
            "8,9"
        ]
    );
    let fourteen: Vec<_> = (1..15).map(|port: u16| port.to_string()).collect();
    let fourteen = fourteen.join(",");
    // A range needs two slots.
    assert_eq!(
        dports(&format!("{fourteen},80-81")),
        [fourteen.as_str(), "80:81"]
    );
    let fifteen = format!("{fourteen},0");
    assert_eq!(dports(&fifteen), [fifteen.as_str()]);
    assert_eq!(dports(&format!("{fifteen},80")), [fifteen.as_str(), "80"]);
    assert_eq!(dports("443,443"), ["443,443"]);
}

#[test]
fn every_part_of_the_rules_is_needed_to_be_complete() {
    let mut to = injected();
    to.proxy_gid = Some(mesh_cni_netfilter::Gid(2103));
    to.skipped_inbound_subnets = every_item("10.0.0.0/8", items::subnet).unwrap();
    to.skipped_outbound_subnets = every_item("172.16.0.0/12", items::subnet).unwrap();
    let rules = compile(&to, Family::V4);
    assert_eq!(incomplete(Mesh::Linkerd, &rules), None);
    for needed in [
        "install-proxy-init-prerouting",
        "install-proxy-init-output",
        "ignore-loopback",
        "redirect-all-incoming-to-proxy-port",
        "redirect-all-outgoing-to-proxy-port",
    ] {
        let mut found = rules.clone();
        for chain in found.tables.iter_mut().flat_map(|table| &mut table.chains) {
            chain
                .rules
                .retain(|rule| !rule.comments()[0].ends_with(needed));
        }
        assert!(incomplete(Mesh::Linkerd, &found).is_some(), "{needed}");
    }
}

#[test]
fn annotations_add_inbound_ports_and_replace_the_others() {
    let to = resolve(&[
        ("skip-inbound-ports", " 8080 , 9000-9010"),
        ("skip-outbound-ports", "3306"),
        ("skip-subnets", "192.168.1.1/24, fd00::/8"),
        ("skip-outbound-subnets", "10.0.0.0/8"),
        ("proxy-uid", "3000"),
        ("proxy-gid", "-1"),
    ])
    .unwrap();
    let rules = render::restore(&compile(&to, Family::V4));
    for part in [
        "--dports 4191,4190,8080,9000:9010 ",
        "-p tcp -m multiport --dports 3306 ",
        "-s 192.168.1.0/24 -m comment --comment \"proxy-init/ignore-subnet-192.168.1.1/24\"",
        "-d 10.0.0.0/8 -m comment --comment \"proxy-init/ignore-subnet-10.0.0.0/8\"",
        "--uid-owner 3000 ",
    ] {
        assert!(rules.contains(part), "{part}: {rules}");
    }
    assert!(
        !rules.contains("gid-owner") && !rules.contains("fd00"),
        "{rules}"
    );
    let six = render::restore(&compile(&to, Family::V6));
    assert!(
        six.contains("-s fd00::/8") && !six.contains("192.168"),
        "{six}"
    );
}

#[test]
fn an_item_that_is_not_valid_is_refused_with_its_name_and_position() {
    let refusals: Vec<_> = [
        ("skip-inbound-ports", "8080,http"),
        ("skip-inbound-ports", "8080,,9090"),
        ("skip-outbound-ports", "90-80"),
        ("skip-outbound-ports", "65536"),
        ("skip-outbound-ports", "80 - 90"),
        ("skip-subnets", "10.0.0.0/8,10.0.0.1"),
        ("skip-outbound-subnets", "10.0.0.0/33"),
        ("proxy-uid", "root"),
        ("proxy-gid", "4294967296"),
    ]
    .into_iter()
    .map(|pair| resolve(&[pair]).unwrap_err())
    .collect();
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn an_empty_annotation_falls_back_to_the_namespace_and_then_to_the_configuration() {
    let key = "config.linkerd.io/skip-outbound-ports".to_owned();
    let (pod, namespace) = (
        BTreeMap::from([(key.clone(), String::new())]),
        BTreeMap::from([(key, "3306,".to_owned())]),
    );
    let mut settings = settings(&pod);
    settings.defaults.skipped_outbound_ports = every_item("443", items::port).unwrap();
    let resolved = settings.resolve().unwrap().interception;
    assert_eq!(resolved, settings.defaults);

    settings.namespace_annotations = Some(&namespace);
    let error = settings.resolve().unwrap_err().to_string();
    assert!(
        error.starts_with("annotation config.linkerd.io/skip-outbound-ports of the namespace"),
        "{error}"
    );
}

#[test]
fn the_proxys_container_decides_about_its_ports_and_its_owner() {
    let none = BTreeMap::new();
    let env = annotations(&[
        ("LINKERD2_PROXY_INBOUND_LISTEN_ADDR", "[::]:5143"),
        (
            "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS",
            "127.0.0.1:5140,[::1]:5140",
        ),
        ("LINKERD2_PROXY_ADMIN_LISTEN_ADDR", "0.0.0.0:5191"),
        ("LINKERD2_PROXY_CONTROL_LISTEN_ADDR", "0.0.0.0:4190"),
    ]);
    let mut settings = settings(&none);
    settings.proxy_env = Some(&env);
    settings.run_as_user = Some(3000);
    settings.run_as_group = Some(0);
    let resolved = settings.resolve().unwrap();
    let to = resolved.interception;
    assert_eq!(
        (to.inbound_port.get(), to.outbound_port.get()),
        (5143, 5140)
    );
    assert_eq!(to.proxy_uid.map(|uid| uid.0), Some(3000));
    assert_eq!(to.proxy_gid, None);
    let skipped: Vec<_> = to
        .skipped_inbound_ports
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(skipped, ["4191", "4190", "5191"]);
    assert_eq!(
        resolved.warnings[0].message,
        "the configured user 2102 of the proxy has no effect: its container runs as user 3000"
    );

    for value in ["0.0.0.0", "127.0.0.1:5140,[::1]:5141", "127.0.0.1:0"] {
        let env = annotations(&[("LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS", value)]);
        let with_env = PodSettings {
            proxy_env: Some(&env),
            ..settings.clone()
        };
        let error = with_env.resolve().unwrap_err().to_string();
        assert!(
            error.contains("LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS"),
            "{error}"
        );
    }
}

#[test]
fn an_annotation_that_skips_nothing_is_a_warning() {
    let annotations = annotations(&[("config.linkerd.io/skip-inbound-port", "80")]);
    let resolved = settings(&annotations).resolve().unwrap();
    assert_eq!(
        resolved.warnings[0].to_string(),
        "annotation `config.linkerd.io/skip-inbound-port` is not a setting and has no effect [unknown-setting]"
    );
}

#[test]
fn rendered_rules_are_read_back_equal() {
    for family in Family::ALL {
        let rules = compile(&injected(), family);
        let read = parse::save(&as_saved(&render::restore(&rules)), family).unwrap();
        let ownership = &mesh_cni_rules::linkerd::OWNERSHIP;
        assert_eq!(mesh_cni_netfilter::drift(&rules, &read, ownership), None);
    }
}
