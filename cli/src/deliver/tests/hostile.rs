//! Receivers that hang, drip, break off, or answer with too much or with something else than HTTP.

use super::*;

/// Short, for receivers that must be cut off. How long it takes is not asserted.
const SHORT: Duration = Duration::from_millis(300);

/// Returns what a request came to at a receiver that takes it and then writes this.
async fn after(answer: impl Into<Vec<u8>>, time_limit: Duration) -> Outcome {
    let answer = answer.into();
    let receiver = Receiver::start("127.0.0.1:0", move |mut visit| {
        let answer = answer.clone();
        async move {
            visit.take_request().await?;
            visit.stream.write_all(&answer).await?;
            visit.wait_for_the_end().await
        }
    })
    .await;
    send(&sender(time_limit), &receiver.url()).await
}

/// Returns what a request came to at a receiver that writes this again and again.
async fn under(
    begin: &'static [u8],
    again: &'static [u8],
    pause: Duration,
    time_limit: Duration,
) -> Outcome {
    let receiver = Receiver::start("127.0.0.1:0", move |mut visit| async move {
        visit.take_request().await?;
        visit.stream.write_all(begin).await?;
        loop {
            visit.stream.write_all(again).await?;
            tokio::time::sleep(pause).await;
        }
    })
    .await;
    send(&sender(time_limit), &receiver.url()).await
}

const CUT_OFF: &str = "no answer within 0.3 s";
const NOT_HTTP: &str = "the answer is not HTTP/1.1";
const TOO_LARGE: &str = "the head of the answer is too large";
const CLOSED: &str = "the receiver closed the connection before an answer";

#[tokio::test]
async fn a_receiver_that_hangs_is_cut_off() {
    assert_eq!(reason(&after("", SHORT).await), CUT_OFF);
    assert_eq!(reason(&after("HTTP/1.1 200 OK\r\n", SHORT).await), CUT_OFF);
    // It never reads.
    let receiver = Receiver::start("127.0.0.1:0", |visit| async move {
        let _stream = visit.stream;
        std::future::pending().await
    })
    .await;
    let sender = sender(SHORT);
    let endpoint = sender.endpoint(&receiver.url()).expect("a URL");
    let body = vec![b' '; 64 << 20];
    let message = Message { body: &body, ..MESSAGE };
    assert_eq!(reason(&sender.send(&endpoint, &[secret()], &message).await), CUT_OFF);
}

#[tokio::test]
async fn a_receiver_that_is_cut_off_sees_its_connection_closed() {
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let receiver = Receiver::start("127.0.0.1:0", move |mut visit| {
        let ended = ended.clone();
        async move {
            visit.wait_for_the_end().await?;
            ended.send(()).map_err(io::Error::other)
        }
    })
    .await;
    let sender = sender(SHORT);
    assert_eq!(reason(&send(&sender, &receiver.url()).await), CUT_OFF);
    ends.recv().await.expect("the connection ended");
}

#[tokio::test]
async fn a_receiver_that_drips_is_cut_off() {
    for (begin, again, pause) in [
        (&b"HTTP/1.1 200 OK\r\nx: "[..], &b"x"[..], 10),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 10),
        (b"", b"HTTP/1.1 103 Early\r\n\r\n", 0),
    ] {
        let outcome = under(begin, again, Duration::from_millis(pause), SHORT).await;
        assert_eq!(reason(&outcome), CUT_OFF);
    }
}

#[tokio::test]
async fn a_receiver_that_drips_after_its_status_has_the_message_and_holds_nobody_up() {
    let pause = Duration::from_millis(10);
    let begin = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let outcome = under(begin, b"x", pause, LONG).await;
    assert_eq!(outcome, Outcome::Delivered { status: 200 });
    let begin = b"HTTP/1.1 410 Gone\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(under(begin, b"1\r\nx\r\n", pause, LONG).await, Outcome::Gone);
}

#[tokio::test]
async fn the_body_of_an_answer_is_read_to_a_bound_and_its_connection_closed() {
    for begin in
        ["HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"]
    {
        let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let receiver = Receiver::start("127.0.0.1:0", move |mut visit| {
            let ended = ended.clone();
            async move {
                visit.take_request().await?;
                visit.stream.write_all(begin.as_bytes()).await?;
                let mut written = 0;
                while visit.stream.write_all(&[b'x'; 4096]).await.is_ok() {
                    written += 4096;
                }
                ended.send(written).map_err(io::Error::other)
            }
        })
        .await;
        let outcome = send(&sender(LONG), &receiver.url()).await;
        assert_eq!(outcome, Outcome::Delivered { status: 200 });
        // What the sender took, and what fits into the buffers of the sockets.
        let written = ends.recv().await.expect("it ends");
        assert!(written < 64 << 20, "{written} bytes");
    }
}

#[tokio::test]
async fn a_large_head_is_refused() {
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(17 << 10));
    assert_eq!(reason(&after(large, LONG).await), TOO_LARGE);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(65));
    assert_eq!(reason(&after(many, LONG).await), TOO_LARGE);
    for again in [&b"x: y\r\n"[..], &[b'y'; 1000]] {
        let endless = under(b"HTTP/1.1 200 OK\r\nx: ", again, Duration::ZERO, LONG).await;
        assert_eq!(reason(&endless), TOO_LARGE);
    }
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    for answer in [
        &b"hello\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
    ] {
        let outcome = after(answer, LONG).await;
        assert_eq!(reason(&outcome), NOT_HTTP, "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn a_receiver_that_breaks_off_has_not_answered() {
    for written in ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\ncontent-len"] {
        let receiver = Receiver::start("127.0.0.1:0", move |mut visit| async move {
            visit.take_request().await?;
            visit.stream.write_all(written.as_bytes()).await
        })
        .await;
        assert_eq!(reason(&send(&sender(LONG), &receiver.url()).await), CLOSED, "{written}");
        let receiver = Receiver::start("127.0.0.1:0", move |mut visit| async move {
            visit.take_request().await?;
            visit.stream.write_all(written.as_bytes()).await?;
            visit.stream.set_zero_linger()
        })
        .await;
        let outcome = send(&sender(LONG), &receiver.url()).await;
        let expected = "the connection broke before an answer: connection reset";
        assert!([expected, CLOSED].contains(&reason(&outcome)), "{outcome:?}");
    }
    // Its status counts, whatever becomes of the rest.
    let receiver = Receiver::start("127.0.0.1:0", |mut visit| async move {
        visit.take_request().await?;
        visit.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx").await
    })
    .await;
    let outcome = send(&sender(LONG), &receiver.url()).await;
    assert_eq!(outcome, Outcome::Delivered { status: 200 });
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_named_without_the_path() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let outcome = send(&sender(LONG), &format!("http://{address}/secret-path?token=x")).await;
    let expected =
        format!("cannot connect to 127.0.0.1 port {}: connection refused", address.port());
    assert_eq!(reason(&outcome), expected);
    let outcome = send(&sender(LONG), "http://no-such-name.invalid/").await;
    assert_eq!(reason(&outcome), "no-such-name.invalid has no address");
}
