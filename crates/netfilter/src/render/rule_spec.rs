//! One rule as options of the `iptables` command line.

use std::fmt::{self, Display, Write as _};

use crate::ruleset::{Mark, Match, Protocol, Rule, Sense, Target};

/// The flags that `--syn` compares, and those of them that are set.
pub(crate) const TCP_SYN: &str = "FIN,SYN,RST,ACK SYN";

/// What follows `-A CHAIN`: the matches in the order of the rule, then `-j`.
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
    let mut rule_text = RuleText::default();
    for condition in &rule.matches {
        rule_text.condition(condition);
    }
    rule_text.target(&rule.target);
    rule_text.text
}

/// The items, with the separator between them.
pub(crate) fn joined<T: Display>(items: impl IntoIterator<Item = T>, separator: &str) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(separator)
}

/// A word as `iptables-save` writes it: in quotes if it is empty or has special characters.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\\' | '\'');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    in_quotes(word)
}

/// The value of a text option as `iptables-save` writes it: in quotes, unless it has only letters,
/// digits, `-` and `_`.
fn quoted_value(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if value.chars().all(is_plain) {
        return quoted(value);
    }
    in_quotes(value)
}

fn in_quotes(word: &str) -> String {
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
struct RuleText {
    text: String,
    /// The protocol of the rule, as far as it is written.
    protocol: Option<Protocol>,
    /// Whether the last module is `multiport`, whose options are read as its own.
    is_in_multiport: bool,
}

impl RuleText {
    fn push(&mut self, word: impl Display) {
        let separator = if self.text.is_empty() { "" } else { " " };
        write!(self.text, "{separator}{word}").expect("writing to a string does not fail");
    }

    fn option(&mut self, sense: Sense, option: &str, value: impl Display) {
        match sense {
            Sense::Is => {}
            Sense::IsNot => self.push("!"),
        }
        self.push(format_args!("{option} {value}"));
    }

    fn module_option(&mut self, module: &str, sense: Sense, option: &str, value: impl Display) {
        self.push(format_args!("-m {module}"));
        self.is_in_multiport = module == "multiport";
        self.option(sense, option, value);
    }

    /// An option of the module `tcp` or `udp`, which `-p` loads.
    fn port(&mut self, sense: Sense, option: &str, port: impl Display) {
        match self.protocol {
            Some(protocol) if self.is_in_multiport => {
                self.module_option(protocol.as_str(), sense, option, port);
            }
            _ => self.option(sense, option, port),
        }
    }

    fn condition(&mut self, condition: &Match) {
        match condition {
            Match::Source(sense, range) => self.option(*sense, "-s", range),
            Match::Destination(sense, range) => self.option(*sense, "-d", range),
            Match::InInterface(sense, name) => self.option(*sense, "-i", name),
            Match::OutInterface(sense, name) => self.option(*sense, "-o", name),
            Match::Protocol(sense, protocol) => {
                self.protocol = Some(*protocol);
                self.option(*sense, "-p", protocol);
            }
            Match::SourcePort(sense, port) => self.port(*sense, "--sport", port),
            Match::DestinationPort(sense, port) => self.port(*sense, "--dport", port),
            Match::TcpSyn(sense) => self.option(*sense, "--tcp-flags", TCP_SYN),
            Match::Icmpv6Type(sense, number) => {
                self.module_option("icmp6", *sense, "--icmpv6-type", number);
            }
            Match::DestinationPorts(sense, ports) => {
                self.module_option("multiport", *sense, "--dports", joined(ports, ","));
            }
            Match::OwnerUid(sense, user) => {
                self.module_option("owner", *sense, "--uid-owner", user);
            }
            Match::OwnerGid(sense, group) => {
                self.module_option("owner", *sense, "--gid-owner", group);
            }
            Match::Mark(sense, mark) => self.module_option("mark", *sense, "--mark", mark),
            Match::Connmark(sense, mark) => self.module_option("connmark", *sense, "--mark", mark),
            Match::ConntrackState(sense, states) => {
                let states = joined(states.iter().map(|state| state.as_str()), ",");
                self.module_option("conntrack", *sense, "--ctstate", states);
            }
            Match::Comment(text) => {
                self.module_option("comment", Sense::Is, "--comment", quoted_value(text));
            }
            Match::Opaque(text) => self.push(text),
        }
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Return => self.push("-j RETURN"),
            Target::Accept => self.push("-j ACCEPT"),
            Target::Drop => self.push("-j DROP"),
            Target::Reject(with) => {
                self.push(format_args!("-j REJECT --reject-with {}", with.as_str()));
            }
            Target::Jump(chain) => self.push(format_args!("-j {chain}")),
            Target::Redirect(port) => self.push(format_args!("-j REDIRECT --to-ports {port}")),
            Target::Tproxy { port, mark } => {
                self.push(format_args!(
                    "-j TPROXY --on-port {port} --tproxy-mark {}",
                    with_mask(*mark)
                ));
            }
            Target::SetMark(mark) => {
                self.push(format_args!("-j MARK --set-xmark {}", with_mask(*mark)));
            }
            Target::SetConnmark(mark) => {
                self.push(format_args!("-j CONNMARK --set-xmark {}", with_mask(*mark)));
            }
            Target::SaveMark => self.push("-j CONNMARK --save-mark"),
            Target::RestoreMark => self.push("-j CONNMARK --restore-mark"),
            Target::ConntrackZone(zone) => self.push(format_args!("-j CT --zone {zone}")),
            Target::Log { prefix, level } => {
                self.push("-j LOG");
                if !prefix.is_empty() {
                    self.push(format_args!("--log-prefix {}", quoted_value(prefix)));
                }
                if *level != Target::DEFAULT_LOG_LEVEL {
                    self.push(format_args!("--log-level {level}"));
                }
            }
            Target::Opaque(text) if text.is_empty() => {}
            Target::Opaque(text) => self.push(text),
        }
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// In a target, a mark always has its mask.
fn with_mask(mark: Mark) -> String {
    format!("{:#x}/{:#x}", mark.value, mark.mask)
}
