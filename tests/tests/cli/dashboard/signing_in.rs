//! Keys, sessions, share links and the tenants of a key.

use postgres::Client;
use serde_json::Value;

use super::raw::{asked, sorted, table, words};
use super::{play, play_with_all_tenants};

/// Asserts that each tenant has its figures.
pub(super) fn judge(client: &mut Client, page: &Value) {
    let (since, until) = (words(page, "since"), words(page, "until"));
    let sql = format!(
        "WITH span AS (SELECT timestamptz '{since}' AS since, timestamptz '{until}' AS until)
         SELECT e.tenant_id, count(*) FILTER (WHERE e.created_at >= since),
                count(*) FILTER (WHERE e.created_at < since),
                count(DISTINCT e.actor) FILTER (WHERE e.created_at >= since)
           FROM eventlog.events e, span
          WHERE e.created_at < until AND e.created_at >= date_trunc('hour', since - (until - since)) GROUP BY 1"
    );
    let found = table(page, "rows").into_iter().map(|row| [&row[..3], &row[4..5]].concat());
    assert_eq!(sorted(found.collect()), sorted(asked(client, &sql)));
}

#[test]
fn a_key_signs_a_browser_in_until_it_signs_out_or_the_key_is_revoked() {
    play("session");
}

#[test]
fn a_share_link_shows_its_view_and_nothing_else_until_it_expires() {
    play("shareLink");
}

#[test]
fn a_key_of_several_tenants_chooses_among_them() {
    play_with_all_tenants("tenants");
}
