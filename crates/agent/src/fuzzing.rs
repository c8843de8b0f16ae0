//! Parsers of this crate for its fuzz targets; not part of the interface.

use crate::Pod;
use crate::kube::events::{self, ApiChange};
use crate::kube::object::Page;

/// A pod, or why it cannot be read.
pub type Item = Result<Pod, String>;

/// The pods in one page of a list, and whether it has more values than are decoded.
pub fn page(body: &[u8]) -> Option<(Vec<Item>, bool)> {
    let (page, is_cut) = Page::from_body(body).ok()?;
    Some((page.items, is_cut))
}

/// The pod in an event of a watch.
pub fn event(line: &[u8]) -> Option<Item> {
    match events::event(line).ok()?.change {
        ApiChange::Apply(pod) | ApiChange::Delete(pod) => Some(Ok(pod)),
        ApiChange::Bookmark => None,
        ApiChange::Invalid(reason) => Some(Err(reason)),
    }
}
