//! Compiles an interception into rules, in the order of `linkerd2-proxy-init` and with its comments.

use ipnetwork::IpNetwork;
use mesh_cni_netfilter::{
    ChainName, Family, Match, PortRange, Rule, RuleSet, Sense, TableName, Target,
};

use super::Interception;
use super::chains::{OUTPUT_RULES, REDIRECT};
use crate::chains::{OUTPUT, PREROUTING};
use crate::shorthand::{by_group, by_user, from, over_loopback, tcp, to, to_port};

/// `multiport` has room for this many ports; a range takes two.
const MAX_SLOTS: usize = 15;

/// The rules for one family.
pub fn compile(interception: &Interception, family: Family) -> RuleSet {
    let mut rules = RuleSet::new(family);
    inbound(interception, &mut rules);
    outbound(interception, &mut rules);
    rules
}

fn inbound(interception: &Interception, rules: &mut RuleSet) {
    skip_ports(&interception.skipped_inbound_ports, &REDIRECT, rules);
    for subnet in of_family(&interception.skipped_inbound_subnets, rules.family) {
        let comment = format!("ignore-subnet-{subnet}");
        append(
            rules,
            REDIRECT,
            [from(masked(subnet))],
            Target::Return,
            &comment,
        );
    }
    let to_proxy = Target::Redirect(interception.inbound_port);
    if interception.redirected_ports.is_empty() {
        let comment = "redirect-all-incoming-to-proxy-port";
        append(rules, REDIRECT, [tcp()], to_proxy, comment);
    } else {
        for port in &interception.redirected_ports {
            let comment = format!("redirect-port-{port}-to-proxy-port");
            append(
                rules,
                REDIRECT,
                [tcp(), to_port(*port)],
                to_proxy.clone(),
                &comment,
            );
        }
    }
    let comment = "install-proxy-init-prerouting";
    append(rules, PREROUTING, [], Target::Jump(REDIRECT), comment);
}

fn outbound(interception: &Interception, rules: &mut RuleSet) {
    if let Some(user) = interception.proxy_uid {
        let by_proxy = [by_user(Sense::Is, user)];
        append(
            rules,
            OUTPUT_RULES,
            by_proxy,
            Target::Return,
            "ignore-proxy-user-id",
        );
    }
    if let Some(group) = interception.proxy_gid {
        let by_proxy = [by_group(Sense::Is, group)];
        append(
            rules,
            OUTPUT_RULES,
            by_proxy,
            Target::Return,
            "ignore-proxy-group-id",
        );
    }
    append(
        rules,
        OUTPUT_RULES,
        [over_loopback()],
        Target::Return,
        "ignore-loopback",
    );
    skip_ports(&interception.skipped_outbound_ports, &OUTPUT_RULES, rules);
    for subnet in of_family(&interception.skipped_outbound_subnets, rules.family) {
        let comment = format!("ignore-subnet-{subnet}");
        append(
            rules,
            OUTPUT_RULES,
            [to(masked(subnet))],
            Target::Return,
            &comment,
        );
    }
    let to_proxy = Target::Redirect(interception.outbound_port);
    let comment = "redirect-all-outgoing-to-proxy-port";
    append(rules, OUTPUT_RULES, [tcp()], to_proxy, comment);
    let comment = "install-proxy-init-output";
    append(rules, OUTPUT, [], Target::Jump(OUTPUT_RULES), comment);
}

/// The groups of the rules for these ports, in their order.
pub(super) fn groups(ports: &[PortRange]) -> Vec<Vec<PortRange>> {
    let mut groups: Vec<Vec<PortRange>> = Vec::new();
    let mut free = 0;
    for port in ports {
        let slots = if port.first() == port.last() { 1 } else { 2 };
        if let Some(group) = groups.last_mut().filter(|_| slots <= free) {
            group.push(*port);
        } else {
            groups.push(vec![*port]);
            free = MAX_SLOTS;
        }
        free -= slots;
    }
    groups
}

fn skip_ports(ports: &[PortRange], chain: &ChainName, rules: &mut RuleSet) {
    for group in groups(ports) {
        let named: Vec<_> = group.iter().map(PortRange::to_string).collect();
        let comment = format!("ignore-port-{}", named.join(","));
        let ports = [tcp(), Match::DestinationPorts(Sense::Is, group)];
        append(rules, chain.clone(), ports, Target::Return, &comment);
    }
}

fn append(
    rules: &mut RuleSet,
    chain: ChainName,
    matches: impl Into<Vec<Match>>,
    target: Target,
    comment: &str,
) {
    let mut matches = matches.into();
    matches.push(Match::Comment(format!("proxy-init/{comment}")));
    rules.append(TableName::Nat, chain, Rule::new(matches, target));
}

fn of_family(subnets: &[IpNetwork], family: Family) -> impl Iterator<Item = IpNetwork> {
    let subnets = subnets.iter().copied();
    subnets.filter(move |subnet| Family::of(subnet) == family)
}

/// The subnet without host bits, as the kernel returns it.
fn masked(subnet: IpNetwork) -> IpNetwork {
    IpNetwork::new(subnet.network(), subnet.prefix()).unwrap_or(subnet)
}
