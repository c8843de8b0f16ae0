//! One rule in the words of the `iptables` command line.

use std::fmt::{self, Display, Write as _};

use crate::ruleset::{Mark, Match, Protocol, Rule, Sense, Target};

/// What stands behind `-A CHAIN`: the matches as they are written in the rule, then `-j`.
///
/// # Examples
///
/// ```
/// use mesh_cni_netfilter::render::rule_spec;
/// use mesh_cni_netfilter::ruleset::{Match, Protocol, Rule, Sense, Target};
///
/// let rule = Rule::new([Match::Protocol(Sense::Is, Protocol::Tcp)], Target::Return);
/// assert_eq!(rule_spec(&rule), "-p tcp -j RETURN");
/// ```
pub fn rule_spec(rule: &Rule) -> String {
    let mut words = Words::default();
    for condition in &rule.matches {
        words.condition(condition);
    }
    words.target(&rule.target);
    words.text
}

/// The items with that separator between them.
pub(crate) fn joined<T: Display>(items: impl IntoIterator<Item = T>, separator: &str) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(separator)
}

/// A word as `iptables-save` writes it: between quotes where it would not be one word without.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\\' | '\'');
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in word.chars() {
        if matches!(character, '"' | '\\' | '\'') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[derive(Default)]
struct Words {
    text: String,
}

impl Words {
    fn push(&mut self, word: impl Display) {
        let blank = if self.text.is_empty() { "" } else { " " };
        write!(self.text, "{blank}{word}").expect("a string takes every write");
    }

    fn option(&mut self, sense: Sense, option: &str, value: impl Display) {
        match sense {
            Sense::Is => {}
            Sense::IsNot => self.push("!"),
        }
        self.push(format_args!("{option} {value}"));
    }

    fn of_module(&mut self, module: &str, sense: Sense, option: &str, value: impl Display) {
        self.push(format_args!("-m {module}"));
        self.option(sense, option, value);
    }

    fn condition(&mut self, condition: &Match) {
        match condition {
            Match::Source(sense, range) => self.option(*sense, "-s", range),
            Match::Destination(sense, range) => self.option(*sense, "-d", range),
            Match::InInterface(sense, name) => self.option(*sense, "-i", name),
            Match::OutInterface(sense, name) => self.option(*sense, "-o", name),
            Match::Protocol(sense, protocol) => self.option(*sense, "-p", protocol),
            Match::SourcePort(sense, port) => self.option(*sense, "--sport", port),
            Match::DestinationPort(sense, port) => self.option(*sense, "--dport", port),
            Match::DestinationPorts(sense, ports) => {
                self.of_module("multiport", *sense, "--dports", joined(ports, ","));
            }
            Match::OwnerUid(sense, user) => self.of_module("owner", *sense, "--uid-owner", user),
            Match::OwnerGid(sense, group) => self.of_module("owner", *sense, "--gid-owner", group),
            Match::Mark(sense, mark) => self.of_module("mark", *sense, "--mark", mark),
            Match::Connmark(sense, mark) => self.of_module("connmark", *sense, "--mark", mark),
            Match::ConntrackState(sense, states) => {
                let states = joined(states.iter().map(|state| state.as_str()), ",");
                self.of_module("conntrack", *sense, "--ctstate", states);
            }
            Match::Comment(text) => {
                self.of_module("comment", Sense::Is, "--comment", quoted(text));
            }
            Match::Opaque(words) => self.push(words),
        }
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Return => self.push("-j RETURN"),
            Target::Accept => self.push("-j ACCEPT"),
            Target::Drop => self.push("-j DROP"),
            Target::Jump(chain) => self.push(format_args!("-j {chain}")),
            Target::Redirect(port) => self.push(format_args!("-j REDIRECT --to-ports {port}")),
            Target::Tproxy { port, mark } => {
                self.push(format_args!(
                    "-j TPROXY --on-port {port} --tproxy-mark {}",
                    both(*mark)
                ));
            }
            Target::SetMark(mark) => self.push(format_args!("-j MARK --set-xmark {}", both(*mark))),
            Target::SaveMark => self.push("-j CONNMARK --save-mark"),
            Target::RestoreMark => self.push("-j CONNMARK --restore-mark"),
            Target::ConntrackZone(zone) => self.push(format_args!("-j CT --zone {zone}")),
            Target::Opaque(words) if words.is_empty() => {}
            Target::Opaque(words) => self.push(words),
        }
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mark that is written always names its mask.
fn both(mark: Mark) -> String {
    format!("{:#x}/{:#x}", mark.value, mark.mask)
}
