//! The whole catalog of a log and of the extension as text, to compare two of them object by object.

use postgres::Client;

use crate::ask::rows;

/// One line for each property of each object that the log consists of: relations, columns in their
/// order, constraints, indexes, triggers, policies, grants, partitions, sequences, comments, and the
/// triggers and constraints that tie a table of tenants to it; and each function and view of the
/// extension.
const LINES: &str = r"
WITH relation AS (
    SELECT c.* FROM pg_class c
     WHERE (c.relnamespace IN ('eventlog'::regnamespace, 'eventlog_private'::regnamespace) AND c.relkind IN ('r', 'p', 'S', 'i', 'I', 'v'))
        OR c.oid = to_regclass('public.tenants')
), named AS (SELECT oid, oid::regclass::text AS relation FROM relation)
SELECT 'schema ' || nspname || ' acl ' || acl::text
  FROM pg_namespace, unnest(nspacl) AS acl WHERE nspname IN ('eventlog', 'eventlog_private')
UNION ALL
SELECT format('relation %s kind %s owner %s rls %s %s persistence %s', n.relation, relkind, relowner::regrole,
              relrowsecurity, relforcerowsecurity, relpersistence)
  FROM relation JOIN named n USING (oid)
UNION ALL
SELECT format('grant on %s: %s', n.relation, acl) FROM relation JOIN named n USING (oid), unnest(relacl) AS acl
UNION ALL
SELECT format('partition %s %s', n.relation, pg_get_expr(relpartbound, oid)) FROM relation JOIN named n USING (oid)
 WHERE relispartition AND relkind = 'r'
UNION ALL
SELECT format('column %s.%s place %s %s %s default %s identity %s collation %s acl %s comment %s', n.relation, attname,
              (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = a.attrelid AND b.attnum BETWEEN 1 AND a.attnum AND NOT b.attisdropped),
              format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), attidentity, attcollation::regcollation,
              attacl, col_description(attrelid, attnum))
  FROM pg_attribute a JOIN relation c ON c.oid = attrelid JOIN named n ON n.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE attnum > 0 AND NOT attisdropped AND c.relkind IN ('r', 'p', 'v')
UNION ALL
SELECT format('constraint %s.%s %s validated %s', n.relation, conname, pg_get_constraintdef(k.oid), convalidated)
  FROM pg_constraint k JOIN named n ON n.oid = conrelid
UNION ALL
SELECT format('index %s', pg_get_indexdef(indexrelid)) FROM pg_index JOIN named n ON n.oid = indrelid
UNION ALL
SELECT format('trigger on %s enabled %s: %s', n.relation, tgenabled, pg_get_triggerdef(t.oid))
  FROM pg_trigger t JOIN named n ON n.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT format('policy %s on %s permissive %s for %s to %s using %s check %s', polname, n.relation, polpermissive, polcmd,
              (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END, ',' ORDER BY 1) FROM unnest(polroles) r),
              pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
  FROM pg_policy JOIN named n ON n.oid = polrelid
UNION ALL
SELECT format('comment on %s: %s', n.relation, obj_description(n.oid, 'pg_class')) FROM named n WHERE obj_description(n.oid, 'pg_class') IS NOT NULL
UNION ALL
SELECT format('sequence %s start %s increment %s cycle %s owned by %s', n.relation, seqstart, seqincrement, seqcycle,
              (SELECT refobjid::regclass || '.' || refobjsubid FROM pg_depend
                WHERE classid = 'pg_class'::regclass AND objid = seqrelid AND deptype IN ('a', 'i')))
  FROM pg_sequence JOIN named n ON n.oid = seqrelid
UNION ALL
SELECT format('view %s: %s', n.relation, pg_get_viewdef(n.oid)) FROM relation JOIN named n USING (oid) WHERE relkind = 'v'
UNION ALL
SELECT format('function %s(%s) returns %s language %s %s kind %s volatility %s parallel %s strict %s definer %s leakproof %s cost %s rows %s config %s owner %s acl %s',
              p.oid::regproc, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), lanname, probin, prokind, provolatile,
              proparallel, proisstrict, prosecdef, proleakproof, procost, prorows, proconfig, proowner::regrole, proacl)
  FROM pg_proc p JOIN pg_language l ON l.oid = prolang WHERE pronamespace IN ('eventlog'::regnamespace, 'eventlog_private'::regnamespace)
UNION ALL
SELECT format('body of %s: %s', p.oid::regprocedure, prosrc) FROM pg_proc p WHERE pronamespace IN ('eventlog'::regnamespace, 'eventlog_private'::regnamespace)
UNION ALL
SELECT format('comment on %s: %s', p.oid::regprocedure, obj_description(p.oid, 'pg_proc'))
  FROM pg_proc p WHERE pronamespace IN ('eventlog'::regnamespace, 'eventlog_private'::regnamespace)
UNION ALL
SELECT format('of the extension: %s', pg_describe_object(classid, objid, 0)) FROM pg_depend
 WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'eventlog')
UNION ALL
SELECT format('extension %s version %s schema %s', extname, extversion, extnamespace::regnamespace)
  FROM pg_extension WHERE extname = 'eventlog'
ORDER BY 1";

/// The lines, sorted. Names are qualified, whatever the search path of the connection.
pub fn lines(client: &mut Client) -> Vec<String> {
    client.batch_execute("SET search_path = ''").expect("a setting for everybody");
    let lines = rows(client, LINES).concat();
    client.batch_execute("RESET search_path").expect("a setting for everybody");
    assert!(lines.len() > 100, "{lines:?}");
    lines
}

/// The lines without what a major version says in its own way: since 17 partitions have the
/// identity of their table and everything can be granted MAINTAIN, since 18 NOT NULL is a
/// constraint as well as a property of the column; and up to 15 views qualify every column.
/// The row types of views are members of the extension of their own in some.
pub fn lines_of_any_major(client: &mut Client) -> Vec<String> {
    let partitions =
        rows(client, "SELECT partition_oid::regclass FROM eventlog._partitions").concat();
    let is_of_partition =
        |line: &str| partitions.iter().any(|name| line.starts_with(&format!("column {name}.")));
    let mut lines: Vec<String> = lines(client)
        .into_iter()
        .filter(|line| !(line.starts_with("constraint ") && line.split(' ').nth(2) == Some("NOT")))
        .filter(|line| !line.starts_with("of the extension: type "))
        .map(|line| line.replace("=arwdDxtm/", "=arwdDxt/"))
        .map(|line| match is_of_partition(&line) {
            true => line.replace(" identity a ", " identity  "),
            false if line.starts_with("view ") => unqualified(&line),
            false => line,
        })
        .collect();
    lines.sort();
    lines
}

/// The text with the last part of each name that is qualified.
fn unqualified(text: &str) -> String {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let mut result = String::new();
    for piece in text.split_inclusive(|c| !is_of_name(c)) {
        result.push_str(piece.rsplit_once('.').map_or(piece, |(_, last)| last));
    }
    result
}

/// Asserts that two catalogs are equal, and says where they are not.
#[track_caller]
pub fn assert_equal(before: &[String], after: &[String]) {
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>()
    };
    let (lost, new) = (only(before, after), only(after, before));
    assert!(
        lost.is_empty() && new.is_empty(),
        "lost:\n{}\nnew:\n{}",
        lost.join("\n"),
        new.join("\n")
    );
}
