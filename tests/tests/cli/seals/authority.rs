//! A time-stamping authority: `openssl ts` behind a small HTTP server.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use eventlog_tests::cluster::run;

const CERTIFICATES: &str = r#"
    cd "$1"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=root of the test' -keyout root.key -out root.pem
    openssl req -new -newkey rsa:2048 -nodes -subj '/CN=authority of the test' -keyout tsa.key -out tsa.csr
    printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n' > tsa.ext
    openssl x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial -days 2 -extfile tsa.ext -out tsa.pem
    echo 01 > serial
    cat > tsa.cnf <<END
[tsa]
default_tsa = test
[test]
serial = $1/serial
signer_cert = $1/tsa.pem
signer_key = $1/tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_alg = sha256
END
"#;

/// How an authority answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It stamps.
    Stamps,
    /// It answers with what it answered first.
    Repeats,
    /// It answers 500.
    Breaks,
    /// It answers with something else.
    Babbles,
}

/// An authority that listens until the test ends.
pub(super) struct Authority {
    address: SocketAddr,
    folder: PathBuf,
    mood: Arc<Mutex<Mood>>,
}

impl Authority {
    /// Starts one with its files in this folder.
    pub(super) fn start(folder: &Path) -> Self {
        fs::create_dir(folder).expect("a new folder");
        run(Command::new("sh").args(["-ec", CERTIFICATES, "sh"]).arg(folder));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let mood = Arc::new(Mutex::new(Mood::Stamps));
        let (of_thread, folder_of_thread) = (Arc::clone(&mood), folder.to_owned());
        std::thread::spawn(move || {
            let mut first = None;
            for stream in listener.incoming() {
                let mood = *of_thread.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = serve(stream.expect("a connection"), mood, &folder_of_thread, &mut first);
            }
        });
        Authority { address, folder: folder.to_owned(), mood }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/stamp", self.address)
    }

    /// The certificate that signed that of the authority.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    pub(super) fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }
}

fn serve(
    mut stream: TcpStream,
    mood: Mood,
    folder: &Path,
    first: &mut Option<Vec<u8>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    let mut is_query = false;
    while reader.read_line(&mut line)? > 2 {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        is_query |= lower.trim_end() == "content-type: application/timestamp-query";
        line.clear();
    }
    assert!(is_query, "a request of RFC 3161 says so");
    let mut query = vec![0; length];
    reader.read_exact(&mut query)?;
    let answer = match (mood, first.clone()) {
        (Mood::Repeats, Some(answer)) => answer,
        (Mood::Babbles, _) => b"<html>welcome</html>".to_vec(),
        _ => reply(folder, &query),
    };
    first.get_or_insert_with(|| answer.clone());
    let status = if mood == Mood::Breaks { "500 Oh" } else { "200 OK" };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&answer)
}

/// Has openssl answer a query.
fn reply(folder: &Path, query: &[u8]) -> Vec<u8> {
    fs::write(folder.join("query.tsq"), query).expect("the folder is ours");
    run(Command::new("openssl")
        .args([
            "ts",
            "-reply",
            "-config",
            "tsa.cnf",
            "-queryfile",
            "query.tsq",
            "-out",
            "reply.tsr",
        ])
        .current_dir(folder));
    fs::read(folder.join("reply.tsr")).expect("openssl wrote it")
}
