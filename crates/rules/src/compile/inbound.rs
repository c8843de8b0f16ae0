//! What happens to packets that arrive: excluded and rerouted interfaces, and the inbound chain.

use super::shorthand::{comes_in, goes_out, tcp, to_port};
use crate::chains::{DROP, IN_REDIRECT, INBOUND, OUTPUT, PREROUTING, REDIRECT};
use crate::interception::{InboundCapture, Interception};
use crate::ruleset::{ConntrackState, Match, Rule, RuleSet, Sense, TableName, Target};

const NAT: TableName = TableName::Nat;

/// Steps 1 to 5 of the contract.
pub(super) fn compile(interception: &Interception, rules: &mut RuleSet) {
    leave_interfaces_alone(interception, rules);
    if interception.drop_invalid {
        drop_invalid(rules);
    }
    send_to_proxy(interception, rules);
    capture(interception, rules);
}

fn leave_interfaces_alone(interception: &Interception, rules: &mut RuleSet) {
    for interface in &interception.exclude_interfaces {
        rules.append(
            NAT,
            PREROUTING,
            Rule::new([comes_in(interface)], Target::Return),
        );
        rules.append(
            NAT,
            OUTPUT,
            Rule::new([goes_out(interface)], Target::Return),
        );
    }
    for interface in &interception.reroute_interfaces {
        rules.insert(
            NAT,
            PREROUTING,
            1,
            Rule::new([comes_in(interface)], Target::Return),
        );
    }
}

fn drop_invalid(rules: &mut RuleSet) {
    let invalid = Match::ConntrackState(Sense::Is, vec![ConntrackState::Invalid]);
    let jump = Rule::new([invalid], Target::Jump(DROP));
    rules.append(TableName::Mangle, PREROUTING, jump);
    rules.append(TableName::Mangle, DROP, Rule::new([], Target::Drop));
}

/// The tunnel port is the proxy's own; the two chains that redirect stand in every rule set.
fn send_to_proxy(interception: &Interception, rules: &mut RuleSet) {
    let tunnel = Rule::new([tcp(), to_port(interception.tunnel_port)], Target::Return);
    let outbound = Target::Redirect(interception.outbound_capture_port);
    let inbound = Target::Redirect(interception.inbound_capture_port);
    rules.append(NAT, INBOUND, tunnel);
    rules.append(NAT, REDIRECT, Rule::new([tcp()], outbound));
    rules.append(NAT, IN_REDIRECT, Rule::new([tcp()], inbound));
}

fn capture(interception: &Interception, rules: &mut RuleSet) {
    let mut inbound = |matches: Vec<Match>, target| {
        rules.append(NAT, INBOUND, Rule::new(matches, target));
    };
    match &interception.inbound {
        InboundCapture::None => return,
        InboundCapture::AllExcept(excluded) => {
            for port in excluded {
                inbound(vec![tcp(), to_port(*port)], Target::Return);
            }
            inbound(vec![tcp()], Target::Jump(IN_REDIRECT));
        }
        InboundCapture::Only(ports) => {
            for port in ports {
                inbound(vec![tcp(), to_port(*port)], Target::Jump(IN_REDIRECT));
            }
        }
    }
    rules.append(NAT, PREROUTING, Rule::new([tcp()], Target::Jump(INBOUND)));
}
