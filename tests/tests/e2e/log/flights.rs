//! Real input: 27,004 departures of January 2013, each carrier a tenant with a role of its own.

use std::collections::BTreeMap;
use std::process::Command;

use eventlog_tests::{Db, assert_refused, db, rows, text};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data");

struct Flight {
    carrier: String,
    occurred_at: String,
    tail: Option<String>,
    name: &'static str,
    data: String,
}

/// The rows of the file; a column without a value becomes a JSON null.
fn flights() -> Vec<Flight> {
    let unzip =
        Command::new("gzip").args(["-dc"]).arg(format!("{DATA}/flights-2013-01.csv.gz")).output();
    let csv = String::from_utf8(unzip.expect("gzip").stdout).expect("UTF-8");
    let mut lines = csv.lines();
    let columns: Vec<&str> = lines.next().expect("a header").split(',').collect();
    lines
        .map(|line| {
            let row: BTreeMap<&str, &str> = columns.iter().copied().zip(line.split(',')).collect();
            let number = |column: &str| match row[column] {
                "" | "NA" => "null".to_owned(),
                value => value.to_owned(),
            };
            let fields: Vec<String> = ["flight", "dep_delay", "arr_delay", "air_time", "distance"]
                .iter()
                .map(|column| format!("\"{column}\": {}", number(column)))
                .chain(
                    ["origin", "dest"]
                        .iter()
                        .map(|column| format!("\"{column}\": \"{}\"", row[column])),
                )
                .collect();
            let cancelled = number("dep_time") == "null";
            Flight {
                carrier: row["carrier"].to_owned(),
                occurred_at: row["time_hour"].to_owned(),
                tail: Some(row["tailnum"])
                    .filter(|tail| !tail.is_empty() && *tail != "NA")
                    .map(str::to_owned),
                name: if cancelled { "flight_cancelled" } else { "flight_departed" },
                data: format!("{{{}}}", fields.join(", ")),
            }
        })
        .collect()
}

fn tenant(carrier: &str) -> String {
    format!(
        "00000000-0000-4000-8000-{:0>12}",
        carrier.bytes().map(|b| format!("{b:02x}")).collect::<String>()
    )
}

#[test]
fn each_carrier_logs_and_sees_its_own_flights_and_no_others() {
    let db = Db::new();
    let flights = flights();
    assert_eq!(flights.len(), 27_004);
    let mut by_carrier: BTreeMap<&str, Vec<&Flight>> = BTreeMap::new();
    for flight in &flights {
        by_carrier.entry(&flight.carrier).or_default().push(flight);
    }

    let mut superuser = db.superuser();
    superuser
        .batch_execute(&format!(
            "SELECT eventlog.define_event('flight_departed', 'flights', required_keys => '{{flight,origin,dest,dep_delay}}');
             SELECT eventlog.define_event('flight_cancelled', 'flights', required_keys => '{{flight,origin,dest}}');
             ALTER DATABASE {} SET eventlog.tenant_source = role",
            db.name
        ))
        .expect("a superuser may");
    for carrier in by_carrier.keys() {
        let role = format!("carrier_{}", carrier.to_lowercase());
        superuser
            .batch_execute(&format!(
                "CREATE ROLE {role} LOGIN;
                 INSERT INTO eventlog.tenant_roles VALUES ('{role}', '{}');
                 SELECT eventlog.grant_writer('{role}'), eventlog.grant_reader('{role}')",
                tenant(carrier)
            ))
            .expect("a superuser may");
    }

    let mut logged = 0;
    for (carrier, flights) in &by_carrier {
        let mut client = db.connect(&format!("carrier_{}", carrier.to_lowercase()));
        let mut transaction = client.transaction().expect("begins");
        let log = transaction
            .prepare(
                "SELECT eventlog.log_event(NULL, $1, $2::text::jsonb, $3::text::timestamptz, $4)",
            )
            .expect("prepared");
        for flight in flights {
            let row = transaction
                .query_one(&log, &[&flight.name, &flight.data, &flight.occurred_at, &flight.tail])
                .unwrap_or_else(|error| panic!("{}: {error:?}", flight.data));
            logged += i64::from(row.get::<_, i64>(0) > 0);
        }
        transaction.commit().expect("commits");
    }
    assert_eq!(logged, 27_004);

    let expected: Vec<Vec<String>> = {
        let mut counts: Vec<_> =
            by_carrier.iter().map(|(c, f)| vec![tenant(c), f.len().to_string()]).collect();
        counts.sort();
        counts
    };
    let counted = rows(
        &mut superuser,
        "SELECT tenant_id, count(*) FROM eventlog.events GROUP BY 1 ORDER BY 1",
    );
    assert_eq!(counted, expected);
    let nulls =
        "SELECT count(*) FROM eventlog.events WHERE jsonb_path_exists(data, '$.* ? (@ == null)')";
    assert_eq!(text(&mut superuser, nulls), "0");

    let partitions =
        rows(&mut superuser, "SELECT 'eventlog.' || partition_name FROM eventlog._partitions");
    for (carrier, flights) in &by_carrier {
        let mut client = db.connect(&format!("carrier_{}", carrier.to_lowercase()));
        let seen = rows(&mut client, "SELECT tenant_id, count(*) FROM eventlog.events GROUP BY 1");
        assert_eq!(seen, [[tenant(carrier), flights.len().to_string()]]);
        for partition in &partitions {
            assert_refused(
                &mut client,
                &format!("SELECT * FROM {}", partition[0]),
                "42501",
                "permission denied",
            );
        }
        drop(client);
    }
    drop(superuser);
    let carriers: Vec<String> =
        by_carrier.keys().map(|c| format!("carrier_{}", c.to_lowercase())).collect();
    let cluster = db::shared();
    cluster
        .connect(&db.name, "postgres")
        .batch_execute(&format!("DROP OWNED BY {0}; ", carriers.join(", ")))
        .unwrap();
    cluster
        .connect("postgres", "postgres")
        .batch_execute(&format!("DROP ROLE {}", carriers.join(", ")))
        .unwrap();
}
