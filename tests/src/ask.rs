//! Statements that a test runs, and what the server answers.

use std::thread;
use std::time::Duration;

use postgres::error::DbError;
use postgres::{Client, Error, SimpleQueryMessage};

/// All rows of the last statement, as psql would print the values; NULL is `∅`.
pub fn rows(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).unwrap_or("∅").to_owned()).collect())
            }
            _ => None,
        })
        .collect()
}

/// The first value of the first row.
pub fn text(client: &mut Client, sql: &str) -> String {
    let rows = rows(client, sql);
    rows.first().and_then(|row| row.first()).unwrap_or_else(|| panic!("no row: {sql}")).clone()
}

/// Asks until the first value of the first row is the expected one. It gives up when it is still
/// another after minutes, far beyond what the slowest machine takes.
#[track_caller]
pub fn wait_for(client: &mut Client, sql: &str, expected: &str) {
    let mut found = String::new();
    for _ in 0..3600 {
        found = text(client, sql);
        if found == expected {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{found} is still not {expected}: {sql}");
}

/// The error of a statement that must fail, with a standard SQLSTATE and the backend alive.
pub fn refused(client: &mut Client, sql: &str) -> DbError {
    match client.simple_query(sql) {
        Ok(_) => panic!("was not refused: {sql}"),
        Err(error) => db_error(error, sql),
    }
}

/// The server's error inside a client's.
pub fn db_error(error: Error, sql: &str) -> DbError {
    let outcome =
        error.as_db_error().unwrap_or_else(|| panic!("the connection broke: {sql}\n{error:?}"));
    assert!(!outcome.code().code().starts_with("XX"), "an internal error: {sql}\n{outcome:?}");
    outcome.clone()
}

/// Asserts that a statement is refused with this SQLSTATE, and a message that holds this text.
#[track_caller]
pub fn assert_refused(client: &mut Client, sql: &str, sqlstate: &str, message: &str) {
    let outcome = refused(client, sql);
    assert_eq!(outcome.code().code(), sqlstate, "{sql}\n{outcome:?}");
    assert!(outcome.message().contains(message), "{sql}\n{outcome:?}");
}
