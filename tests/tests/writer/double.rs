//! The writer for an application's own tests.

use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use eventlog_writer::{Event, Options, Outcome, asynchronous, sync};
use serde_json::json;
use uuid::Uuid;

const TENANT: Uuid = Uuid::from_u128(7);

#[test]
fn a_double_hands_over_what_a_writer_would_send_and_counts_as_it_does() {
    let (sender, logged) = channel();
    let (errors, reported) = channel();
    let options = Options::new()
        .enabled(true)
        .tenant(TENANT)
        .max_payload(200)
        .sample("sampled", 0.0, None)
        .on_error(move |error| errors.send(error.to_string()).unwrap());
    let writer = sync::Writer::with_handler(options, move |event| sender.send(event).unwrap());
    let before = SystemTime::now();
    assert!(writer.is_enabled() && writer.log(Event::new("ping").actor("a")));
    let event = logged.try_recv().unwrap();
    assert_eq!((event.name().as_str(), event.get_tenant()), ("ping", Some(TENANT)));
    assert!(event.get_occurred_at().is_some_and(|at| at >= before));
    let outcome = writer.log_and_wait(Event::new("ping").tenant(Uuid::nil())).unwrap();
    assert_eq!(outcome, Outcome::Written(Some(2)));
    assert_eq!(logged.try_recv().unwrap().get_tenant(), Some(Uuid::nil()));

    // What cannot be sent, or is left out, is not handed over.
    assert!(!writer.log(Event::new("pi\0ng")));
    assert!(!writer.log(Event::new("pi\0ng")));
    let large = Event::new("ping").data(&json!({ "text": "x".repeat(200) }));
    assert!(writer.log_and_wait(large).unwrap_err().to_string().contains("too large"));
    assert!(writer.log(Event::new("sampled").actor("b")));
    assert!(logged.try_recv().is_err());
    assert_eq!(reported.try_iter().count(), 3);
    let rejections = writer.health().rejections;
    assert_eq!(rejections.iter().map(|error| error.events()).collect::<Vec<_>>(), [1, 2]);

    let failed: Result<(), &str> = writer.track(Event::new("work"), || Err("no"));
    assert_eq!(failed, Err("no"));
    let payload = logged.try_recv().unwrap().payload().to_owned();
    assert!(payload.contains(r#""success":false"#), "{payload}");

    assert!(writer.flush(Duration::ZERO));
    let report = writer.close(Duration::ZERO);
    assert!(!writer.log(Event::new("ping")) && logged.try_recv().is_err());
    assert_eq!((report.stats.written, report.stats.rejected, report.stats.sampled), (3, 3, 1));
    assert!(writer.stats().is_balanced() && writer.stats().dropped == 1);

    let off = sync::Writer::with_handler(Options::new().enabled(false), |_| panic!());
    assert!(!off.is_enabled() && !off.log(Event::new("ping")));
    assert_eq!(off.log_and_wait(Event::new("ping")).unwrap(), Outcome::LeftOut);
}

#[tokio::test]
async fn an_asynchronous_double_takes_several_events_at_once() {
    let (sender, logged) = channel();
    let options = Options::new().enabled(true);
    let writer =
        asynchronous::Writer::with_handler(options, move |event| sender.send(event).unwrap());
    let both = || vec![Event::new("one"), Event::new("t\0wo")];
    assert!(writer.has_room(&both()) && writer.log_all(both()).is_ok());
    let ends = writer.log_all_and_wait(both()).unwrap().await;
    assert_eq!(ends[0].as_ref().unwrap(), &Outcome::Written(Some(2)));
    assert!(ends[1].is_err() && ends.len() == 2);
    assert_eq!(writer.log_and_wait(Event::new("three")).await.unwrap().id(), Some(3));
    assert!(writer.flush(Duration::ZERO).await);
    let names: Vec<_> = logged.try_iter().map(|event| event.name().to_string()).collect();
    assert_eq!(names, ["one", "one", "three"]);
    assert_eq!(writer.close(Duration::ZERO).await.stats.rejected, 2);
    assert_eq!(writer.log_all(both()).unwrap_err().len(), 2);
}
