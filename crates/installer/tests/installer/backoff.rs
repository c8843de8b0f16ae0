//! When to repair at once, and when to back off from another program.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use mesh_cni_installer::{Backoff, NextAction, Step};
use proptest::prelude::*;

use crate::assert_snapshot;

fn write(path: &str) -> Vec<Step> {
    let path = PathBuf::from(path);
    let from = PathBuf::from("from");
    vec![Step::WriteBinary { from, path }]
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The actions if the file needs a repair at each of these times.
fn actions(backoff: &mut Backoff, path: &str, times: impl IntoIterator<Item = u64>) -> String {
    let mut text = String::new();
    for at in times {
        let action = match backoff.next_action(millis(at), &write(path)) {
            NextAction::None => "nothing".to_owned(),
            NextAction::Apply => "repair".to_owned(),
            NextAction::BackOff { path, pause } => {
                format!("back off from {} for {pause:?}", path.display())
            }
            NextAction::Wait { pause } => format!("continue to wait, for {pause:?}"),
        };
        writeln!(text, "{:>7.3} s: {action}", millis(at).as_secs_f64()).unwrap();
    }
    text
}

#[test]
fn a_contested_file_is_repaired_with_growing_pauses() {
    let mut backoff = Backoff::default();
    let mut text = actions(&mut backoff, "list", (0..6).map(|round| round * 100));
    text += "the pause is over\n";
    text += &actions(
        &mut backoff,
        "list",
        [1_399, 1_401, 1_500, 3_499, 3_501, 3_600, 7_700, 7_800],
    );
    text += "the other program has stopped for a minute\n";
    text += &actions(&mut backoff, "list", [70_000, 70_100]);
    assert_snapshot!(
        "keep-contested",
        "the installation and three immediate repairs; then pauses of 1, 2, 4 and 8 seconds with \
         one attempt after each; after a minute without a conflict, an immediate repair",
        text
    );
}

#[test]
fn an_occasional_restart_of_another_program_is_repaired_at_once() {
    let mut backoff = Backoff::default();
    let hourly = actions(&mut backoff, "list", (0..20).map(|hour| hour * 3_600_000));
    assert!(!hourly.contains("back off"), "{hourly}");
}

#[test]
fn backing_off_from_one_file_does_not_affect_another() {
    let mut backoff = Backoff::default();
    let list = actions(&mut backoff, "list", [0, 1, 2, 3, 4]);
    assert!(list.ends_with("back off from list for 1s\n"), "{list}");
    assert!(actions(&mut backoff, "binary", [5]).contains("repair"));
}

#[test]
fn failures_are_retried_with_growing_pauses() {
    let mut backoff = Backoff::default();
    let pauses: Vec<_> = (0..6).map(|_| backoff.failed().as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
    backoff.succeeded();
    assert_eq!(backoff.failed(), Duration::from_secs(1));
}

proptest! {
    #[test]
    fn repairs_are_limited_while_a_file_is_contested(
        gaps in prop::collection::vec(1_u64..2_000, 1..300),
    ) {
        let mut backoff = Backoff::default();
        let mut now = 0;
        let mut repaired = Vec::new();
        for gap in gaps {
            now += gap;
            match backoff.next_action(millis(now), &write("list")) {
                NextAction::Apply => repaired.push(now),
                NextAction::BackOff { pause, .. } | NextAction::Wait { pause } => {
                    prop_assert!(pause <= Duration::from_secs(60));
                }
                NextAction::None => prop_assert!(false, "there are steps to apply"),
            }
            let recent = repaired.iter().filter(|at| now - **at < 1_000).count();
            prop_assert!(recent <= 4, "{repaired:?}");
        }
    }

    #[test]
    fn without_steps_there_is_no_action(times in prop::collection::vec(0_u64..1 << 40, 1..50)) {
        let mut backoff = Backoff::default();
        for at in times {
            prop_assert_eq!(backoff.next_action(millis(at), &[]), NextAction::None);
        }
    }
}
