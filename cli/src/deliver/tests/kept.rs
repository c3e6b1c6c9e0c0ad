//! The request itself, the answers' statuses, and connections that are used again.

use std::sync::Arc;

use super::*;

#[tokio::test]
async fn a_request_has_the_headers_of_standard_webhooks_and_the_body_as_it_is() {
    let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let outcome = send(&sender(LONG), &receiver.url()).await;
    assert_eq!(outcome, Outcome::Delivered { status: 204 });
    let request = receiver.requests().pop().expect("one");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    assert_eq!(body.as_bytes(), BODY);
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /hook?token=private HTTP/1.1");
    lines.sort_unstable();
    let signature =
        super::super::signature::signatures(&[secret()], "evt_1_2", 1_700_000_000, BODY);
    let expected = [
        format!("content-length: {}", BODY.len()),
        "content-type: application/json".to_owned(),
        format!("host: {}", receiver.address),
        format!("user-agent: eventlog/{}", env!("CARGO_PKG_VERSION")),
        "webhook-id: evt_1_2".to_owned(),
        format!("webhook-signature: {signature}"),
        "webhook-timestamp: 1700000000".to_owned(),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn each_status_comes_to_what_standard_webhooks_says() {
    let refused = |status, retry_after| Outcome::Refused {
        status,
        retry_after: Option::map(retry_after, Duration::from_secs),
    };
    for (answer, expected) in [
        ("200 OK\r\ncontent-length: 2\r\n\r\nok", Outcome::Delivered { status: 200 }),
        ("202 Accepted\r\ncontent-length: 0\r\n\r\n", Outcome::Delivered { status: 202 }),
        ("299 Odd\r\ncontent-length: 0\r\n\r\n", Outcome::Delivered { status: 299 }),
        ("410 Gone\r\ncontent-length: 0\r\n\r\n", Outcome::Gone),
        ("304 Not Modified\r\n\r\n", refused(304, None)),
        ("400 Bad Request\r\ncontent-length: 0\r\n\r\n", refused(400, None)),
        ("429 Slow\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n", refused(429, Some(30))),
        (
            "503 Busy\r\nretry-after: 999999\r\ncontent-length: 0\r\n\r\n",
            refused(503, Some(86_400)),
        ),
        (
            "503 Busy\r\nretry-after: Fri, 01 Jan 2100 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n",
            refused(503, Some(86_400)),
        ),
        ("502 Bad\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n", refused(502, None)),
        ("500 Oh\r\nretry-after: soon\r\ncontent-length: 0\r\n\r\n", refused(500, None)),
        ("599 Odd\r\ncontent-length: 0\r\n\r\n", refused(599, None)),
    ] {
        let answer: &'static str = format!("HTTP/1.1 {answer}").leak();
        let receiver = Receiver::answering(answer).await;
        assert_eq!(send(&sender(LONG), &receiver.url()).await, expected, "{answer}");
    }
}

#[tokio::test]
async fn a_connection_is_used_for_many_requests() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let sender = sender(LONG);
    for _ in 0..100 {
        assert_eq!(send(&sender, &receiver.url()).await, Outcome::Delivered { status: 200 });
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 100));
}

#[tokio::test]
async fn many_endpoints_at_once_use_as_many_connections() {
    let sender = Arc::new(sender(LONG));
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let sender = Arc::clone(&sender);
        tasks.push(tokio::spawn(async move {
            let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
            for _ in 0..50 {
                let outcome = send(&sender, &receiver.url()).await;
                assert_eq!(outcome, Outcome::Delivered { status: 204 });
            }
            assert_eq!((receiver.connections(), receiver.requests().len()), (1, 50));
        }));
    }
    for task in tasks {
        task.await.expect("it went well");
    }
}

#[tokio::test]
async fn a_receiver_that_closes_after_each_answer_gets_each_request() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        // It does not say that it will close.
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n\r\nok",
        "HTTP/1.0 200 OK\r\n\r\nok",
    ] {
        let receiver = Receiver::start("127.0.0.1:0", move |mut visit| async move {
            visit.take_request().await?;
            visit.stream.write_all(answer.as_bytes()).await?;
            visit.stream.shutdown().await
        })
        .await;
        let sender = sender(LONG);
        for _ in 0..20 {
            let outcome = send(&sender, &receiver.url()).await;
            assert_eq!(outcome, Outcome::Delivered { status: 200 }, "{answer}");
        }
        assert_eq!((receiver.connections(), receiver.requests().len()), (20, 20), "{answer}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_request_is_replaced() {
    let receiver = Receiver::start("127.0.0.1:0", |mut visit| async move {
        // The first connection answers once, and closes when the second request is there.
        let answers = if visit.number == 0 { 1 } else { usize::MAX };
        for _ in 0..answers {
            if !visit.take_request().await? {
                return Ok(());
            }
            visit.stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        }
        visit.take_request().await?;
        Ok(())
    })
    .await;
    let sender = sender(LONG);
    for _ in 0..3 {
        assert_eq!(send(&sender, &receiver.url()).await, Outcome::Delivered { status: 204 });
    }
    // The second one came twice, with the same id.
    assert_eq!((receiver.connections(), receiver.requests().len()), (2, 4));
}

#[tokio::test]
async fn an_answer_that_was_sent_before_the_request_is_not_taken_for_its_answer() {
    let receiver = Receiver::start("127.0.0.1:0", |mut visit| async move {
        if visit.number > 0 {
            visit.take_request().await?;
            return visit.stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
        }
        visit.take_request().await?;
        let two = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".repeat(2);
        visit.stream.write_all(two.as_bytes()).await?;
        visit.wait_for_the_end().await
    })
    .await;
    let sender = sender(LONG);
    assert_eq!(send(&sender, &receiver.url()).await, Outcome::Delivered { status: 200 });
    let second = send(&sender, &receiver.url()).await;
    assert_eq!(second, Outcome::Refused { status: 500, retry_after: None });
}
