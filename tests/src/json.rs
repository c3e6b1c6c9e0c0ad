//! Random JSON text, with all that is awkward in it.

use crate::random::Random;

const KEYS: &[&str] = &[
    "a",
    "b",
    "ab",
    "role",
    "sessionId",
    "conversationId",
    "durationMs",
    "context",
    "",
    " ",
    "ä",
    "日本",
    "🙂",
    "a\\\"b",
    "a\\\\b",
    "\\n",
    "aVeryLongKeyThatIsLongerThanMostOfTheOthersInHere",
    "A",
    "_",
    "0",
];

const STRINGS: &[&str] = &[
    "",
    "x",
    "user",
    "assistant",
    "ä",
    "日本語",
    "🙂🙂",
    "\\u00e9",
    "\\ud83d\\ude42",
    "\\u0001",
    "\\\\",
    "\\\"",
    "<script>",
    "'; DROP TABLE events; --",
    "null",
    "\\t\\r\\n",
    "a\\u0300",
    "/home/user/projects/app",
    "/Users/user/x",
    "C:\\\\Users\\\\user\\\\projects",
    "/srv/a/b",
    "/",
    "..",
    "file://",
    "~/",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "1.0",
    "1.10",
    "-1",
    "42",
    "12345678901234567890.123456789",
    "1e400",
    "1E-400",
    "0.1",
    "3.14159265358979323846264338327950288",
    "1e5",
    "-1e-5",
    "100000000000000000000000000",
];

/// A value of at most `depth` levels.
pub fn value(random: &mut Random, depth: usize) -> String {
    let kinds = if depth == 0 { 5 } else { 8 };
    match random.below(kinds) {
        0 | 1 => "null".to_owned(),
        2 => (*random.pick(&["true", "false"])).to_owned(),
        3 => (*random.pick(NUMBERS)).to_owned(),
        4 => string(random),
        5 => {
            let n = random.below(5);
            format!("[{}]", list(n, || value(random, depth - 1)))
        }
        _ => object(random, depth - 1),
    }
}

/// An object whose values have at most `depth` levels; sometimes with enough keys that jsonb
/// stores offsets among their lengths.
pub fn object(random: &mut Random, depth: usize) -> String {
    let many = random.one_in(12);
    let n = if many { 20 + random.below(60) } else { random.below(7) };
    let pairs = list(n, || {
        let key =
            if many { format!("k{}", random.below(1000)) } else { (*random.pick(KEYS)).to_owned() };
        format!("\"{key}\":{}", value(random, depth))
    });
    format!("{{{pairs}}}")
}

fn string(random: &mut Random) -> String {
    let n = random.below(3);
    let content: String = (0..=n).map(|_| *random.pick(STRINGS)).collect();
    format!("\"{content}\"")
}

fn list(n: usize, mut item: impl FnMut() -> String) -> String {
    (0..n).map(|_| item()).collect::<Vec<_>>().join(",")
}
