//! Events that cannot be written, among those of others: each costs itself, and the writer says why.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use eventlog_tests::{Db, TENANT_B, db, rows, text};
use eventlog_writer::{Error, Event, Options, asynchronous, sync::Writer};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::json;

use crate::common::{LONG, config, numbered, numbers, options};

/// An event of another tenant.
fn other() -> Event {
    Event::new("tool_used").tenant(TENANT_B.parse().unwrap()).data(&json!({ "toolName": "t" }))
}

/// JSON as it is, as serde_json's own `RawValue` serializes; that one parses it first, which stops at
/// 128 levels unless its feature `unbounded_depth` is on.
struct Raw(String);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut raw = serializer.serialize_struct("$serde_json::private::RawValue", 1)?;
        raw.serialize_field("$serde_json::private::RawValue", &self.0)?;
        raw.end()
    }
}

/// A tool_used with one key more.
fn with(key: &str, json: String) -> Event {
    other().data(&Raw(format!(r#"{{"toolName": "t", "{key}": {json}}}"#)))
}

/// What PostgreSQL cannot carry, and the SQLSTATE of it.
fn uncarried() -> Vec<(Event, Option<&'static str>)> {
    let years = |years: u64| Duration::from_secs(years * 31_556_952);
    let deep = format!("{}1{}", "[".repeat(400_000), "]".repeat(400_000));
    let deep_nulls = format!("{}null{}", "{\"a\":".repeat(400_000), "}".repeat(400_000));
    vec![
        (other().actor("a\0"), Some("22021")),
        (other().subject("a\0"), Some("22021")),
        (other().idempotency_key("a\0"), Some("22021")),
        (Event::new("tool\0".to_owned()), Some("22021")),
        (other().actor("a".repeat(2 << 20)), Some("54000")),
        (other().occurred_at(SystemTime::UNIX_EPOCH + years(292_308)), Some("22008")),
        (other().occurred_at(SystemTime::UNIX_EPOCH - years(6_690)), Some("22008")),
        (other().occurred_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 62)), Some("22008")),
        (with("deep", deep), None),
        (other().data(&Raw(deep_nulls)), None),
    ]
}

type Heard = Arc<Mutex<Vec<Error>>>;

fn hearing(options: Options) -> (Options, Heard) {
    let heard = Heard::default();
    let into = Arc::clone(&heard);
    (options.on_error(move |error| into.lock().unwrap().push(error.clone())), heard)
}

#[test]
fn an_event_that_postgresql_cannot_carry_costs_itself_whichever_way_it_comes() {
    let db = Db::new();
    let (options, heard) = hearing(options().linger(LONG));
    let writer = Writer::connect(config(&db, "service"), options);
    let poison = uncarried().len() as u64;
    let mut n = 0;
    for (event, sqlstate) in uncarried() {
        for _ in 0..99 {
            n += 1;
            assert!(writer.log(numbered(n)));
        }
        assert_eq!(event.check().unwrap_err().sqlstate(), sqlstate);
        assert!(!writer.log(event.clone()), "it is refused at once");
        let mut client = db.connect("service");
        let mut transaction = client.transaction().unwrap();
        let error = writer.log_in(&mut transaction, event.clone()).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate, "{error}");
        assert!(writer.log_in(&mut transaction, other()).unwrap().is_stored(), "it goes on");
        transaction.rollback().unwrap();
        assert_eq!(writer.log_and_wait(event).unwrap_err().sqlstate(), sqlstate);
    }
    let first = heard.lock().unwrap()[0].clone();
    assert_eq!((first.sqlstate(), first.event_name()), (Some("22021"), Some("tool_used")));
    assert_eq!(first.tenant_id(), TENANT_B.parse().ok());
    let stats = writer.close(LONG).stats;
    assert_eq!((stats.written, stats.rejected, stats.dropped), (n, 2 * poison, 0), "{stats}");
    assert_eq!(numbers(&mut db.superuser()), (1..=n).collect::<Vec<u64>>());
    let said: u64 = heard.lock().unwrap().iter().map(Error::events).sum();
    assert_eq!(said, 2 * poison);
}

#[test]
fn of_all_or_none_the_event_that_cannot_be_carried_is_refused_by_itself() {
    let db = Db::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = db::shared().conninfo(&db.name, "service").parse().unwrap();
    let ends = runtime.block_on(async {
        let writer = asynchronous::Writer::connect(config, options());
        let events = vec![numbered(1), other().actor("\0"), numbered(2)];
        let ends = writer.log_all_and_wait(events).expect("there is room").await;
        let stats = writer.close(LONG).await.stats;
        assert_eq!((stats.written, stats.rejected), (2, 1), "{stats}");
        ends
    });
    assert!(ends[0].is_ok() && ends[2].is_ok());
    assert_eq!(ends[1].as_ref().unwrap_err().sqlstate(), Some("22021"));
    assert_eq!(numbers(&mut db.superuser()), [1, 2]);
}

