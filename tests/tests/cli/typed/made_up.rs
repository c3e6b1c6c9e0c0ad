//! Event types made up at random, with what is awkward in names, keys, values and descriptions: the code
//! for them compiles in each language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eventlog_tests::{program, scaled};
use serde_json::{Map, Value, json};

use super::{TSC, copy, mypy, pyright, tsc};
use crate::files::Folder;
use crate::server::printed;

/// Numbers that look random and are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % most as u64) as usize
    }

    fn is_one_in(&mut self, most: usize) -> bool {
        self.below(most) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn some<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most)).map(|_| one(self)).collect()
    }
}

/// Words that mean something in one of the languages, or to their compilers.
const WORDS: &[&str] = &[
    "type",
    "Type",
    "self",
    "Self",
    "class",
    "new",
    "constructor",
    "__proto__",
    "prototype",
    "then",
    "track",
    "toString",
    "valueOf",
    "hasOwnProperty",
    "function",
    "default",
    "delete",
    "get",
    "set",
    "readonly",
    "any",
    "unknown",
    "never",
    "string",
    "number",
    "object",
    "Record",
    "NonNullable",
    "Options",
    "Event",
    "Option",
    "String",
    "Vec",
    "None",
    "True",
    "def",
    "lambda",
    "print",
    "str",
    "int",
    "float",
    "bool",
    "list",
    "dict",
    "datetime",
    "Any",
    "Dict",
    "Literal",
    "Mapping",
    "Optional",
    "Union",
    "TypedDict",
    "Protocol",
    "Log",
    "Events",
    "EventName",
    "EventPayloads",
    "typed",
    "log",
    "data",
    "options",
    "name",
    "key",
    "other",
    "actor",
    "subject",
    "occurred_at",
    "idempotency_key",
    "_payload",
    "_deprecated",
    "crate",
    "super",
    "r#type",
    "fn",
    "match",
    "case",
    "async",
    "await",
    "2nd",
    "1",
    "-1",
    "0x1",
    "a-b",
    "a b",
    "a.b",
    "",
    "_",
    "$",
    "größe",
    "日本",
    "é",
    "e\u{301}",
    "ﬁ",
    "K",
    "🙂",
    "\u{202e}evil\u{202c}",
    "\u{2028}",
    "\u{feff}",
    "\u{200b}",
    "\u{0}",
    "\u{7}",
    "\u{1b}[31m",
    "\t",
    "\n",
    "\r\n",
    "\u{85}",
    "\\",
    "\\\\",
    "\"",
    "\"\"",
    "\"\"\"",
    "'",
    "'''",
    "`",
    "```",
    "${x}",
    "#{x}",
    "{",
    "}",
    "{}",
    "{0}",
    "%s",
    "*/",
    "/*",
    "/**",
    "*\\/",
    "//",
    "///",
    "//!",
    "#",
    "#!",
    "-- ",
    "<!--",
    "-->",
    "</script>",
    "@deprecated",
    "@ts-nocheck",
    "@param {",
    "{@link x",
    "# type: ignore",
    "# pyright: basic",
    "\\u0041",
    "\\N{BULLET}",
    "\\x",
    "\\",
    "\u{d7ff}",
    "\u{ffff}",
    "\u{10ffff}",
    "\u{e0001}",
];

/// Names of the log's alphabet that are words elsewhere.
const NAMES: &str = "\
    type self class new constructor then track to_string value_of has_own_property default list \
    dict str int float bool datetime any literal mapping optional union typed_dict protocol log \
    events event_name event_payloads typed event option string vec none true crate super match \
    async import from lambda record non_nullable object array promise a.b a_b a..b a. a_ a1 a_1 \
    data options print payload deprecated tuple no_return type_checking";

/// Text of some words, with or without something between them.
fn text(random: &mut Random, most: usize) -> String {
    let words = random.some(most, |random| random.pick(WORDS));
    let between = random.pick(&["", " ", "\n", "_"]);
    words.join(between)
}

fn name(random: &mut Random) -> String {
    let names: Vec<&str> = NAMES.split(' ').collect();
    let mut name = random.pick(&names).to_owned();
    if random.is_one_in(2) {
        name += random.pick(&["_", ".", "", "_x", ".required", "_optional"]);
        name += random.pick(&names);
    }
    name
}

fn value(random: &mut Random) -> Value {
    match random.below(8) {
        0 => json!(true),
        1 => json!(false),
        2 => json!(random.below(5)),
        3 => json!(-0.5),
        4 => json!(9_007_199_254_740_993_i64),
        5 => json!(1e300),
        _ => json!(text(random, 3)),
    }
}

