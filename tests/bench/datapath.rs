//! What the rules cost connections. Prints measurements, and asserts nothing about time.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

mod connections;

fn main() {
    let rounds = std::env::var("RUNS").map_or(101, |runs| {
        runs.parse().expect("RUNS is a number of rounds")
    });
    print!("{}", connections::connections(rounds));
}
