//! Prints pods while they are read: a table in blocks of rows, or one JSON document.

use std::io;

use mesh_cni_text::escaped_json;
use serde::Serialize;

use super::answers::Answers;
use super::row::Row;
use super::table::Table;
use crate::arguments::Output;
use crate::console::Console;

/// How many rows are in memory.
const BLOCK: usize = 500;

/// The JSON document: the pods, then what follows them.
#[cfg(all(test, feature = "schema"))]
#[derive(schemars::JsonSchema)]
#[expect(
    dead_code,
    reason = "only the schema is used: the document is written in parts"
)]
pub(crate) struct Document {
    /// Ordered by namespace and name.
    pods: Vec<Row>,
    #[schemars(flatten)]
    tail: Tail,
}

/// What is known after the last pod.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Tail {
    /// How many pods are in the list.
    pub(crate) total: usize,
    /// The nodes whose agents do not answer.
    pub(crate) unanswered: Vec<Unanswered>,
    /// The pods that cannot be read, and why.
    pub(crate) unreadable: Vec<String>,
}

/// A node whose agent does not answer.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Unanswered {
    pub(crate) node: String,
    pub(crate) reason: String,
}

/// Prints rows as they come.
pub(super) struct Printer {
    output: Output,
    table: Table,
    block: Vec<Row>,
    count: usize,
}

impl Tail {
    pub(super) fn new(total: usize, answers: &Answers, unreadable: Vec<String>) -> Self {
        let unanswered = answers.nodes.iter().filter_map(|(node, why)| {
            let (node, reason) = (node.clone(), why.clone()?);
            Some(Unanswered { node, reason })
        });
        Self {
            total,
            unanswered: unanswered.collect(),
            unreadable,
        }
    }
}

impl Printer {
    pub(super) fn new(output: Output) -> Self {
        Self {
            output,
            table: Table::default(),
            block: Vec::new(),
            count: 0,
        }
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn row(&mut self, row: Row, console: &mut Console<'_>) -> io::Result<()> {
        match self.output {
            Output::Text => {
                self.count += 1;
                self.block.push(row);
                if self.block.len() < BLOCK {
                    return Ok(());
                }
                self.flush(console)
            }
            Output::Json => {
                let start = if self.count == 0 {
                    "{\"pods\":[\n"
                } else {
                    ",\n"
                };
                self.count += 1;
                console.result(&format!("{start}{}", json(&row)))
            }
        }
    }

    pub(super) fn finish(&mut self, tail: &Tail, console: &mut Console<'_>) -> io::Result<()> {
        match self.output {
            Output::Text => self.flush(console),
            Output::Json => {
                let start = if self.count == 0 { "{\"pods\":[" } else { "\n" };
                // The tail without its first bracket.
                console.result(&format!("{start}],{}\n", &json(tail)[1..]))
            }
        }
    }

    fn flush(&mut self, console: &mut Console<'_>) -> io::Result<()> {
        let block = self.table.block(&self.block);
        self.block.clear();
        console.result(&block)
    }
}

fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("these types have a JSON form");
    escaped_json(&text).into_owned()
}
