//! Brings the files of the dashboard into the program: those in `dashboard/`, and the libraries that
//! `make dashboard` put into its `node_modules`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The libraries: the name that the page uses, the file of the package, and the imports in it that a
/// browser cannot resolve.
const LIBRARIES: &[(&str, &str, Option<(&str, &str)>)] = &[
    ("chart.js", "chart.js/dist/chart.umd.js", None),
    ("preact.js", "preact/dist/preact.mjs", None),
    ("hooks.js", "preact/hooks/dist/hooks.mjs", Some(("\"preact\"", "\"./preact.js\""))),
    ("htm.js", "htm/dist/htm.module.js", None),
];

fn main() {
    println!("cargo::rerun-if-changed=dashboard");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard");
    let mut files: Vec<(String, PathBuf)> = fs::read_dir(&folder)
        .expect("cli/dashboard")
        .map(|entry| entry.expect("cli/dashboard").path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().expect("a file").to_string_lossy().into_owned(), path))
        .filter(|(name, _)| !name.starts_with("package") && !name.starts_with('.'))
        .collect();
    for &(name, source, import) in LIBRARIES {
        // Cargo alone can build the rest; the page then says what is missing.
        let library = fs::read_to_string(folder.join("node_modules").join(source));
        let library = library.unwrap_or_default();
        if library.is_empty() {
            println!("cargo::warning=the dashboard is built without {name}: make dashboard");
        }
        // Its map is not there.
        let end = library.rfind("//# sourceMappingURL=").unwrap_or(library.len());
        let mut library = library[..end].to_owned();
        if let Some((package, file)) = import {
            library = library.replace(package, file);
        }
        let target = out.join(name);
        fs::write(&target, library).expect("cargo made the folder");
        files.push((name.to_owned(), target));
    }
    files.sort();
    let mut list = String::from("&[\n");
    for (name, path) in files {
        let line = format!("({name:?}, include_bytes!({path:?}).as_slice()),");
        writeln!(list, "    {line}").expect("to a string");
    }
    list.push_str("]\n");
    fs::write(out.join("dashboard_files.rs"), list).expect("cargo made the folder");
}
