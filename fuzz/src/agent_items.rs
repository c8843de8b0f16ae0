//! What the API server sends the agent: a list, or an event of a watch.

use mesh_cni_kube::container::{Container, ContainerState, Termination};
use mesh_cni_kube::events::{self, ApiChange};
use mesh_cni_kube::list_body::ListBody;
use mesh_cni_kube::pod::Pod;
use serde_json::Value;

use crate::property::assert_one_line;

/// What is kept of one pod, as in `crates/kube/src/pod.rs`.
const MAX_FACTS_BYTES: usize = 32 << 10;
const MAX_STATUS_TEXT: usize = 1 << 10;
const MAX_CONTAINERS: usize = 64;

/// A pod, or why it cannot be read.
type Item = Result<Pod, String>;

pub(crate) fn run(input: &[u8]) {
    let whole: Option<Value> = serde_json::from_slice(input).ok();
    let items = list(input, input.len());
    assert_eq!(items, list(input, 7), "the chunks make no difference");
    if let Ok(items) = items {
        items.iter().for_each(check);
        let objects = whole.as_ref().and_then(|list| list["items"].as_array());
        if let Some(objects) = objects {
            assert_eq!(items.len(), objects.len());
            items.iter().zip(objects).for_each(same);
        }
    }
    if let Some(item) = event(input) {
        check(&item);
        if let (Some(whole), Ok(_)) = (&whole, &item) {
            same((&item, &whole["object"]));
        }
    }
}

/// The pods in a list that arrives in chunks of that size.
fn list(body: &[u8], chunk: usize) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut list = ListBody::default();
    for bytes in body.chunks(chunk.max(1)) {
        list.push(bytes, &mut |item| items.push(item))
            .map_err(|error| error.to_string())?;
    }
    list.end().map_err(|error| error.to_string())?;
    Ok(items)
}

/// The pod in an event of a watch.
fn event(line: &[u8]) -> Option<Item> {
    match events::event(line).ok()?.change {
        ApiChange::Apply(pod) | ApiChange::Delete(pod) => Some(Ok(pod)),
        ApiChange::Bookmark => None,
        ApiChange::Invalid(reason) => Some(Err(reason)),
    }
}

/// What is skipped makes no difference.
fn same((item, object): (&Item, &Value)) {
    let whole = Pod::from_object(object);
    assert_eq!(item.as_ref().ok(), whole.as_ref().ok());
}

/// What is kept is bounded.
fn check(item: &Item) {
    let pod = match item {
        Ok(pod) => pod,
        Err(reason) => return assert_one_line(reason),
    };
    if let Ok(facts) = &pod.facts {
        assert!(facts.memory_bytes() <= MAX_FACTS_BYTES);
        crate::pod::check(facts);
    }
    for containers in [&pod.init_containers, &pod.containers] {
        assert!(containers.len() <= MAX_CONTAINERS);
        for text in containers.iter().flat_map(texts) {
            assert!(text.len() <= MAX_STATUS_TEXT, "{} bytes", text.len());
        }
    }
}

fn texts(container: &Container) -> Vec<&str> {
    let mut texts = vec![&*container.name];
    texts.extend(container.id.as_deref());
    let terminated = match &container.state {
        ContainerState::Waiting(reason) => {
            texts.push(reason);
            None
        }
        ContainerState::Terminated(termination) => Some(termination),
        _ => None,
    };
    for Termination {
        reason, message, ..
    } in terminated.into_iter().chain(&container.last_termination)
    {
        texts.extend([&**reason, &**message]);
    }
    texts
}
