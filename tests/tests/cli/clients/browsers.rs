//! The browser builds of clients, in a real Chromium, with a public key.

use super::proof::prove;
use super::stage::Client;

const SEGMENT: Client = Client {
    program: "browser.mjs",
    environment: "",
    name: "segment",
    variables: &[],
    protocol: "segment",
    is_gzip: false,
    reports_refusals: false,
    comes_again: true,
    sends_again_as_who_is_there: true,
    answers_before_the_kill: 700,
};

#[test]
fn segments_client_for_browsers_logs_each_event_once() {
    prove(&SEGMENT);
}

#[test]
fn segments_client_for_browsers_logs_batches_once() {
    prove(&Client { name: "segment-batches", answers_before_the_kill: 2, ..SEGMENT });
}

#[test]
fn posthogs_client_for_browsers_logs_each_event_once() {
    // It gives up what a status from 400 to 499 answers, of a limit too.
    let client = Client { name: "posthog", protocol: "posthog", is_gzip: true, ..SEGMENT };
    prove(&Client {
        comes_again: false,
        sends_again_as_who_is_there: false,
        answers_before_the_kill: 300,
        ..client
    });
}
