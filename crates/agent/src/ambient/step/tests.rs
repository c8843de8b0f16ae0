//! A model of a node: every state ends as it should, whatever happens before.

use proptest::prelude::*;

use super::*;

/// A node with one pod: what really exists, and what the agent knows of it.
#[derive(Clone, Copy, Debug)]
struct Node {
    actual: Actual,
    known: Actual,
}

/// What can happen between two steps.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Nothing,
    /// The step fails.
    Failure,
    /// The agent is killed after the step, and starts again.
    Restart,
    /// ztunnel loses everything.
    NewZtunnel,
    /// The pod gets a new sandbox.
    NewSandbox,
    /// Another program removes the rules, and the agent checks them.
    NoRules,
}

const NOTHING: Actual = Actual {
    namespace: Namespace::Alive,
    rules: Part::Missing,
    proxy: Proxy::Unknown,
    probes: Part::Missing,
    annotation: Part::Missing,
};

impl Node {
    fn of(actual: Actual) -> Self {
        let mut node = Self {
            actual,
            known: actual,
        };
        node.restart();
        node
    }

    /// A new agent reads the annotation and asks ztunnel to keep the pod.
    fn restart(&mut self) {
        self.known = Actual {
            namespace: Namespace::Unknown,
            rules: Part::Unknown,
            proxy: Proxy::Unknown,
            probes: Part::Unknown,
            annotation: self.actual.annotation,
        };
    }

    fn carry_out(&mut self, step: Step) {
        let (actual, known) = (&mut self.actual, &mut self.known);
        match step {
            Step::FindNamespace => {
                // A namespace that is found is another one than a dead one.
                (actual.namespace, known.namespace) = (Namespace::Alive, Namespace::Alive);
                known.rules = Part::Unknown;
            }
            Step::CheckRules => {
                known.namespace = actual.namespace;
                known.rules = actual.rules;
            }
            Step::WriteRules => {
                (actual.rules, known.rules) = (Part::Present, Part::Present);
            }
            Step::RemoveRules => {
                (actual.rules, known.rules) = (Part::Missing, Part::Missing);
            }
            Step::Serve if known.namespace == Namespace::Alive => {
                assert_ne!(known.rules, Part::Missing, "rules come first");
                (actual.proxy, known.proxy) = (Proxy::Served, Proxy::Served);
            }
            Step::Serve => known.proxy = Proxy::Kept,
            Step::Forget => {
                (actual.proxy, known.proxy) = (Proxy::Unknown, Proxy::Unknown);
            }
            Step::AddProbes => {
                assert_eq!(
                    actual.proxy,
                    Proxy::Served,
                    "probes follow ztunnel's answer"
                );
                (actual.probes, known.probes) = (Part::Present, Part::Present);
            }
            Step::RemoveProbes => {
                (actual.probes, known.probes) = (Part::Missing, Part::Missing);
            }
            Step::Annotate => {
                let mut complete = *actual;
                complete.annotation = Part::Present;
                assert_eq!(complete, ENROLLED, "the annotation is last");
                (actual.annotation, known.annotation) = (Part::Present, Part::Present);
            }
            Step::RemoveAnnotation => {
                assert_eq!(
                    known.proxy,
                    Proxy::Unknown,
                    "the annotation is removed last"
                );
                (actual.annotation, known.annotation) = (Part::Missing, Part::Missing);
            }
            Step::Drop | Step::Wait | Step::Settled => {}
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Nothing | Happening::Failure => {}
            Happening::Restart => self.restart(),
            Happening::NewZtunnel => {
                self.actual.proxy = Proxy::Unknown;
                if self.known.proxy != Proxy::Unknown {
                    self.known.proxy = Proxy::Refused;
                }
            }
            Happening::NewSandbox => {
                (self.actual.namespace, self.known.namespace) = (Namespace::Dead, Namespace::Dead);
                self.actual.rules = Part::Missing;
            }
            Happening::NoRules => {
                self.actual.rules = Part::Missing;
                self.known.rules = Part::Unknown;
            }
        }
    }
}

const ENROLLED: Actual = Actual {
    namespace: Namespace::Alive,
    rules: Part::Present,
    proxy: Proxy::Served,
    probes: Part::Present,
    annotation: Part::Present,
};

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => Just(Happening::Nothing),
        1 => Just(Happening::Failure),
        1 => Just(Happening::Restart),
        1 => Just(Happening::NewZtunnel),
        1 => Just(Happening::NewSandbox),
        1 => Just(Happening::NoRules),
    ]
}

fn goal() -> impl Strategy<Value = Goal> {
    prop_oneof![Just(Goal::Enrolled), Just(Goal::Left), Just(Goal::Ended)]
}

/// Carries steps out until nothing is left to do.
fn settle(node: &mut Node, goal: Goal) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        let step = next(goal, node.known);
        if matches!(step, Step::Settled | Step::Drop) {
            if node.known.proxy == Proxy::Unknown {
                // A snapshot without the pod.
                node.actual.proxy = Proxy::Unknown;
            }
            return steps;
        }
        assert!(steps.len() < 20, "{goal:?} does not end: {steps:?}");
        node.carry_out(step);
        steps.push(step);
    }
}

#[test]
fn enrolling_and_leaving_have_the_order_of_the_contract() {
    use Step::{AddProbes, Annotate, Forget, RemoveAnnotation, RemoveProbes, RemoveRules};
    let mut node = Node::of(NOTHING);
    node.known = NOTHING;
    let steps = settle(&mut node, Goal::Enrolled);
    assert_eq!(steps, [Step::WriteRules, Step::Serve, AddProbes, Annotate]);
    let mut ended = node;
    let steps = settle(&mut node, Goal::Left);
    assert_eq!(steps, [RemoveProbes, RemoveRules, Forget, RemoveAnnotation]);
    assert_eq!(settle(&mut ended, Goal::Ended), [RemoveProbes, Forget]);
}

proptest! {
    #[test]
    fn every_state_ends_as_it_should_whatever_happens_before(
        happenings in prop::collection::vec((goal(), happening()), 0..30),
        last in goal(),
    ) {
        let mut node = Node::of(NOTHING);
        for (goal, happening) in happenings {
            let step = next(goal, node.known);
            if !matches!(happening, Happening::Failure) {
                node.carry_out(step);
            }
            node.happen(happening);
        }
        settle(&mut node, last);
        match last {
            Goal::Enrolled => prop_assert_eq!(node.actual, ENROLLED),
            Goal::Left => {
                node.actual.namespace = Namespace::Alive;
                prop_assert_eq!(node.actual, NOTHING);
            }
            Goal::Ended | Goal::Undecided => {
                prop_assert_eq!(node.actual.proxy, Proxy::Unknown);
                prop_assert_eq!(node.actual.probes, Part::Missing);
            }
        }
    }

    #[test]
    fn an_undecided_pod_is_only_kept(happenings in prop::collection::vec(happening(), 0..10)) {
        let mut node = Node::of(ENROLLED);
        for happening in happenings {
            let before = node.actual;
            let step = next(Goal::Undecided, node.known);
            prop_assert!(matches!(step, Step::Serve | Step::Settled), "{:?}", step);
            if step == Step::Serve {
                node.known.proxy = Proxy::Kept;
            }
            prop_assert_eq!(node.actual, before);
            node.happen(happening);
        }
    }
}
