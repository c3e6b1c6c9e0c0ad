//! The clients `pg-eventlog` as they are published: their packages, their own tests, the examples with the
//! frameworks that they are for, and a page in a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use eventlog_tests::wait_for;

use crate::own_clients::{build, clients};
use crate::server::World;

/// Runs a command that must go well; what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// The Python with the frameworks, which `make setup-tests` makes.
fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/examples/bin/python3")
}

/// An empty folder, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("eventlog-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_clients_pass_their_own_tests() {
    let tests = clients().join("javascript/tests/unit.test.mjs");
    run(Command::new("timeout").args(["300", "node", "--test"]).arg(tests));
    let mut tests = Command::new("timeout");
    tests.args(["300", "python3", "-m", "unittest", "discover", "tests"]);
    tests.current_dir(clients().join("python")).env("PYTHONPATH", "src");
    run(tests.env("PYTHONDONTWRITEBYTECODE", "1"));
}

#[test]
fn the_package_for_javascript_is_imported_and_required_where_it_is_installed() {
    let folder = Folder::new("npm");
    let modules = folder.0.join("node_modules");
    std::fs::create_dir_all(&modules).expect("a folder");
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", "--pack-destination"]).arg(&folder.0);
    let packed = run(pack.current_dir(clients().join("javascript")));
    let archive = packed.trim().lines().last().expect("a name");
    run(Command::new("tar").args(["xzf", archive]).current_dir(&folder.0));
    std::fs::rename(folder.0.join("package"), modules.join("pg-eventlog")).expect("a package");
    let said = "const log = new EventLog({ url: 'http://127.0.0.1:9', key: 'k', onDrop: null });
                log.track('a', {}); console.log(log.stats().pending); log.close({ timeoutMs: 0 });";
    let import = format!("import {{ EventLog }} from 'pg-eventlog'; {said}");
    let require = format!("const {{ EventLog }} = require('pg-eventlog'); {said}");
    for (kind, program) in [("module", import), ("commonjs", require)] {
        let mut node = Command::new("node");
        node.args([&format!("--input-type={kind}"), "-e", &program]).current_dir(&folder.0);
        assert_eq!(run(&mut node).trim(), "1", "{kind}");
    }
    for file in ["dist/index.d.ts", "dist/index.d.cts", "README.md"] {
        assert!(modules.join("pg-eventlog").join(file).exists(), "{file}");
    }
}

/// The blocks of a page that are whole programs: those that import.
fn programs(page: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(path).expect("a page");
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1).map(|rest| rest.split("```").next().expect("one"));
    blocks.filter(|block| block.starts_with("import")).map(str::to_owned).collect()
}

#[test]
fn the_lines_of_the_manual_run_as_they_stand() {
    build();
    let folder = Folder::new("manual");
    std::fs::create_dir_all(folder.0.join("node_modules")).expect("a folder");
    let package = std::fs::canonicalize(clients().join("javascript")).expect("it is there");
    std::os::unix::fs::symlink(package, folder.0.join("node_modules/pg-eventlog")).expect("a link");
    let mut ran = 0;
    for (page, language) in [
        ("docs/javascript.md", "js"),
        ("clients/javascript/README.md", "js"),
        ("docs/python.md", "python"),
        ("clients/python/README.md", "python"),
    ] {
        for program in programs(page, language) {
            let world = World::new(&[]);
            let (interpreter, file) = match language {
                "js" => ("node", folder.0.join("program.mjs")),
                _ => ("python3", folder.0.join("program.py")),
            };
            std::fs::write(&file, &program).expect("a file");
            let mut command = Command::new(interpreter);
            command.arg(&file).env("PYTHONPATH", clients().join("python/src"));
            command.env("PYTHONDONTWRITEBYTECODE", "1").env("EVENTLOG_KEY", &world.key_a);
            command.env("EVENTLOG_URL", format!("http://{}", world.gateway.address));
            let printed = run(&mut command);
            let logged = world.events("name").len();
            assert!((1..=2).contains(&logged), "{page}: {logged}");
            if program.contains("dropped") {
                assert!(printed.contains(&format!("{logged} written, 0 dropped")), "{printed}");
            }
            ran += 1;
        }
    }
    assert_eq!(ran, 5);
}

