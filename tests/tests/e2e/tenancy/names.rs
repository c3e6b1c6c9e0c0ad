//! Tenants that have names: the uuid of a name, names that are set, and names from the application's
//! own table.

use std::io::Write;
use std::process::{Command, Stdio};

use eventlog_tests::{Db, TENANT_A, TENANT_B, assert_refused, rows, text};

/// The namespace of names, as the manual has it.
const NAMESPACE: &str = "4ff0c3e4-e05c-591f-8568-2b020f360136";

const NAMES: &[&str] =
    &["acme", "Acme", " acme", "Müller & Söhne", "日本語", "🦀", "42", "o'neil", "{}", "a\\b", "%"];

#[test]
fn tenant_is_the_uuid_that_python_makes_of_the_name() {
    let db = Db::new();
    let mut client = db.superuser();
    let long = "é".repeat(200);
    let names: Vec<String> = NAMES
        .iter()
        .map(|name| (*name).to_owned())
        .chain((0..200).map(|n| format!("tenant-{n}")))
        .chain([long])
        .collect();
    let script = format!(
        "import sys, uuid\nfor line in sys.stdin.buffer.read().decode().split('\\n'):\n    print(uuid.uuid5(uuid.UUID('{NAMESPACE}'), line))"
    );
    let mut python = Command::new("python3")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    python.stdin.take().unwrap().write_all(names.join("\n").as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let expected = String::from_utf8(output.stdout).unwrap();
    let made = client
        .query_one("SELECT array_agg(eventlog.tenant(n)::text ORDER BY p) FROM unnest($1::text[]) WITH ORDINALITY AS u (n, p)", &[&names])
        .unwrap()
        .get::<_, Vec<String>>(0);
    assert_eq!(made, expected.lines().collect::<Vec<_>>());
    // A number is its digits, and a null is none.
    assert_eq!(
        rows(
            &mut client,
            "SELECT eventlog.tenant(42) = eventlog.tenant('42'), eventlog.tenant(-7::bigint) = eventlog.tenant('-7'),
                    eventlog.tenant(NULL::text) IS NULL, eventlog.tenant(NULL::bigint) IS NULL"
        ),
        [["t", "t", "t", "t"]]
    );
    let prepared = "PREPARE p AS SELECT eventlog.tenant($1); EXECUTE p('acme')";
    assert_eq!(rows(&mut client, prepared), [[made[0].clone()]], "an untyped parameter is a text");
}

#[test]
fn a_name_that_no_tenant_can_have_is_refused() {
    let db = Db::new();
    let mut client = db.superuser();
    for (name, found) in [
        ("''", "0 characters, limit 1 to 200"),
        ("repeat('é', 201)", "201 characters, limit 1 to 200"),
        ("E'a\\nb'", "control character"),
        ("E'a\\u0085b'", "control character"),
        ("E'\\u007f'", "control character"),
    ] {
        assert_refused(&mut client, &format!("SELECT eventlog.tenant({name})"), "22023", found);
        let set = format!("SELECT eventlog.set_tenant(tenant_name => {name})");
        assert_refused(&mut client, &set, "22023", found);
        if name != "''" {
            let set = format!("SELECT eventlog.set_tenant('{TENANT_A}', display_name => {name})");
            assert_refused(&mut client, &set, "22023", found);
        }
    }
    assert_eq!(text(&mut client, "SELECT count(*) FROM eventlog.tenant_names"), "0");
}

#[test]
fn tenant_is_immutable_so_that_indexes_and_generated_columns_use_it() {
    let db = Db::new();
    let mut client = db.superuser();
    client
        .batch_execute(
            "CREATE TABLE accounts (slug text, number bigint, tenant uuid GENERATED ALWAYS AS (eventlog.tenant(slug)) STORED);
             CREATE INDEX accounts_tenant ON accounts (eventlog.tenant(number));
             INSERT INTO accounts SELECT 'a' || n, n FROM generate_series(1, 1000) n;
             SET enable_seqscan = off",
        )
        .unwrap();
    let sql = "SELECT slug FROM accounts WHERE eventlog.tenant(number) = eventlog.tenant(7)";
    assert_eq!(text(&mut client, sql), "a7");
    let plan = rows(&mut client, &format!("EXPLAIN {sql}")).concat().join("\n");
    assert!(plan.contains("accounts_tenant"), "{plan}");
    assert_eq!(
        text(&mut client, "SELECT count(*) FROM accounts WHERE tenant = eventlog.tenant(slug)"),
        "1000"
    );
}

#[test]
fn set_tenant_remembers_names_apart_from_limits() {
    let db = Db::new();
    let mut client = db.superuser();
    let names = "SELECT tenant_name, display_name FROM eventlog.tenant_names ORDER BY tenant_id";
    let limits = "SELECT max_bytes FROM eventlog.tenant_settings";
    client.batch_execute("SELECT eventlog.set_tenant(tenant_name => 'acme')").unwrap();
    assert_eq!(rows(&mut client, names), [["acme", "∅"]]);
    assert!(rows(&mut client, limits).is_empty(), "a name is no limit");
    assert_eq!(
        text(&mut client, "SELECT coalesce(display_name, tenant_name) FROM eventlog.tenant_names"),
        "acme"
    );
    client
        .batch_execute(
            "SELECT eventlog.set_tenant(eventlog.tenant('acme'), display_name => 'Acme, Inc.');
             SELECT eventlog.set_tenant(tenant_name => 'acme', max_bytes => 100)",
        )
        .unwrap();
    assert_eq!(rows(&mut client, names), [["acme", "Acme, Inc."]]);
    assert_eq!(rows(&mut client, limits), [["100"]]);
    assert_eq!(
        text(&mut client, "SELECT coalesce(display_name, tenant_name) FROM eventlog.tenant_names"),
        "Acme, Inc."
    );
    client
        .batch_execute("SELECT eventlog.set_tenant(tenant_name => 'acme', display_name => '')")
        .unwrap();
    assert_eq!(rows(&mut client, names), [["acme", "∅"]]);
    // The limits go, the names stay.
    client.batch_execute("SELECT eventlog.reset_tenant(eventlog.tenant('acme'))").unwrap();
    assert!(rows(&mut client, limits).is_empty());
    assert_eq!(rows(&mut client, names), [["acme", "∅"]]);

    let wrong = format!("SELECT eventlog.set_tenant('{TENANT_A}', tenant_name => 'acme')");
    assert_refused(&mut client, &wrong, "22023", "disagree");
    assert_refused(&mut client, "SELECT eventlog.set_tenant()", "22004", "tenant_id");
    let all = "SELECT eventlog.set_tenant(eventlog.all_tenants(), display_name => 'all')";
    assert_refused(&mut client, all, "22023", "all_tenants()");
    for role in ["service", "member", "outsider"] {
        let mut other = db.connect_as(role, TENANT_A);
        let sql = format!("SELECT eventlog.set_tenant('{TENANT_A}', display_name => 'x')");
        assert_refused(&mut other, &sql, "42501", "permission denied");
    }
}

#[test]
fn forgetting_a_tenant_forgets_its_names() {
    let db = Db::new();
    let mut client = db.superuser();
    client
        .batch_execute(&format!(
            "SELECT eventlog.set_tenant('{TENANT_A}', is_opted_out => true, display_name => 'Jane Roe');
             SELECT eventlog.set_tenant('{TENANT_B}', display_name => 'Other');"
        ))
        .unwrap();
    client.batch_execute(&format!("CALL eventlog.forget_tenant('{TENANT_A}')")).unwrap();
    assert_eq!(rows(&mut client, "SELECT display_name FROM eventlog.tenant_names"), [["Other"]]);
    // It stays opted out.
    assert_eq!(text(&mut client, "SELECT tenant_id FROM eventlog.tenant_settings"), TENANT_A);
    let all = "CALL eventlog.forget_tenant(eventlog.all_tenants())";
    assert_refused(&mut client, all, "22023", "nothing to erase");
    let left = text(
        &mut client,
        "SELECT count(*) FROM pg_stats WHERE schemaname = 'eventlog' AND most_common_vals::text LIKE '%Jane%'",
    );
    assert_eq!(left, "0");
}

/// The names that the log has.
const KEPT: &str =
    "SELECT display_name FROM eventlog.tenant_names WHERE display_name IS NOT NULL ORDER BY 1";

#[test]
fn names_come_from_the_applications_table_as_it_writes_them() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "CREATE TABLE public.tenants (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name varchar(300));
             GRANT ALL ON public.tenants TO outsider;
             INSERT INTO public.tenants (name) VALUES ('One'), (NULL), ('Two');
             SELECT eventlog.reference_tenants('public.tenants', name_column => 'name')",
        )
        .unwrap();
    assert_eq!(rows(&mut superuser, KEPT), [["One"], ["Two"]]);
    // The application's role has no right in the log at all.
    let mut app = db.connect("outsider");
    app.batch_execute(
        "INSERT INTO public.tenants (name) VALUES (E'  Three\\n'), (repeat('x', 300)), ('');
         UPDATE public.tenants SET name = 'First' WHERE name = 'One';
         DELETE FROM public.tenants WHERE name = 'Two'",
    )
    .unwrap();
    assert_eq!(
        rows(&mut superuser, KEPT),
        [["First".to_owned()], ["Three".to_owned()], ["x".repeat(200)]],
        "what is too long is cut, what is no name is none, and the application's rows go in"
    );
    app.batch_execute("UPDATE public.tenants SET name = NULL WHERE name LIKE 'x%'").unwrap();
    app.batch_execute("UPDATE public.tenants SET id = gen_random_uuid() WHERE name = 'First'")
        .unwrap();
    assert_eq!(
        text(
            &mut superuser,
            "SELECT count(*) FROM public.tenants t JOIN eventlog.tenant_names n ON n.tenant_id = t.id WHERE n.display_name = 'First'"
        ),
        "1"
    );
    // Untied, it keeps what it has and takes no more.
    superuser.batch_execute("SELECT eventlog.reference_tenants('public.tenants')").unwrap();
    app.batch_execute("INSERT INTO public.tenants (name) VALUES ('Late')").unwrap();
    assert!(!rows(&mut superuser, KEPT).concat().contains(&"Late".to_owned()));
    let triggers = "SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'public.tenants'::regclass";
    assert_eq!(text(&mut superuser, triggers), "eventlog_erase_tenant");

    for (sql, state, message) in [
        ("'public.tenants', name_column => 'nix'", "42703", "no column \"nix\""),
        ("'public.tenants', name_column => 'id'", "42804", "is uuid, not text"),
        ("'pg_stats', 'none', name_column => 'x'", "", ""),
    ] {
        let sql = format!("SELECT eventlog.reference_tenants({sql})");
        match state {
            "" => drop(text(&mut superuser, &sql)),
            state => assert_refused(&mut superuser, &sql, state, message),
        }
    }
}

