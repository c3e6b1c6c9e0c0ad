//! Work as an event: how long it took, whether it went well, and why not.

use std::fmt::Display;
use std::time::Instant;

use serde_json::json;

use crate::Event;

/// Longest text of an error that is kept, in characters.
const LONGEST_MESSAGE: usize = 500;

/// Work under way. Dropped before it has a result, it ends as cancelled, or as panicked.
pub(crate) struct Tracked<L: FnMut(Event)> {
    event: Option<Event>,
    began: Instant,
    log: L,
}

impl<L: FnMut(Event)> Tracked<L> {
    pub(crate) fn begin(event: Event, log: L) -> Self {
        Tracked { event: Some(event), began: Instant::now(), log }
    }

    /// Logs what came of it.
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

/// The name of a type without its modules: `std::io::Error` is `Error`, of generics the outer one.
fn type_of<E>() -> String {
    let name = std::any::type_name::<E>();
    let outer = name.split('<').next().unwrap_or(name);
    outer.rsplit("::").next().unwrap_or(outer).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is logged of the work, without how long it took.
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
    fn work_is_logged_with_its_end() {
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
