//! When a node is put right at once, and when another program is let have its way.

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

/// What is done when the file is found undone at each of these times.
fn told(backoff: &mut Backoff, path: &str, times: impl IntoIterator<Item = u64>) -> String {
    let mut text = String::new();
    for at in times {
        let done = match backoff.next_action(millis(at), &write(path)) {
            NextAction::None => "rest".to_owned(),
            NextAction::Apply => "put right".to_owned(),
            NextAction::BackOff { path, pause } => {
                format!("{} left alone for {pause:?}", path.display())
            }
            NextAction::Wait { pause } => format!("still left alone, for {pause:?}"),
        };
        writeln!(text, "{:>7.3} s: {done}", millis(at).as_secs_f64()).unwrap();
    }
    text
}

#[test]
fn two_writers_do_not_fight() {
    let mut backoff = Backoff::default();
    let mut fight = told(&mut backoff, "list", (0..6).map(|round| round * 100));
    fight += "a pause is over\n";
    fight += &told(
        &mut backoff,
        "list",
        [1_399, 1_401, 1_500, 3_499, 3_501, 3_600, 7_700, 7_800],
    );
    fight += "the other program has stopped for a minute\n";
    fight += &told(&mut backoff, "list", [70_000, 70_100]);
    assert_snapshot!(
        "keep-contested",
        "the installation, and three times at once what undoes it; then pauses of 1, 2, 4, 8 \
         seconds with one try after each; a minute without a contest, and it is at once again",
        fight
    );
}

#[test]
fn a_program_that_starts_anew_now_and_then_is_no_contest() {
    let mut backoff = Backoff::default();
    let hourly = told(&mut backoff, "list", (0..20).map(|hour| hour * 3_600_000));
    assert!(!hourly.contains("alone"), "{hourly}");
}

#[test]
fn a_contest_of_one_file_is_none_of_another() {
    let mut backoff = Backoff::default();
    let list = told(&mut backoff, "list", [0, 1, 2, 3, 4]);
    assert!(list.ends_with("list left alone for 1s\n"), "{list}");
    assert!(told(&mut backoff, "binary", [5]).contains("put right"));
}

#[test]
fn a_disk_that_refuses_is_left_alone_longer_and_longer() {
    let mut backoff = Backoff::default();
    let pauses: Vec<_> = (0..6).map(|_| backoff.failed().as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
    backoff.succeeded();
    assert_eq!(backoff.failed(), Duration::from_secs(1));
}

proptest! {
    #[test]
    fn work_never_exceeds_what_a_contest_allows(
        gaps in prop::collection::vec(1_u64..2_000, 1..300),
    ) {
        let mut backoff = Backoff::default();
        let mut now = 0;
        let mut worked = Vec::new();
        for gap in gaps {
            now += gap;
            match backoff.next_action(millis(now), &write("list")) {
                NextAction::Apply => worked.push(now),
                NextAction::BackOff { pause, .. } | NextAction::Wait { pause } => {
                    prop_assert!(pause <= Duration::from_secs(60));
                }
                NextAction::None => prop_assert!(false, "there was something to do"),
            }
            let lately = worked.iter().filter(|at| now - **at < 1_000).count();
            prop_assert!(lately <= 4, "{worked:?}");
        }
    }

    #[test]
    fn nothing_to_do_is_rest_at_any_time(times in prop::collection::vec(0_u64..1 << 40, 1..50)) {
        let mut backoff = Backoff::default();
        for at in times {
            prop_assert_eq!(backoff.next_action(millis(at), &[]), NextAction::None);
        }
    }
}