#[test]
fn names_come_from_partitions_too_and_again_after_the_extension_was_gone() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "SET client_min_messages = error;
             CREATE DOMAIN public.label AS text;
             CREATE TABLE public.tenants (id uuid, name public.label, PRIMARY KEY (id)) PARTITION BY HASH (id);
             CREATE TABLE public.tenants_0 PARTITION OF public.tenants FOR VALUES WITH (MODULUS 2, REMAINDER 0);
             CREATE TABLE public.tenants_1 PARTITION OF public.tenants FOR VALUES WITH (MODULUS 2, REMAINDER 1);
             ALTER TABLE public.tenants OWNER TO log_owner;
             SELECT eventlog.reference_tenants('public.tenants', name_column => 'name');
             INSERT INTO public.tenants SELECT gen_random_uuid(), 'n' || n FROM generate_series(1, 8) n",
        )
        .unwrap();
    assert_eq!(rows(&mut superuser, KEPT).len(), 8);
    superuser
        .batch_execute(
            "DROP EXTENSION eventlog CASCADE;
             UPDATE public.tenants SET name = 'renamed' WHERE name = 'n1';
             CREATE EXTENSION eventlog;
             SELECT eventlog.create_log();
             UPDATE public.tenants SET name = 'again' WHERE name = 'n2'",
        )
        .unwrap();
    let names = rows(&mut superuser, KEPT).concat();
    assert_eq!(names.len(), 8);
    assert!(
        ["renamed", "again"].iter().all(|name| names.contains(&(*name).to_owned())),
        "{names:?}"
    );
}

