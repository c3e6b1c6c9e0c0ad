//! HTTP by hand: what a well-meant client library would never send can be sent too.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Generous: nothing here should take as long.
const LONG: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// What a refusal says.
    #[track_caller]
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().expect("a refusal").to_owned()
    }
}

/// A connection to the gateway that is used again and again.
#[derive(Debug)]
pub(crate) struct Http {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Http {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Http { address, stream: None }
    }

    /// A new connection, to send raw bytes on.
    pub(crate) fn raw(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Asks, on a new connection if the old one was closed meanwhile.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n").into_bytes();
        for (name, value) in headers {
            request.extend(format!("{name}: {value}\r\n").bytes());
        }
        if !body.is_empty() || method == "POST" {
            request.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
        }
        request.extend(b"\r\n");
        request.extend(body);
        self.send(&request).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends bytes and reads the answer.
    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<Answer> {
        if let Some(mut stream) = self.stream.take()
            && stream.write_all(request).is_ok()
            && let Ok(answer) = read_answer(&mut stream)
        {
            return Ok(self.keep(stream, answer));
        }
        let mut stream = self.raw();
        // Who is refused early may not read all.
        let _ = stream.write_all(request);
        let answer = read_answer(&mut stream)?;
        Ok(self.keep(stream, answer))
    }

    fn keep(&mut self, stream: TcpStream, answer: Answer) -> Answer {
        if answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        answer
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// Posts to `/api/track` with a key.
    pub(crate) fn track(&mut self, key: &str, body: &str) -> Answer {
        self.post("/api/track", key, body)
    }

    /// The same, and waits for what becomes of the events.
    pub(crate) fn track_and_wait(&mut self, key: &str, body: &str) -> Answer {
        self.post("/api/track?wait=true", key, body)
    }

    fn post(&mut self, path: &str, key: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        self.ask("POST", path, &headers, body.as_bytes())
    }
}

pub(crate) fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, &mut bytes)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let status = status.ok_or_else(|| io::Error::other("no status"))?;
    let mut answer = Answer { status, headers, body: Vec::new() };
    if answer.header("transfer-encoding") == Some("chunked") {
        while !body.ends_with(b"0\r\n\r\n") {
            more(stream, &mut body)?;
        }
        answer.body = unchunked(&body);
    } else {
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        while body.len() < length.unwrap_or(0) {
            more(stream, &mut body)?;
        }
        answer.body = body;
    }
    Ok(answer)
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 8192];
    match stream.read(&mut chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => {
            bytes.extend_from_slice(&chunk[..read]);
            Ok(())
        }
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&bytes[..line]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        body.extend_from_slice(&bytes[line + 2..line + 2 + size]);
        bytes = &bytes[line + 4 + size..];
    }
    body
}
