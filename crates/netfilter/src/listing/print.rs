//! Prints a listing, in aligned columns or with single spaces.

use std::fmt::{self, Display};
use std::iter;

use super::{Heading, ListedChain, ListedRule, Listing};

/// How columns are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By padding, with one width for the whole listing.
    Aligned,
    /// By single spaces.
    Folded,
}

/// The names of the columns; the text after them has none.
const COLUMNS: [&str; 11] = [
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
    "",
];

impl Listing {
    /// The listing as text with a final newline.
    pub fn print(&self, layout: Layout) -> String {
        let rules = self.chains.iter().flat_map(|chain| &chain.rules);
        let widths = rules.map(|rule| rule.target.len());
        let target_width = widths.chain(["target".len()]).max().unwrap_or(0);
        let print = |chain: &ListedChain| {
            let rows = chain.rules.iter().map(cells);
            let lines =
                iter::once(COLUMNS.map(str::to_owned))
                    .chain(rows)
                    .map(|row| match layout {
                        Layout::Aligned => aligned(&row, target_width),
                        Layout::Folded => folded(&row),
                    });
            let heading = format!("Chain {} ({})\n", chain.name, chain.heading);
            lines.fold(heading, |text, line| text + &line + "\n")
        };
        let chains: Vec<_> = self.chains.iter().map(print).collect();
        chains.join("\n")
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

fn cells(rule: &ListedRule) -> [String; 11] {
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

fn aligned(row: &[String; 11], target_width: usize) -> String {
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
        details,
    ] = row;
    let (source, destination) = (address(source), address(destination));
    let line = format!(
        "{num:<4} {pkts:>8} {bytes:>10} {target:<target_width$} {prot:<4} {opt:<3} {input:<6} \
         {output:<6} {source} {destination} {details}"
    );
    line.trim_end().to_owned()
}

/// The `!` of an address takes the place of the space before the column.
fn address(address: &str) -> String {
    match address.strip_prefix('!') {
        Some(address) => format!("!{address:<19}"),
        None => format!(" {address:<19}"),
    }
}

fn folded(row: &[String; 11]) -> String {
    let cells: Vec<_> = row
        .iter()
        .filter(|cell| !cell.is_empty())
        .cloned()
        .collect();
    cells.join(" ")
}
