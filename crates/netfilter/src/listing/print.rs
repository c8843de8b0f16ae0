//! Prints a listing, in aligned columns or with single spaces.

use std::fmt::{self, Display, Write as _};

use super::{Heading, ListedChain, ListedRule, Listing};

/// How columns are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By padding, with one width for the whole listing.
    Aligned,
    /// By single spaces.
    Folded,
}

const COLUMNS: [&str; 10] = [
    "num",
    "pkts",
    "bytes",
    "target",
    "prot",
    "opt",
    "in",
    "out",
    "source",
    "destination",
];

impl Listing {
    /// The listing as text with a final newline.
    pub fn print(&self, layout: Layout) -> String {
        let rules = self.chains.iter().flat_map(|chain| &chain.rules);
        let width = rules.map(|rule| rule.target.len()).max().unwrap_or(0);
        let width = width.max("target".len());
        let mut text = String::new();
        for (chain, number) in self.chains.iter().zip(0..) {
            if number > 0 {
                text.push('\n');
            }
            print_chain(&mut text, chain, layout, width);
        }
        text
    }
}

impl Display for Listing {
    /// In aligned columns.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.print(Layout::Aligned))
    }
}

impl Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(verdict, counters) => {
                let (packets, bytes) = (counters.packets, counters.bytes);
                write!(f, "policy {verdict} {packets} packets, {bytes} bytes")
            }
            Self::References(count) => write!(f, "{count} references"),
        }
    }
}

fn print_chain(text: &mut String, chain: &ListedChain, layout: Layout, target_width: usize) {
    line(
        text,
        format_args!("Chain {} ({})", chain.name, chain.heading),
    );
    match layout {
        Layout::Aligned => print_aligned(text, chain, target_width),
        Layout::Folded => print_folded(text, chain),
    }
}

fn print_aligned(text: &mut String, chain: &ListedChain, width: usize) {
    let [
        num,
        pkts,
        bytes,
        target,
        prot,
        opt,
        input,
        output,
        source,
        destination,
    ] = COLUMNS;
    line(
        text,
        format_args!(
            "{num:<4} {pkts:>8} {bytes:>10} {target:<width$} {prot:<4} {opt:<3} \
             {input:<6} {output:<6}  {source:<19}  {destination}"
        ),
    );
    for rule in &chain.rules {
        let mut row = format!(
            "{:<4} {:>8} {:>10} {:<width$} {:<4} {:<3} {:<6} {:<6} ",
            rule.number,
            rule.counters.packets,
            rule.counters.bytes,
            rule.target,
            rule.protocol,
            rule.options,
            rule.in_interface,
            rule.out_interface,
        );
        push_address(&mut row, &rule.source);
        push_address(&mut row, &rule.destination);
        row.push_str(&rule.details);
        line(text, format_args!("{}", row.trim_end()));
    }
}

/// The `!` of an address takes the place of the space before the column.
fn push_address(row: &mut String, address: &str) {
    let (negation, address) = match address.strip_prefix('!') {
        Some(address) => ('!', address),
        None => (' ', address),
    };
    write!(row, "{negation}{address:<19} ").expect("writing to a string does not fail");
}

fn print_folded(text: &mut String, chain: &ListedChain) {
    line(text, format_args!("{}", COLUMNS.join(" ")));
    for rule in &chain.rules {
        let words = columns(rule);
        let words = words.iter().filter(|word| !word.is_empty());
        let words: Vec<_> = words.map(String::as_str).collect();
        line(text, format_args!("{}", words.join(" ")));
    }
}

fn columns(rule: &ListedRule) -> [String; 11] {
    [
        rule.number.to_string(),
        rule.counters.packets.to_string(),
        rule.counters.bytes.to_string(),
        rule.target.clone(),
        rule.protocol.clone(),
        rule.options.clone(),
        rule.in_interface.clone(),
        rule.out_interface.clone(),
        rule.source.clone(),
        rule.destination.clone(),
        rule.details.clone(),
    ]
}

fn line(text: &mut String, words: fmt::Arguments<'_>) {
    writeln!(text, "{words}").expect("writing to a string does not fail");
}
