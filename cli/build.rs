//! Brings the library of the dashboard's charts into the program, from where `make dashboard` put it.

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=dashboard");
    let source = Path::new("dashboard/node_modules/chart.js/dist/chart.umd.js");
    let target = Path::new(&env::var_os("OUT_DIR").expect("cargo sets it")).join("chart.js");
    // Cargo alone can build the rest; the page then says what is missing, and shows tables.
    let library = fs::read(source).unwrap_or_default();
    if library.is_empty() {
        println!("cargo::warning=the dashboard is built without its charts: make dashboard");
    }
    // Its map is not there.
    let end = library.windows(21).rposition(|part| part == b"//# sourceMappingURL=");
    fs::write(target, &library[..end.unwrap_or(library.len())]).expect("cargo made the folder");
}
