//! The table of pods: columns that are as wide as their values.

use mesh_cni_agent_api::Refusals;

use super::row::Row;

const TITLES: [&str; 6] = ["POD", "NODE", "MESH", "DECISION", "RULES", "REASON"];

/// The width of each column but the last, in characters. Rows are printed in blocks, and a later block
/// never gets narrower columns.
#[derive(Debug, Default)]
pub(super) struct Table {
    widths: [usize; 5],
    has_titles: bool,
}

impl Table {
    /// The lines of these rows.
    pub(super) fn block(&mut self, rows: &[Row]) -> String {
        let mut lines: Vec<_> = rows.iter().map(cells).collect();
        if !self.has_titles && !rows.is_empty() {
            self.has_titles = true;
            lines.insert(0, TITLES.map(str::to_owned));
        }
        for line in &lines {
            for (width, cell) in self.widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        lines.iter().map(|line| self.line(line)).collect()
    }

    fn line(&self, cells: &[String; 6]) -> String {
        let [.., last] = cells;
        let padded = self.widths.iter().zip(cells);
        let padded = padded.map(|(width, cell)| format!("{cell:width$}  "));
        padded.collect::<String>() + last + "\n"
    }
}

fn cells(row: &Row) -> [String; 6] {
    let detail = row.rules_detail.as_ref();
    let detail = detail.map(|detail| format!("; rules: {detail}"));
    let refusals = row.refusals.as_ref().map(|Refusals { count, code, .. }| {
        format!("; {count} failed ADDs, the last with code {code}")
    });
    let ambient = row.ambient.as_ref().map(|pod| format!("; {pod}"));
    let parts = [Some(row.reason.clone()), detail, ambient, refusals];
    let reason: String = parts.into_iter().flatten().collect();
    [
        format!("{}/{}", row.namespace, row.name),
        row.node.clone().unwrap_or_else(|| "-".to_owned()),
        row.mesh.unwrap_or("-").to_owned(),
        row.decision.as_str().to_owned(),
        row.rules.as_str().to_owned(),
        reason,
    ]
}
