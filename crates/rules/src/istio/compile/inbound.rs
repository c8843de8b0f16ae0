//! Arriving packets: excluded and rerouted interfaces, and the inbound chain.

use mesh_cni_netfilter::{ConntrackState, Match, Rule, RuleSet, Sense, TableName, Target};

use super::tproxy;
use crate::chains::{OUTPUT, PREROUTING};
use crate::istio::chains::{DROP, IN_REDIRECT, INBOUND, REDIRECT};
use crate::istio::interception::{InboundCapture, Interception, Mode};
use crate::shorthand::{arrives_through, leaves_through, tcp, to_port};

const NAT: TableName = TableName::Nat;

/// Steps 1 to 5 of the contract.
pub(super) fn compile(interception: &Interception, rules: &mut RuleSet) {
    exclude_interfaces(interception, rules);
    if interception.drop_invalid {
        drop_invalid(rules);
    }
    redirect_to_proxy(interception, rules);
    capture(interception, rules);
}

fn exclude_interfaces(interception: &Interception, rules: &mut RuleSet) {
    for interface in &interception.exclude_interfaces {
        let tables: &[_] = match interception.mode {
            Mode::Redirect => &[NAT],
            Mode::Tproxy(_) => &[NAT, TableName::Mangle],
        };
        for table in tables {
            let arrives_through = Rule::new([arrives_through(interface)], Target::Return);
            let leaves_through = Rule::new([leaves_through(interface)], Target::Return);
            rules.append(*table, PREROUTING, arrives_through);
            rules.append(*table, OUTPUT, leaves_through);
        }
    }
    for interface in &interception.reroute_interfaces {
        let rule = Rule::new([arrives_through(interface)], Target::Return);
        rules.insert(NAT, PREROUTING, 1, rule);
    }
}

fn drop_invalid(rules: &mut RuleSet) {
    let invalid = Match::ConntrackState(Sense::Is, vec![ConntrackState::Invalid]);
    let jump = Rule::new([invalid], Target::Jump(DROP));
    rules.append(TableName::Mangle, PREROUTING, jump);
    rules.append(TableName::Mangle, DROP, Rule::new([], Target::Drop));
}

/// Excludes the tunnel port, which is the proxy's own. The two redirecting chains are in every rule
/// set.
fn redirect_to_proxy(interception: &Interception, rules: &mut RuleSet) {
    let tunnel = Rule::new([tcp(), to_port(interception.tunnel_port)], Target::Return);
    let outbound = Target::Redirect(interception.outbound_capture_port);
    let inbound = Target::Redirect(interception.inbound_capture_port);
    rules.append(NAT, INBOUND, tunnel);
    rules.append(NAT, REDIRECT, Rule::new([tcp()], outbound));
    rules.append(NAT, IN_REDIRECT, Rule::new([tcp()], inbound));
}

/// Sends captured connections to the proxy, by NAT or by TPROXY.
fn capture(interception: &Interception, rules: &mut RuleSet) {
    let (excluded, captured) = match &interception.inbound {
        InboundCapture::None => return,
        InboundCapture::AllExcept(excluded) => (excluded.as_slice(), vec![vec![tcp()]]),
        InboundCapture::Only(ports) => {
            let ports = ports.iter().map(|port| vec![tcp(), to_port(*port)]);
            (&[][..], ports.collect())
        }
    };
    let (table, actions) = match interception.mode {
        Mode::Redirect => (NAT, vec![(None, Target::Jump(IN_REDIRECT))]),
        Mode::Tproxy(routing) => {
            tproxy::chains(interception, routing, rules);
            (TableName::Mangle, tproxy::capture_actions())
        }
    };
    rules.append(table, PREROUTING, Rule::new([tcp()], Target::Jump(INBOUND)));
    for port in excluded {
        let rule = Rule::new([tcp(), to_port(*port)], Target::Return);
        rules.append(table, INBOUND, rule);
    }
    for connection in captured {
        for (state, target) in &actions {
            let matches: Vec<_> = connection.iter().chain(state).cloned().collect();
            rules.append(table, INBOUND, Rule::new(matches, target.clone()));
        }
    }
}
