//! Roots are those of pymerkle, from the same leaves.

use std::process::{Command, Stdio};

use eventlog_tests::{program, random};

use super::python;

#[test]
fn the_roots_of_seals_and_blocks_are_those_of_pymerkle() {
    let mut random = random::Random::new();
    let sizes = (0..20).map(|_| 1 + random.below(2000)).chain([1, 2, 3, 255, 256, 257, 513, 2000]);
    let sizes: Vec<String> = sizes.map(|size| size.to_string()).collect();
    let mut leaves = Command::new(program::example("leaves"));
    leaves.arg(random.below(1 << 30).to_string()).args(&sizes);
    let mut leaves = leaves.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut pymerkle = python("roots.py");
    let pymerkle = pymerkle.stdin(leaves.stdout.take().expect("piped")).output();
    let pymerkle = pymerkle.expect("make setup-tests");
    assert!(leaves.wait().expect("it is ours").success());
    let said = String::from_utf8_lossy(&pymerkle.stderr);
    assert!(pymerkle.status.success(), "{sizes:?}: {said}");
    let blocks: u64 =
        sizes.iter().map(|size| size.parse::<u64>().expect("ours").div_ceil(256)).sum();
    let compared = String::from_utf8_lossy(&pymerkle.stdout).trim().to_owned();
    assert_eq!(compared, format!("{} {blocks}", sizes.len()));
}
