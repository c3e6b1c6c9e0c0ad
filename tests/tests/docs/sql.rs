//! The SQL on the pages runs and prints what the pages show.
//!
//! Each page has a database of its own in one cluster, and one session in it, which begins as a
//! superuser. The README comes first, in an empty database: it makes the roles. Every other page
//! gets a copy of a database in which the README's *Getting started* has run.

use std::collections::HashMap;
use std::io::Write;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;

use eventlog_tests::Cluster;

use crate::cluster;
use crate::page::{Block, Page, pages, tidy};

/// What pages call their database. Databases have names of the same length, so that tables which
/// show one keep their width.
const DATABASE: &str = "mydb";

/// What pages call the file with the hash key; the cluster has one elsewhere.
const KEY_FILE: &str = "/etc/eventlog/hash.key";

/// The database in which *Getting started* has run.
const TEMPLATE: &str = "page_template";

/// Feeds a script to psql as a user types it, and returns its standard output and standard error.
fn psql(cluster: &Cluster, database: &str, script: String) -> (String, String) {
    let mut psql = cluster
        .client("psql")
        .args(["-X", "-q", "-d", database])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql");
    let mut stdin = psql.stdin.take().expect("piped");
    let feeder = thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = psql.wait_with_output().expect("psql");
    let _ = feeder.join().expect("the feeder");
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Takes what stands before a mark off a text, with the mark; returns it and the rest of the line.
fn until<'t>(text: &mut &'t str, mark: &str) -> (&'t str, &'t str) {
    let (before, after) =
        text.split_once(mark).unwrap_or_else(|| panic!("psql ended before {mark}: {text}"));
    let (rest, after) = after.split_once('\n').expect("a whole line");
    *text = after;
    (before, rest.trim())
}

/// Runs a page in a database, and returns what is not as the page says.
fn run(cluster: &Cluster, database: &str, page: &Page, key_file: &str) -> Vec<String> {
    let blocks = page.blocks();
    let mut script = String::new();
    for Block { line, sql, .. } in &blocks {
        let sql = sql.replace(DATABASE, database).replace(KEY_FILE, key_file);
        script.push_str(&format!("{sql}\n\\echo @@{line}@@\n\\warn @@{line}@@ :SQLSTATE\n"));
    }
    let (stdout, stderr) = psql(cluster, database, script);
    let (mut stdout, mut stderr) = (stdout.as_str(), stderr.as_str());
    let mut wrong = Vec::new();
    for Block { line, error, shown, .. } in &blocks {
        let mark = format!("@@{line}@@");
        let (output, _) = until(&mut stdout, &mark);
        let (messages, sqlstate) = until(&mut stderr, &mark);
        let printed = tidy(&format!("{messages}{output}")).replace(database, DATABASE);
        let errors = messages.lines().filter(|line| line.starts_with("ERROR:")).count();
        let as_expected = match error {
            Some(expected) => errors == 1 && sqlstate == expected,
            None => errors == 0 && sqlstate == "00000",
        };
        if !as_expected {
            wrong.push(format!("{}:{line}: ends with {sqlstate}\n{printed}", page.path));
        }
        if let Some(shown) = shown
            && !format!("\n{printed}").ends_with(&format!("\n{shown}"))
        {
            wrong.push(format!("{}:{line}: shows\n{shown}\nand printed\n{printed}", page.path));
        }
    }
    wrong
}

/// Returns the names of the roles that a page makes.
fn roles(page: &Page) -> Vec<String> {
    let blocks = page.blocks();
    let statements = blocks.iter().flat_map(|block| block.sql.lines());
    statements
        .filter_map(|line| line.strip_prefix("CREATE ROLE "))
        .map(|rest| rest.split([' ', ';']).next().expect("a name").to_owned())
        .collect()
}

/// The blocks of *Getting started*, in a database of their own; its roles are there already.
fn make_template(cluster: &Cluster, readme: &Page) {
    cluster.psql("postgres", "postgres", &format!("CREATE DATABASE {TEMPLATE}")).expect("new");
    let mut script = String::new();
    for block in readme.blocks().iter().filter(|block| block.section == "Getting started") {
        let lines = block.sql.lines().filter(|line| !line.starts_with("CREATE ROLE "));
        script.extend(lines.flat_map(|line| [line, "\n"]));
    }
    psql(cluster, TEMPLATE, script);
    let events = cluster.psql(TEMPLATE, "postgres", "SELECT count(*) FROM eventlog.events");
    assert_ne!(events.expect("a log").trim(), "0", "Getting started logs events");
}

#[test]
fn every_block_of_sql_does_what_its_page_says() {
    let mut pages: Vec<Page> =
        pages().into_iter().filter(|page| !page.blocks().is_empty()).collect();
    assert!(pages.len() > 10);
    let cluster = cluster();
    let key_file = cluster.write_secret("hash_key", b"a key that is long enough");
    let key_file = key_file.display().to_string();

    let readme = pages.remove(0);
    cluster.psql("postgres", "postgres", "CREATE DATABASE my00").expect("a new database");
    let mut wrong = run(cluster, "my00", &readme, &key_file);
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n\n"));
    make_template(cluster, &readme);

    let queue = Mutex::new(pages.iter().zip(1..));
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let (page, database) = {
                        // One at a time: CREATE DATABASE wants its template for itself.
                        let mut queue = queue.lock().expect("nobody panics with it");
                        let Some((page, number)) = queue.next() else { return };
                        let database = format!("my{number:02}");
                        let create = format!("CREATE DATABASE {database} TEMPLATE {TEMPLATE}");
                        cluster.psql("postgres", "postgres", &create).expect("a new database");
                        (page, database)
                    };
                    let wrong = run(cluster, &database, page, &key_file);
                    found.lock().expect("nobody panics with it").extend(wrong);
                }
            });
        }
    });
    wrong = found.into_inner().expect("nobody panics with it");
    wrong.sort();
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n\n"));
}

#[test]
fn pages_share_a_cluster_without_meeting() {
    let mut made_by = HashMap::new();
    for page in pages() {
        let own = roles(&page);
        for role in &own {
            if let Some(other) = made_by.insert(role.clone(), page.path.clone()) {
                panic!("{role} is made by {other} and by {}: choose another name", page.path);
            }
        }
        for block in page.blocks() {
            let place = format!("{}:{}", page.path, block.line);
            assert!(!block.sql.contains("ALTER SYSTEM"), "{place}: not as SQL, show it as sh");
            let of_a_role = block.sql.lines().filter_map(|line| line.strip_prefix("ALTER ROLE "));
            for rest in of_a_role {
                let is_own = own.iter().any(|role| rest.starts_with(&format!("{role} ")));
                let is_here = is_own || rest.contains(" IN DATABASE ");
                assert!(is_here, "{place}: ALTER ROLE {rest} counts on other pages too");
            }
        }
    }
    assert!(made_by.len() > 3);
}
