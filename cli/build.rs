//! Brings the files of the dashboard into the program: those in `dashboard/`, and the libraries that
//! `make dashboard` put into its `node_modules`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The libraries: the name that the page uses, the package, and its file.
const LIBRARIES: &[(&str, &str, &str)] = &[
    ("chart.js", "chart.js", "dist/chart.umd.js"),
    ("preact.js", "preact", "dist/preact.mjs"),
    ("hooks.js", "preact", "hooks/dist/hooks.mjs"),
    ("htm.js", "htm", "dist/htm.module.js"),
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
    for &(name, package, source) in LIBRARIES {
        // Cargo alone can build the rest; the page then says what is missing.
        let package = folder.join("node_modules").join(package);
        let library = fs::read_to_string(package.join(source)).unwrap_or_default();
        if library.is_empty() {
            println!("cargo::warning=the dashboard is built without {name}: make dashboard");
        }
        // Its map is not there.
        let end = library.rfind("//# sourceMappingURL=").unwrap_or(library.len());
        // A browser finds modules by their addresses only.
        let library = library[..end].replace("\"preact\"", "\"./preact.js\"");
        let licence = ["LICENSE", "LICENSE.md"].map(|file| fs::read_to_string(package.join(file)));
        let licence = licence.into_iter().find_map(Result::ok).unwrap_or_default();
        let library = match library.is_empty() || library.starts_with("/*!") {
            true => library,
            // A licence goes with all copies; Chart.js has its own at the top.
            false => format!("/*!\n{}\n*/\n{library}", licence.trim()),
        };
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
