//! Logs work as an event, with its duration and its result.

use std::fmt::Display;
use std::time::Instant;

use serde_json::json;

use crate::Event;

/// Most characters of an error's text that are kept.
const LONGEST_MESSAGE: usize = 500;

/// Work in progress. Dropped before it has a result, it is logged as cancelled or panicked.
pub(crate) struct Tracked<L: FnMut(Event)> {
    event: Option<Event>,
    began: Instant,
    log: L,
}

impl<L: FnMut(Event)> Tracked<L> {
    pub(crate) fn begin(event: Event, log: L) -> Self {
        Tracked { event: Some(event), began: Instant::now(), log }
    }

    /// Logs the result.
    pub(crate) fn end<T, E: Display>(mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.log(None),
            Err(error) => {
                let message: String = error.to_string().chars().take(LONGEST_MESSAGE).collect();
                self.log(Some((type_of::<E>(), message)));
            }
        }
    }

    fn log(&mut self, error: Option<(String, String)>) {
        let Some(mut event) = self.event.take() else { return };
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        event.add("durationMs", &json!(millis));
        event.add("success", &json!(error.is_none()));
        if let Some((kind, message)) = error {
            event.add("errorType", &json!(kind));
            event.add("errorMessage", &json!(message));
        }
        (self.log)(event);
    }
}

impl<L: FnMut(Event)> Drop for Tracked<L> {
    fn drop(&mut self) {
        let end = if std::thread::panicking() { "panicked" } else { "cancelled" };
        if self.event.is_some() {
            self.log(Some((end.to_owned(), format!("the work {end}"))));
        }
    }
}

/// Returns the name of a type without modules and parameters: `Error` for `std::io::Error`.
fn type_of<E>() -> String {
    let name = std::any::type_name::<E>();
    let outer = name.split('<').next().unwrap_or(name);
    outer.rsplit("::").next().unwrap_or(outer).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the payload that the work logs, without its duration.
    fn tracked(work: impl FnOnce() -> Result<i32, std::num::ParseIntError>) -> String {
        let mut logged = Vec::new();
        let event = Event::new("skill_executed").data(&json!({"skillName": "canvas"}));
        let tracked = Tracked::begin(event, |event| logged.push(untimed(&event)));
        let result = work();
        tracked.end(&result);
        logged.remove(0)
    }

    fn untimed(event: &Event) -> String {
        let mut payload: serde_json::Value = serde_json::from_str(event.payload()).unwrap();
        let millis = payload.as_object_mut().and_then(|keys| keys.remove("durationMs"));
        assert!(millis.is_some_and(|millis| millis.is_u64()));
        payload.to_string()
    }

    #[test]
    fn work_is_logged_with_its_result() {
        assert_eq!(tracked(|| Ok(1)), r#"{"skillName":"canvas","success":true}"#);
        assert_eq!(
            tracked(|| "x".parse::<i32>()),
            r#"{"errorMessage":"invalid digit found in string","errorType":"ParseIntError","skillName":"canvas","success":false}"#
        );
        let mut logged = Vec::new();
        drop(Tracked::begin(Event::new("e"), |event| logged.push(untimed(&event))));
        assert_eq!(
            logged,
            [r#"{"errorMessage":"the work cancelled","errorType":"cancelled","success":false}"#]
        );
    }
}
