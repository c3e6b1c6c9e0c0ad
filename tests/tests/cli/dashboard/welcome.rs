//! An empty log: the programs that it shows are those of the manual.

use serde_json::Value;

use super::play;

const PAGES: [&str; 2] =
    [include_str!("../../../../README.md"), include_str!("../../../../docs/integration.md")];

/// Asserts that the programs are printed in the manual, apart from this gateway's address and the tenant. What the
/// manual prints is run by its own tests.
pub(super) fn judge(origin: &str, tenant: &str, found: &Value) {
    let programs = found["programs"].as_object().unwrap();
    assert_eq!(programs.len(), 5);
    for (name, program) in programs {
        let program = program.as_str().unwrap();
        assert!(!program.contains("el_w_"), "{name} shows a key");
        let program = program
            .replace(origin, "http://127.0.0.1:8080")
            .replace(tenant, "11111111-1111-4111-8111-111111111111");
        assert!(
            PAGES.iter().any(|page| page.contains(&program)),
            "{name} is in no page:\n{program}"
        );
    }
}

#[test]
fn an_empty_log_shows_how_to_log_and_then_the_first_event_by_itself() {
    play("firstEvent");
}
