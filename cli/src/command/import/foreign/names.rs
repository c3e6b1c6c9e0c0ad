//! Names of other tools' events.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::output::Failure;

/// What names become: those of a file; aliases stay, since the log knows them; others become lower case
/// with `_` for whatever a name cannot have.
#[derive(Default)]
pub(crate) struct Names {
    mapped: HashMap<String, Option<String>>,
    aliases: HashSet<String>,
}

impl Names {
    /// Reads a file: a JSON object of names, with null for events that are left out.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read(path)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
        let mapped = serde_json::from_slice(&text).map_err(|error| {
            Failure::new(format!("{} is not a map of names: {error}", path.display()))
                .hint("{\"Order Completed\": \"order_completed\", \"$autocapture\": null}")
        })?;
        Ok(Names { mapped, ..Names::default() })
    }

    /// Lets the aliases of the log's event types stay as they are.
    pub(crate) fn keep(&mut self, aliases: impl IntoIterator<Item = String>) {
        self.aliases.extend(aliases);
    }

    /// Returns the name of an event in the log; `None` if it is left out.
    pub(super) fn of(&self, name: &str) -> Option<String> {
        match self.mapped.get(name) {
            Some(mapped) => mapped.clone(),
            None if self.aliases.contains(name) => Some(name.to_owned()),
            None => Some(plain(name)),
        }
    }
}

/// Writes `Order Completed`, `orderCompleted` and `$order-completed` as `order_completed`.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            plain.push('_');
        }
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' => plain.push(c.to_ascii_lowercase()),
            _ if plain.ends_with('_') => {}
            _ => plain.push('_'),
        }
        before = c;
    }
    plain.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Names, plain};

    #[test]
    fn a_name_becomes_one_that_the_log_takes() {
        for (name, wanted) in [
            ("Order Completed", "order_completed"),
            ("orderCompleted", "order_completed"),
            ("$pageview", "pageview"),
            ("Signed Up!", "signed_up"),
            ("API Key 2Created", "api_key_2_created"),
            ("a.b", "a.b"),
            ("Größe", "gr_e"),
            ("$", ""),
        ] {
            assert_eq!(plain(name), wanted);
        }
    }

    #[test]
    fn a_map_renames_and_leaves_out() {
        let mut map = Names {
            mapped: [("A b".to_owned(), Some("c".to_owned())), ("$x".to_owned(), None)].into(),
            ..Names::default()
        };
        map.keep(["Order Completed".to_owned(), "$x".to_owned()]);
        assert_eq!(map.of("Order Completed").as_deref(), Some("Order Completed"));
        assert_eq!(map.of("Order completed").as_deref(), Some("order_completed"));
        assert_eq!(map.of("A b").as_deref(), Some("c"));
        assert_eq!(map.of("$x"), None);
        assert_eq!(map.of("D e").as_deref(), Some("d_e"));
    }
}
