//! A batch: changes between `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`, one transaction.

use crate::attributes::Writer;
use crate::change::Change;
use crate::message::{
    BATCH_BEGIN, BATCH_END, Head, Kind, batch_edge, flag, protocol_family, write,
};
use crate::object::Table;

/// `NFNL_BATCH_GENID`
const GENERATION: u16 = 1;

/// Changes that the kernel makes all or none.
#[derive(Clone, Debug)]
pub struct Batch<'changes> {
    changes: &'changes [Change],
    generation: Option<u32>,
}

/// A batch as bytes, and which message is which change.
#[derive(Clone, Debug)]
pub struct Encoded {
    bytes: Vec<u8>,
    /// For each message between the edges, the index of its change.
    changes: Vec<usize>,
}

impl<'changes> Batch<'changes> {
    /// These changes, whatever else was changed meanwhile.
    pub fn new(changes: &'changes [Change]) -> Self {
        Self {
            changes,
            generation: None,
        }
    }

    /// The same, to be refused unless the rules are still of that generation.
    #[must_use]
    pub fn at_generation(mut self, generation: u32) -> Self {
        self.generation = Some(generation);
        self
    }

    /// The bytes for one datagram. The last message asks for an acknowledgement.
    pub fn encode(&self) -> Encoded {
        let mut messages = Vec::new();
        for (index, change) in self.changes.iter().enumerate() {
            for message in encode_change(change) {
                messages.push((index, message));
            }
        }
        let mut begin = Writer::default();
        if let Some(generation) = self.generation {
            begin.u32(GENERATION, generation);
        }
        let mut bytes = Vec::new();
        write(&mut bytes, batch_edge(BATCH_BEGIN, 0), &begin.into_bytes());
        let last = messages.len();
        let mut changes = Vec::with_capacity(last);
        let mut sequence = 0;
        for (index, message) in messages {
            sequence += 1;
            changes.push(index);
            let acknowledge = if changes.len() == last { flag::ACK } else { 0 };
            let head = Head {
                kind: message.kind.number(),
                flags: message.flags | acknowledge,
                sequence,
                family: protocol_family(message.table.family),
                resource: 0,
            };
            write(&mut bytes, head, &message.attributes.into_bytes());
        }
        write(&mut bytes, batch_edge(BATCH_END, sequence + 1), &[]);
        Encoded { bytes, changes }
    }
}

impl Encoded {
    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The index of the change that the message of that sequence number asks for.
    ///
    /// `None` for the edges of the batch, which speak for all of it.
    pub fn change(&self, sequence: u32) -> Option<usize> {
        let at = usize::try_from(sequence).ok()?.checked_sub(1)?;
        self.changes.get(at).copied()
    }

    /// The sequence number of the message that is acknowledged when all is done.
    pub fn last(&self) -> u32 {
        u32::try_from(self.changes.len()).unwrap_or(u32::MAX)
    }
}

/// One message of a batch, but for its sequence number.
struct Draft<'change> {
    kind: Kind,
    flags: u16,
    table: &'change Table,
    attributes: Writer,
}

fn encode_change(change: &Change) -> Vec<Draft<'_>> {
    let draft = |kind, flags, table, write: &dyn Fn(&mut Writer)| {
        let mut attributes = Writer::default();
        write(&mut attributes);
        Draft {
            kind,
            flags,
            table,
            attributes,
        }
    };
    vec![match change {
        Change::AddTable(table) => draft(Kind::NewTable, flag::CREATE, table, &|to| {
            table.encode_new(to);
        }),
        Change::DeleteTable(table) => draft(Kind::DelTable, 0, table, &|to| {
            table.encode_reference(to);
        }),
        Change::AddChain { chain, exclusive } => {
            let exclusive = if *exclusive { flag::EXCLUSIVE } else { 0 };
            let table = &chain.id.table;
            draft(Kind::NewChain, flag::CREATE | exclusive, table, &|to| {
                chain.encode_new(to);
            })
        }
        Change::DeleteChain(chain) => draft(Kind::DelChain, 0, &chain.table, &|to| {
            chain.encode_reference(to);
        }),
        Change::FlushChain(chain) => draft(Kind::DelRule, 0, &chain.table, &|to| {
            chain.encode_of_rule(to);
        }),
        Change::AddSet(set) => {
            let new = draft(Kind::NewSet, flag::CREATE, &set.table, &|to| {
                set.encode_new(to);
            });
            let elements = set.encode_elements().map(|attributes| Draft {
                kind: Kind::NewSetElement,
                flags: flag::CREATE,
                table: &set.table,
                attributes,
            });
            return std::iter::once(new).chain(elements).collect();
        }
        Change::AppendRule(new) => {
            let flags = flag::CREATE | flag::APPEND;
            draft(Kind::NewRule, flags, &new.chain.table, &|to| {
                new.encode_new(to);
            })
        }
        Change::DeleteRule { chain, handle } => draft(Kind::DelRule, 0, &chain.table, &|to| {
            chain.encode_of_rule(to);
            to.u64(3, *handle);
        }),
    }]
}
