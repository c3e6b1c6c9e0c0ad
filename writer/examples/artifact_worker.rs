//! A worker without an asynchronous runtime, which deploys, updates, syncs, removes and searches
//! artifacts, and logs each with its result. Runs against the database of the `PG*` variables.

use std::time::Duration;

use eventlog_writer::sync::Writer;
use eventlog_writer::{Event, EventName, Options, redact_path};
use serde::Serialize;
use uuid::Uuid;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact<'a> {
    artifact_name: &'a str,
    artifact_type: &'a str,
    collection_name: Option<&'a str>,
    project_path: Option<String>,
    result: Option<&'a str>,
    rank: Option<usize>,
    query: Option<&'a str>,
}

impl<'a> Artifact<'a> {
    fn of(artifact_name: &'a str, artifact_type: &'a str) -> Self {
        Artifact {
            artifact_name,
            artifact_type,
            collection_name: None,
            project_path: None,
            result: None,
            rank: None,
            query: None,
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tenant: Uuid = std::env::var("TENANT")?.parse()?;
    let writer = Writer::from_env(Options::new())?;
    let log = |name: EventName, artifact: &Artifact<'_>| {
        writer.log(Event::new(name).tenant(tenant).actor("worker-1").data(artifact));
    };

    // The path is logged without the home folder that names a user.
    let deployed = Artifact {
        collection_name: Some("drawing"),
        project_path: Some(redact_path("/home/user/projects/app").into_owned()),
        result: Some("success"),
        ..Artifact::of("canvas", "skill")
    };
    log(EventName::ArtifactDeployed, &deployed);
    log(
        EventName::ArtifactUpdated,
        &Artifact { result: Some("conflict"), ..Artifact::of("canvas", "skill") },
    );
    log(
        EventName::ArtifactSynced,
        &Artifact { result: Some("error"), ..Artifact::of("lint", "command") },
    );
    log(
        EventName::ArtifactRemoved,
        &Artifact { result: Some("cancelled"), ..Artifact::of("critic", "agent") },
    );

    // The first five results of a search.
    let found = ["canvas", "paint", "sketch", "draw", "trace", "ink", "chalk"];
    for (place, name) in found.iter().take(5).enumerate() {
        let artifact =
            Artifact { rank: Some(place + 1), query: Some("draw"), ..Artifact::of(name, "skill") };
        log(EventName::ArtifactSearched, &artifact);
    }

    let report = writer.close(Duration::from_secs(5));
    println!("{}", report.stats);
    if report.is_complete() { Ok(()) } else { Err("events were lost".into()) }
}
