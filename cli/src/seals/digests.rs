//! Reads the digests of a log.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::document::DigestDocument;
use crate::connection::require_log;
use crate::output::Failure;

/// Reads the digests from this number on.
pub(super) async fn read(
    transaction: &Transaction<'_>,
    from: i64,
) -> Result<Vec<DigestDocument>, Failure> {
    // The day as a text does not depend on the settings of the session.
    let sql = "SELECT jsonb_build_object('number', s.number, 'day', to_jsonb(s.day), 'root', encode(s.root, 'hex'),
                                         'previous', encode(s.previous, 'hex'), 'digest', encode(s.digest, 'hex'))::text
                 FROM eventlog.seal_digests s WHERE s.number >= $1 ORDER BY s.number";
    let rows = transaction.query_typed(sql, &[(&from, Type::INT8)]).await?;
    let unreadable = |error: serde_json::Error| {
        Failure::new(format!("a digest of the log cannot be read: {error}"))
    };
    rows.iter().map(|row| serde_json::from_str(row.get(0)).map_err(unreadable)).collect()
}

/// Fails if the log has no seals. Returns false if it has none yet: the first day is not over, or
/// maintain() has not run since.
pub(super) async fn has_seals(transaction: &Transaction<'_>) -> Result<bool, Failure> {
    require_log(transaction).await?;
    let sql = "SELECT to_regclass('eventlog.seal_digests') IS NOT NULL";
    if transaction.query_typed(sql, &[]).await?[0].get::<_, bool>(0) {
        let sql = "SELECT EXISTS (SELECT FROM eventlog.seal_digests)";
        if transaction.query_typed(sql, &[]).await?[0].get(0) {
            return Ok(true);
        }
        let sql = "SELECT is_on FROM eventlog.seal_state";
        if transaction.query_typed(sql, &[]).await?.first().is_some_and(|row| row.get(0)) {
            return Ok(false);
        }
    }
    let hint = "SELECT eventlog.migrate_log(seals => true);";
    Err(Failure::new("this log has no seals").hint(hint))
}

/// What there is to say if a log has no seals yet.
pub(super) const NONE_YET: &str = "nothing is sealed yet: maintain() seals a day when it is over";
