//! Verifies a log with `verify_seals()`.

use futures_util::TryStreamExt;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::anchored::compare_anchors;
use super::arguments::Arguments;
use super::report::{Difference, Report};
use crate::command::time_zone;
use crate::connection::Server;
use crate::output::Failure;
use crate::seals::anchors::Anchors;
use crate::seals::digests;

const SQL: &str = "
    SELECT v.tenant, v.number, to_jsonb(v.day) #>> '{}', v.part, v.events, v.gone, v.is_valid, v.differs
      FROM eventlog.verify_seals($1, coalesce($2::timestamptz, '-infinity'), coalesce($3::timestamptz, 'infinity')) v";

pub(super) async fn verify(
    server: &Server,
    arguments: &Arguments,
    anchors: Option<&Anchors>,
    report: &mut Report,
) -> Result<(), Failure> {
    let tenant = arguments.tenant;
    let (mut since, mut until) = (arguments.since.clone(), arguments.until.clone());
    let mut client = server.connect().await?;
    let transaction = tenant.begin(&mut client).await?;
    if !digests::has_seals(&transaction).await? {
        return Err(Failure::new(digests::NONE_YET).hint("CALL eventlog.maintain();"));
    }
    arguments.time_zone.set(&transaction).await?;
    let times = [&mut since, &mut until].into_iter().flatten();
    let times = times.map(|time| (time, "timestamp with time zone")).collect();
    time_zone::resolve(&transaction, times).await?;
    transaction.batch_execute("SET LOCAL statement_timeout = 0").await?;
    let scope = tenant.of_seals(&transaction).await?;
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&scope, Type::UUID), (&since, Type::TEXT), (&until, Type::TEXT)];
    let rows = transaction.query_typed_raw(SQL, parameters).await;
    let mut rows = std::pin::pin!(rows.map_err(|error| tenant.explain(error))?);
    while let Some(row) = rows.try_next().await.map_err(|error| tenant.explain(error))? {
        let tenant_id: Option<Uuid> = row.get(0);
        let number: Option<i64> = row.get(1);
        let day: Option<String> = row.get(2);
        let part: Option<i32> = row.get(3);
        if let (Some(_), Some(_), Some(day)) = (tenant_id, part, &day) {
            let [events, gone] = [4, 5].map(|place| row.get::<_, Option<i64>>(place).unwrap_or(0));
            report.seal(tenant_id, day, events, gone);
        }
        if !row.get::<_, Option<bool>>(6).unwrap_or(false) {
            let differs: Option<String> = row.get(7);
            let differs = differs.unwrap_or_else(|| "it is not valid".to_owned());
            report.differs(Difference { tenant_id, number, day, part, differs });
        }
    }
    if let Some(anchors) = anchors {
        let digests = digests::read(&transaction, 1).await?;
        compare_anchors(anchors, &digests, report);
    }
    Ok(())
}