#[test]
fn an_event_that_the_log_refuses_costs_itself_and_its_reason_is_said_at_once() {
    let db = Db::new();
    let (options, heard) = hearing(options().batch_events(1_000).linger(LONG));
    let writer = Writer::connect(config(&db, "service"), options);
    let poison = [
        other().data(&json!({ "toolName": "a\0" })),
        with("n", "1e400000".to_owned()),
        other().actor("a".repeat(600)),
        other().data(&json!({ "toolName": "t", "long": "x".repeat(3_000) })),
        other().data(&json!({})),
        Event::new("tool_usd").tenant(TENANT_B.parse().unwrap()),
    ];
    let refused = poison.len() as u64;
    let mut poison = poison.into_iter();
    for n in 1..=999 {
        assert!(writer.log(numbered(n)));
        if n % 100 == 50
            && let Some(event) = poison.next()
        {
            assert!(writer.log(event));
        }
    }
    assert!(writer.flush(LONG));
    let first = heard.lock().unwrap()[0].clone();
    assert!(first.sqlstate().is_some() && first.event_name().is_some(), "{first}");
    assert!(!writer.health().rejections.is_empty());
    let stats = writer.close(LONG).stats;
    assert_eq!((stats.written, stats.rejected), (999, refused), "{stats}");
    assert_eq!(numbers(&mut db.superuser()).len(), 999);
    let said: u64 = heard.lock().unwrap().iter().map(Error::events).sum();
    assert_eq!(said, refused);
}

/// A trigger of the user's, which does something to events with a key `bad`.
fn with_trigger(db: &Db, does: &str) {
    let sql = format!(
        "CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN IF new.data ? 'bad' THEN {does}; END IF; RETURN new; END $$;
         CREATE TRIGGER watch BEFORE INSERT ON eventlog.events
             FOR EACH ROW EXECUTE FUNCTION public.watch()"
    );
    db.superuser().batch_execute(&sql).unwrap();
}

/// Logs 998 events of one tenant, one of another, and one that is bad.
fn log_with_a_bad_one(db: &Db, options: Options, config: postgres::Config) -> (Heard, Error) {
    let (options, heard) = hearing(options.batch_events(1_000).linger(LONG));
    let writer = Writer::connect(config, options);
    for n in 1..=998 {
        assert!(writer.log(numbered(n)));
        if n == 700 {
            assert!(writer.log(other()));
        }
    }
    let bad = other().data(&json!({ "toolName": "t", "bad": true }));
    let error = writer.log_and_wait(bad).unwrap_err();
    let stats = writer.close(LONG).stats;
    assert_eq!((stats.written, stats.rejected, stats.dropped), (999, 1, 0), "{stats}");
    let mut client = db.superuser();
    assert_eq!(numbers(&mut client), (1..=998).collect::<Vec<u64>>());
    assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.events"), "999");
    (heard, error)
}

#[test]
fn an_event_for_which_a_trigger_raises_costs_itself() {
    for code in ["P0001", "22012"] {
        let db = Db::new();
        with_trigger(&db, &format!("RAISE EXCEPTION 'not this one' USING ERRCODE = '{code}'"));
        let (heard, error) = log_with_a_bad_one(&db, options(), config(&db, "service"));
        assert_eq!(error.sqlstate(), Some(code), "{error}");
        assert!(error.to_string().contains("not this one"), "{error}");
        let heard = heard.lock().unwrap();
        assert!(heard.iter().any(|said| said.sqlstate() == Some(code)), "{heard:?}");
    }
}

#[test]
fn an_event_that_makes_the_statement_time_out_costs_itself() {
    let db = Db::new();
    with_trigger(&db, "PERFORM pg_sleep(60)");
    let mut config = config(&db, "service");
    config.options("-c statement_timeout=500ms");
    let (heard, error) = log_with_a_bad_one(&db, options(), config);
    assert_eq!(error.sqlstate(), Some("57014"), "{error}");
    let heard = heard.lock().unwrap();
    assert_eq!(heard[0].sqlstate(), Some("57014"), "the first failure is said: {heard:?}");
    assert!(heard.iter().any(|error| !error.is_transient()), "and the refusal: {heard:?}");
    let refused = "SELECT count(*) FROM eventlog.rejected_events";
    assert_eq!(rows(&mut db.superuser(), refused), [["0"]]);
}