/// A role that owns the table of tenants puts code wherever it can: none of it runs as anybody else,
/// and none of the log owner's code as a superuser.
#[test]
fn nobody_runs_anybody_elses_code_for_the_sake_of_a_name() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser
        .batch_execute(
            "SET client_min_messages = error;
             CREATE TABLE public.ran (what text, as_role text); GRANT ALL ON public.ran TO PUBLIC;
             GRANT CREATE, USAGE ON SCHEMA public TO member, log_owner;
             SET SESSION AUTHORIZATION member;
             CREATE FUNCTION public.spy(what text) RETURNS boolean LANGUAGE plpgsql AS
                 'BEGIN INSERT INTO public.ran VALUES (what, current_user); RETURN true; END';
             CREATE TABLE public.tenants (id uuid PRIMARY KEY, name text);
             INSERT INTO public.tenants VALUES (gen_random_uuid(), 'One');
             ALTER TABLE public.tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE POLICY p ON public.tenants USING (public.spy('policy'));
             GRANT INSERT, SELECT, UPDATE ON public.tenants TO outsider;
             RESET SESSION AUTHORIZATION;
             SET SESSION AUTHORIZATION log_owner;
             CREATE FUNCTION public.spy_on_names() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN INSERT INTO public.ran VALUES (''trigger'', current_user); RETURN NEW; END';
             CREATE TRIGGER spy BEFORE INSERT OR UPDATE ON eventlog.tenant_names FOR EACH ROW EXECUTE FUNCTION public.spy_on_names();
             RESET SESSION AUTHORIZATION;
             SELECT eventlog.reference_tenants('public.tenants', name_column => 'name');
             SELECT eventlog.create_log();
             UPDATE public.tenants SET name = 'by a superuser';
             SELECT eventlog.set_tenant(tenant_name => 'acme');
             SELECT * FROM eventlog.tenants_overview()",
        )
        .unwrap();
    let mut app = db.connect("outsider");
    app.batch_execute("INSERT INTO public.tenants VALUES (gen_random_uuid(), 'by an application')")
        .unwrap();
    let ran = rows(&mut superuser, "SELECT DISTINCT what, as_role FROM public.ran ORDER BY 1, 2");
    // The application's own statement is under the policy that its table has.
    assert_eq!(ran, [["policy", "outsider"], ["trigger", "log_owner"]]);

    // The trigger on another table, or with other columns, names nobody.
    let mut member = db.connect("member");
    member
        .batch_execute(
            "CREATE TABLE public.mine (id uuid, name text);
             CREATE TRIGGER t AFTER INSERT ON public.mine FOR EACH ROW EXECUTE FUNCTION eventlog.name_tenant('id', 'name');
             ALTER TABLE public.tenants ADD COLUMN other text;
             CREATE TRIGGER u AFTER INSERT OR UPDATE ON public.tenants FOR EACH ROW EXECUTE FUNCTION eventlog.name_tenant('id', 'other')",
        )
        .unwrap();
    for sql in [
        format!("INSERT INTO public.mine VALUES ('{TENANT_B}', 'Stolen')"),
        format!("INSERT INTO public.tenants VALUES ('{TENANT_B}', 'x', 'Stolen')"),
    ] {
        assert_refused(&mut member, &sql, "42501", "name_tenant()");
    }
    assert_refused(
        &mut member,
        "SELECT eventlog._note_names('{}', '{}')",
        "42501",
        "permission denied",
    );
}
