//! The SQL files in their order, for those who install with cargo-pgrx.
//!
//! The Makefile concatenates `sql/[0-9]*.sql` by name; cargo-pgrx needs them listed and chained.
//! (Scripts that upgrade from older versions are the Makefile's alone: `make scripts`.)
//! A new file is one more line, which requires the line before it. (`extension/sql` is a symbolic
//! link to the folder, because the paths must not leave the crate.)

use pgrx::extension_sql_file;

extension_sql_file!("../sql/010_preamble.sql", name = "preamble", bootstrap);
extension_sql_file!("../sql/020_native.sql", name = "native", requires = ["preamble"]);
extension_sql_file!("../sql/030_tables.sql", name = "tables", requires = ["native"]);
extension_sql_file!(
    "../sql/035_hygiene_tables.sql",
    name = "hygiene_tables",
    requires = ["tables"]
);
extension_sql_file!("../sql/040_taxonomy.sql", name = "taxonomy", requires = ["hygiene_tables"]);
extension_sql_file!("../sql/050_partitions.sql", name = "partitions", requires = ["taxonomy"]);
extension_sql_file!("../sql/060_policies.sql", name = "policies", requires = ["partitions"]);
extension_sql_file!("../sql/070_create_log.sql", name = "create_log", requires = ["policies"]);
extension_sql_file!(
    "../sql/080_define_event.sql",
    name = "define_event",
    requires = ["create_log"]
);
extension_sql_file!("../sql/090_grants.sql", name = "grants", requires = ["define_event"]);
extension_sql_file!(
    "../sql/100_reference_tenants.sql",
    name = "reference_tenants",
    requires = ["grants"]
);
extension_sql_file!(
    "../sql/110_import_events.sql",
    name = "import_events",
    requires = ["reference_tenants"]
);
extension_sql_file!(
    "../sql/112_import_rows.sql",
    name = "import_rows",
    requires = ["import_events"]
);
extension_sql_file!("../sql/120_quarantine.sql", name = "quarantine", requires = ["import_rows"]);
extension_sql_file!("../sql/130_enrichment.sql", name = "enrichment", requires = ["quarantine"]);
extension_sql_file!(
    "../sql/140_tenant_settings.sql",
    name = "tenant_settings",
    requires = ["enrichment"]
);
extension_sql_file!("../sql/150_hash_key.sql", name = "hash_key", requires = ["tenant_settings"]);
extension_sql_file!("../sql/160_event_plan.sql", name = "event_plan", requires = ["hash_key"]);
extension_sql_file!("../sql/165_migrate_log.sql", name = "migrate_log", requires = ["event_plan"]);
extension_sql_file!(
    "../sql/170_maintain_tables.sql",
    name = "maintain_tables",
    requires = ["migrate_log"]
);
extension_sql_file!("../sql/172_retention.sql", name = "retention", requires = ["maintain_tables"]);
extension_sql_file!("../sql/174_trim.sql", name = "trim", requires = ["retention"]);
extension_sql_file!("../sql/175_measures.sql", name = "measures", requires = ["trim"]);
extension_sql_file!(
    "../sql/176_rollup_tables.sql",
    name = "rollup_tables",
    requires = ["measures"]
);
extension_sql_file!("../sql/177_roll_up.sql", name = "roll_up", requires = ["rollup_tables"]);
extension_sql_file!("../sql/178_late_events.sql", name = "late_events", requires = ["roll_up"]);
extension_sql_file!("../sql/180_maintain.sql", name = "maintain", requires = ["late_events"]);
extension_sql_file!("../sql/182_stat.sql", name = "stat", requires = ["maintain"]);
extension_sql_file!("../sql/185_forget_tables.sql", name = "forget_tables", requires = ["stat"]);
extension_sql_file!("../sql/187_erase.sql", name = "erase", requires = ["forget_tables"]);
extension_sql_file!("../sql/190_forget.sql", name = "forget", requires = ["erase"]);
extension_sql_file!("../sql/200_api_keys.sql", name = "api_keys", requires = ["forget"]);
extension_sql_file!("../sql/210_counted.sql", name = "counted", requires = ["api_keys"]);
extension_sql_file!("../sql/220_report_counts.sql", name = "report_counts", requires = ["counted"]);
extension_sql_file!(
    "../sql/222_report_subjects.sql",
    name = "report_subjects",
    requires = ["report_counts"]
);
extension_sql_file!(
    "../sql/224_report_actors.sql",
    name = "report_actors",
    requires = ["report_subjects"]
);
extension_sql_file!(
    "../sql/226_report_events.sql",
    name = "report_events",
    requires = ["report_actors"]
);
extension_sql_file!(
    "../sql/228_report_product.sql",
    name = "report_product",
    requires = ["report_events"]
);
extension_sql_file!(
    "../sql/230_verify_rollups.sql",
    name = "verify_rollups",
    requires = ["report_product"]
);
extension_sql_file!(
    "../sql/232_count_events.sql",
    name = "count_events",
    requires = ["verify_rollups"]
);