#[test]
fn the_package_for_python_is_built_and_imported_with_its_types() {
    let folder = Folder::new("pip");
    let source = folder.0.join("source");
    // It leaves what it made beside the sources.
    run(Command::new("cp").arg("-r").arg(clients().join("python")).arg(&source));
    let mut wheel = Command::new(python());
    wheel.args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    wheel.args(["--no-build-isolation", "--wheel-dir"]).arg(&folder.0).arg(&source);
    run(&mut wheel);
    let wheel = folder.0.join("pg_eventlog-0.2.0-py3-none-any.whl");
    let program = "import sys, zipfile; sys.path.insert(0, sys.argv[1]); import pg_eventlog
print(pg_eventlog.__version__, 'pg_eventlog/py.typed' in zipfile.ZipFile(sys.argv[1]).namelist())";
    let said = run(Command::new("python3").args(["-c", program]).arg(wheel));
    assert_eq!(said.trim(), "0.2.0 True");
}

/// An example that serves on a free port.
struct Example {
    child: Child,
    address: SocketAddr,
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Example {
    fn start(name: &str, world: &World) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("bound");
        drop(free);
        let port = address.port().to_string();
        let mut command = match name {
            "express" | "fastify" => {
                build();
                let mut node = Command::new("node");
                node.arg(format!("{name}.mjs")).current_dir(clients().join("javascript/examples"));
                node
            }
            _ => {
                let mut python = Command::new(python());
                match name {
                    "fastapi" => python.args(["-m", "uvicorn", "fastapi_app:app", "--port", &port]),
                    _ => python.args(["django_app.py", "runserver", "--noreload", &port]),
                };
                python.current_dir(clients().join("python/examples"));
                python.env("PYTHONPATH", "../src").env("PYTHONDONTWRITEBYTECODE", "1");
                python
            }
        };
        command
            .env("PORT", &port)
            .env("EVENTLOG_URL", format!("http://{}", world.gateway.address))
            .env("EVENTLOG_KEY", &world.key_a);
        let child = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}; make setup-tests"));
        Example { child, address }
    }

    #[track_caller]
    fn wait_until_it_serves(&self) {
        for _ in 0..3_600 {
            if TcpStream::connect(self.address).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nothing listens on {}", self.address);
    }

    /// All of an answer. A server that closes the connection may leave out its length.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        let head = "HTTP/1.1\r\nHost: localhost\r\nX-User: user 1\r\nConnection: close";
        write!(stream, "GET {path} {head}\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Ends it by a signal.
    fn stop(mut self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status();
        assert!(status.expect("kill").success());
        self.child.wait().expect("it is ours");
    }
}

#[test]
fn the_examples_log_what_they_serve_and_send_it_before_they_end() {
    for name in ["express", "fastify", "fastapi", "django"] {
        let world = World::new(&[]);
        let example = Example::start(name, &world);
        example.wait_until_it_serves();
        for (path, says) in [("/search", "3"), ("/draw", "a circle")] {
            let answer = example.get(path);
            assert!(answer.contains(" 200 ") && answer.contains(says), "{name}: {answer}");
        }
        // Django's server for development ends in order by Ctrl-C only.
        example.stop(if name == "django" { "-INT" } else { "-TERM" });
        let found =
            world.events("name, actor, coalesce(data ->> 'toolName', data ->> 'skillName')");
        let expected = [["tool_used", "user 1", "search"], ["skill_executed", "user 1", "canvas"]];
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn a_page_sends_what_waits_when_it_goes_and_its_browser_asks_for_no_leave() {
    let world = World::new(&["--cors-origin", "*"]);
    build();
    let mut page = Command::new("timeout");
    page.args(["500", "node"]).arg(clients().join("javascript/tests/page.mjs"));
    page.env("EVENTLOG_URL", format!("http://{}", world.gateway.address));
    page.env("EVENTLOG_KEY", world.key(&["--event", "tool_used"]));
    let mut child = page.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node");
    let mut said = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut said).expect("text");
    assert_eq!(said, "gone\n");
    let sql = "SELECT count(*) || ' ' || count(DISTINCT data ->> 'n') FROM eventlog.events";
    wait_for(&mut world.db.superuser(), sql, "1100 1100");
    drop(child.stdin.take());
    assert!(child.wait().expect("it is ours").success());
}
