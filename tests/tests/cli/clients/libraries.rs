//! Clients for servers.

use super::proof::prove;
use super::stage::Client;

const NODE: Client = Client {
    program: "node.mjs",
    environment: "",
    name: "",
    variables: &[],
    protocol: "segment",
    is_gzip: false,
    reports_refusals: false,
    comes_again: true,
    sends_again_as_who_is_there: false,
    answers_before_the_kill: 5,
};
const PYTHON: Client = Client { program: "python.py", environment: "clients", ..NODE };

#[test]
fn segments_client_for_node_logs_each_event_once() {
    prove(&Client { name: "segment", ..NODE });
}

#[test]
fn segments_client_for_python_logs_each_event_once() {
    prove(&Client { name: "segment", is_gzip: true, ..PYTHON });
}

#[test]
fn segments_older_client_for_python_with_its_key_in_the_body_logs_each_event_once() {
    prove(&Client { name: "segment", environment: "clients-2.3", is_gzip: true, ..PYTHON });
}

#[test]
fn rudderstacks_client_for_node_logs_each_event_once() {
    prove(&Client { name: "rudderstack", is_gzip: true, ..NODE });
}

#[test]
fn rudderstacks_client_for_python_logs_each_event_once() {
    prove(&Client { name: "rudderstack", is_gzip: true, ..PYTHON });
}

#[test]
fn posthogs_client_for_node_logs_each_event_once() {
    prove(&Client { name: "posthog", protocol: "posthog", is_gzip: true, ..NODE });
}

#[test]
fn posthogs_client_for_python_logs_each_event_once() {
    prove(&Client { name: "posthog", protocol: "posthog", is_gzip: true, ..PYTHON });
}

/// The protocol whose answers have a verdict for each event.
const V1: &[(&str, &str)] = &[("POSTHOG_CAPTURE_MODE", "v1")];

#[test]
fn posthogs_client_for_node_with_verdicts_logs_each_event_once() {
    let client = Client { name: "posthog", protocol: "posthog", is_gzip: true, ..NODE };
    prove(&Client { variables: V1, reports_refusals: true, ..client });
}

#[test]
fn posthogs_client_for_python_with_verdicts_logs_each_event_once() {
    let client = Client { name: "posthog", protocol: "posthog", is_gzip: true, ..PYTHON };
    prove(&Client { variables: V1, reports_refusals: true, ..client });
}

/// Each event is a request.
const CLOUDEVENTS: Client = Client {
    name: "cloudevents",
    protocol: "cloudevents",
    reports_refusals: true,
    answers_before_the_kill: 300,
    ..NODE
};

#[test]
fn cloudevents_of_javascript_are_logged_once() {
    prove(&CLOUDEVENTS);
}

#[test]
fn cloudevents_of_python_are_logged_once() {
    prove(&Client { program: PYTHON.program, environment: PYTHON.environment, ..CLOUDEVENTS });
}
