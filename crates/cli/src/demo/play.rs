//! The demo, act by act.

mod evidence;
mod scenes;

use std::time::Duration;

use super::child::{Owner, Process};
use super::dump::Iptables;
use super::error::DemoError;
use super::keep;
use super::node::Node;
use super::patience::Interrupt;
use super::pod::{Pod, Script};
use super::runtime::Runtime;
use super::story::Story;
use super::tools::Tools;
use crate::failure::chain;

/// How long a process may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(30);

const REVIEWS: Script = Script {
    name: "reviews",
    manifest: include_str!("../../demo/reviews.yaml"),
    address: "10.244.1.18",
};
const PRODUCTPAGE: Script = Script {
    name: "productpage",
    manifest: include_str!("../../demo/productpage.yaml"),
    address: "10.244.1.17",
};

/// What happens to the pods at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Clear,
    Keep,
}

/// What the acts share.
struct Stage<'demo> {
    tools: &'demo Tools,
    node: &'demo Node,
    iptables: Iptables,
    interrupt: &'demo Interrupt,
    runtime: Runtime<'demo>,
    reviews: Pod,
    productpage: Pod,
}

/// Plays everything, and leaves what is to be left.
pub(crate) fn play(
    tools: &Tools,
    ending: Ending,
    story: &mut Story<'_, '_>,
    interrupt: &Interrupt,
) -> Result<(), DemoError> {
    let node = Node::enter()?;
    let patience = interrupt.patience(START_LIMIT);
    let iptables = Iptables::ask(tools, &node, patience)?;
    let runtime = Runtime::new(tools, &node, iptables.backend());
    let mut stage = Stage {
        tools,
        node: &node,
        iptables,
        interrupt,
        runtime,
        reviews: Pod::new(REVIEWS, &node, patience)?,
        productpage: Pod::new(PRODUCTPAGE, &node, patience)?,
    };
    let played = stage.acts(story);
    if played.is_ok() && ending == Ending::Keep {
        return stage.keep(story);
    }
    let cleared = stage.clear(story);
    played.and(cleared)
}

impl Stage<'_> {
    fn acts(&mut self, story: &mut Story<'_, '_>) -> Result<(), DemoError> {
        self.introduce(story)?;
        self.attach(story)?;
        self.start_containers(story)?;
        self.send_requests(story)?;
        let printed = self.show_dump(story)?;
        let listed = self.show_listing(story)?;
        evidence::count(&listed, story)?;
        evidence::compare(printed, listed, story)
    }

    /// Takes the pods down as a runtime does: containers, then the network, then the sandbox.
    fn clear(mut self, story: &mut Story<'_, '_>) -> Result<(), DemoError> {
        story.step("Taken down")?;
        for pod in [&mut self.productpage, &mut self.reviews] {
            pod.containers.clear();
            let calls = self.runtime.del(&pod.sandbox, pod.result.as_ref());
            for call in calls {
                match call {
                    Ok(called) => {
                        let line = format!("{}: DEL by {}", pod.name, called.plugin);
                        story.check(true, line)?;
                    }
                    Err(error) => {
                        story.check(false, format_args!("{}: {}", pod.name, chain(&error)))?;
                    }
                }
            }
        }
        story.aside("namespaces, links, files and processes are gone with this program")?;
        Ok(())
    }

    fn keep(mut self, story: &mut Story<'_, '_>) -> Result<(), DemoError> {
        let patience = self.interrupt.patience(START_LIMIT);
        let mut node = Process::start(
            &self.node.netns,
            Owner::ROOT,
            &["pause", "--here"],
            patience,
        )?;
        self.say_how_to_play(node.pid(), story)?;
        let pods = [&mut self.productpage, &mut self.reviews];
        let of_pods = pods.into_iter().flat_map(Pod::processes);
        keep::leave(of_pods.chain([&mut node]).collect())
    }
}