fn rules(random: &mut Random) -> Value {
    let keys = |random: &mut Random| random.some(6, |random| text(random, 3));
    let (required, optional) = (keys(random), keys(random));
    let declared: Vec<String> =
        required.iter().chain(&optional).cloned().chain(["k".to_owned()]).collect();
    let declared: Vec<&str> = declared.iter().map(String::as_str).collect();
    let (mut allowed, mut types) = (Map::new(), Map::new());
    for _ in 0..random.below(4) {
        let key = random.pick(&declared).to_owned();
        match random.is_one_in(2) {
            true => {
                let texts_only = random.is_one_in(2);
                let values = random.some(6, |random| match texts_only {
                    true => json!(text(random, 2)),
                    false => value(random),
                });
                _ = allowed.insert(key, values.into());
            }
            false => {
                let kind = random.pick(&["string", "number", "boolean", "array", "object"]);
                _ = types.insert(key, kind.into());
            }
        }
    }
    let mut rules = json!({
        "description": text(random, 8),
        "required_keys": required,
        "optional_keys": optional,
        "allow_other_keys": random.is_one_in(2),
        "allowed_values": allowed,
        "value_types": types,
    });
    if random.is_one_in(3) {
        rules["status"] = json!("deprecated");
        rules["successor"] = random.is_one_in(2).then(|| text(random, 3)).into();
    }
    for rule in ["duration_key", "success_key", "error_key", "actor_key", "occurred_at_key"] {
        if random.is_one_in(4) {
            rules[rule] = json!(random.pick(&declared));
        }
    }
    rules
}

fn plan(random: &mut Random, names: usize) -> String {
    let events: Map<String, Value> = (0..names).map(|_| (name(random), rules(random))).collect();
    json!({ "eventlog_plan": 1, "events": events }).to_string()
}

/// A package that is checked with the crates that the code is for; it stays, so that they are compiled once.
fn rust_package() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("target/typed-rust");
    fs::create_dir_all(folder.join("src")).expect("target is ours");
    let manifest = r#"
        [package]
        name = "made-up"
        edition = "2024"
        [dependencies]
        eventlog-writer = { path = "../../writer", default-features = false }
        serde = { version = "1", features = ["derive"] }
        serde_json = "1"
        [workspace]
    "#;
    fs::write(folder.join("Cargo.toml"), manifest).expect("target is ours");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock");
    folder
}

/// Five plans in `make test`, 200 in `make proof`.
#[test]
fn code_for_event_types_made_up_at_random_compiles_in_each_language() {
    let folder = Folder::new("typed-made-up");
    let rust = rust_package();
    let folder = folder.path("");
    copy(&folder, "typescript", &["tsconfig.json"]);
    let rounds = scaled(5, 200);
    let mut random = Random(18);
    let (mut modules, mut python) =
        (String::from("#![deny(warnings)]\n#![allow(missing_docs)]\n"), Vec::new());
    for round in 0..rounds {
        let names = 1 + random.below(40);
        let plan = plan(&mut random, names);
        let file = folder.join("plan.json");
        fs::write(&file, &plan).expect("ours");
        let codegen = |arguments: &[&str], to: &Path| {
            let mut command = Command::new(program::eventlog());
            command.args(["codegen", "--plan"]).arg(&file).args(arguments).arg("--output").arg(to);
            printed(&mut command);
        };
        codegen(&["-l", "typescript"], &folder.join(format!("events{round}.ts")));
        codegen(&["-l", "typescript", "--client"], &folder.join(format!("client{round}.ts")));
        for (client, module) in [("", "events"), ("--client", "client")] {
            let module = format!("{module}{round}.py");
            let arguments: Vec<&str> =
                ["-l", "python", client].into_iter().filter(|a| !a.is_empty()).collect();
            codegen(&arguments, &folder.join(&module));
            python.push(module);
        }
        codegen(&["-l", "rust"], &rust.join(format!("src/events{round}.rs")));
        modules += &format!("pub mod events{round};\n");
    }
    fs::write(rust.join("src/lib.rs"), modules).expect("target is ours");
    for script in TSC {
        printed(tsc(script, &folder).arg("--noEmit"));
    }
    let files: Vec<&str> = python.iter().map(String::as_str).collect();
    printed(&mut mypy(&folder, &files));
    printed(&mut pyright(&folder, &files));
    printed(Command::new("python3").args(["-B", "-W", "error"]).args(["-c", "import importlib, sys\nfor file in sys.argv[1:]: importlib.import_module(file[:-3])"]).args(&files).current_dir(&folder));
    printed(
        Command::new(env!("CARGO"))
            .args(["check", "--quiet", "--offline"])
            .current_dir(&rust)
            .env_remove("RUSTFLAGS")
            .env("CARGO_TARGET_DIR", rust.join("target")),
    );
}
