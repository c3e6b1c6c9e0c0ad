//! What an event costs: `make bench`, or `cargo run --release -p eventlog-bench`.
//!
//!     bench [--quick] [filter]
//!
//! Runs the subjects whose names contain `filter`, each in a private cluster. All contenders of a
//! subject take turns in one run, in a new order each round, and a ratio is the median of the
//! ratios within rounds: what else the machine does meanwhile hits both sides alike.

mod batch_memory;
mod batches;
mod clients;
mod consumers;
mod contender;
mod deliver;
mod flood;
mod gateway;
mod head_of_line;
mod memory;
mod months;
mod names;
mod partitions;
mod protocols;
mod rules;
mod scale;
mod seals;
mod single;
mod stats;
mod waits;
mod wire;
mod world;
mod writer;

use std::process::ExitCode;

use scale::{FULL, QUICK, Scale};

/// A subject and its name.
type Subject = (&'static str, fn(Scale));

const SUBJECTS: &[Subject] = &[
    ("single server", single::in_server),
    ("single client", single::from_client),
    ("batches", batches::run),
    ("rules", rules::run),
    ("names", names::run),
    ("flood", flood::run),
    ("gateway", gateway::run),
    ("gateway head of line", head_of_line::run),
    ("gateway protocols", protocols::run),
    ("clients", clients::run),
    ("consumers", consumers::run),
    ("deliver", deliver::run),
    ("seals", seals::run),
    ("writer", writer::run),
    ("months", months::run),
    ("partitions", partitions::run),
    ("waits", waits::run),
    ("memory", memory::run),
    ("memory batch", batch_memory::run),
];

fn main() -> ExitCode {
    let mut scale = FULL;
    let mut filter = String::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => scale = QUICK,
            option if option.starts_with('-') => {
                eprintln!("bench [--quick] [filter]");
                return ExitCode::FAILURE;
            }
            word => word.clone_into(&mut filter),
        }
    }

    let chosen: Vec<_> = SUBJECTS.iter().filter(|(name, _)| name.contains(&filter)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = SUBJECTS.iter().map(|(name, _)| *name).collect();
        eprintln!("no subject has {filter:?} in its name; there are: {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    for (_, run) in chosen {
        run(scale);
    }
    ExitCode::SUCCESS
}
