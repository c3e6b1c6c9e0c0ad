//! Metrics for Prometheus. No label value is chosen by a tenant, a key or a client.

use std::sync::{Mutex, PoisonError};

use eventlog_writer::{Health, Stats};
use prometheus::{
    Encoder, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

/// Upper bounds of the histogram, in seconds.
const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0];

pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) seconds: HistogramVec,
    pub(crate) connections: IntGauge,
    pub(crate) crowded_out: IntCounter,
    pub(crate) is_ready: IntGauge,
    pending: IntGauge,
    in_flight: IntGauge,
    stalled: IntGauge,
    failing: Gauge,
    events: IntCounterVec,
    pub(crate) messages: IntCounterVec,
    /// Writer counters already added to the metric `events`.
    counted: Mutex<Stats>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("eventlog_http_requests_total", "Requests answered."),
            &["route", "status"],
        );
        let seconds = HistogramVec::new(
            HistogramOpts::new("eventlog_http_request_seconds", "Time from request to answer.")
                .buckets(BUCKETS.to_vec()),
            &["route"],
        );
        let connections = IntGauge::new("eventlog_http_connections", "Open client connections.");
        let crowded_out = IntCounter::new(
            "eventlog_http_connections_crowded_out_total",
            "Idle connections closed to make room for others.",
        );
        let is_ready =
            IntGauge::new("eventlog_ready", "1 if events reach the log, else 0; /readyz says why.");
        let pending = IntGauge::new("eventlog_events_pending", "Events waiting for the database.");
        let in_flight = IntGauge::new(
            "eventlog_batches_in_flight",
            "Batches being sent or waiting to be retried.",
        );
        let stalled = IntGauge::new(
            "eventlog_stalled_tenants",
            "Tenants whose events wait separately, behind a lock or slow statement of their own.",
        );
        let failing = Gauge::new(
            "eventlog_failing_seconds",
            "Seconds since sending to the log began to fail; 0 if it works.",
        );
        let events = IntCounterVec::new(
            Opts::new("eventlog_events_total", "Events accepted, and their outcomes."),
            &["outcome"],
        );
        let messages = IntCounterVec::new(
            Opts::new(
                "eventlog_protocol_messages_total",
                "Messages by other protocols: events taken, refused, and those left out by type.",
            ),
            &["protocol", "message"],
        );
        const VALID: &str = "names and labels are valid";
        let metrics = Metrics {
            requests: requests.expect(VALID),
            seconds: seconds.expect(VALID),
            connections: connections.expect(VALID),
            crowded_out: crowded_out.expect(VALID),
            is_ready: is_ready.expect(VALID),
            pending: pending.expect(VALID),
            in_flight: in_flight.expect(VALID),
            stalled: stalled.expect(VALID),
            failing: failing.expect(VALID),
            events: events.expect(VALID),
            messages: messages.expect(VALID),
            counted: Mutex::default(),
            registry,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.requests.clone())).expect(VALID);
        registry.register(Box::new(metrics.seconds.clone())).expect(VALID);
        registry.register(Box::new(metrics.connections.clone())).expect(VALID);
        registry.register(Box::new(metrics.crowded_out.clone())).expect(VALID);
        registry.register(Box::new(metrics.is_ready.clone())).expect(VALID);
        registry.register(Box::new(metrics.pending.clone())).expect(VALID);
        registry.register(Box::new(metrics.in_flight.clone())).expect(VALID);
        registry.register(Box::new(metrics.stalled.clone())).expect(VALID);
        registry.register(Box::new(metrics.failing.clone())).expect(VALID);
        registry.register(Box::new(metrics.events.clone())).expect(VALID);
        registry.register(Box::new(metrics.messages.clone())).expect(VALID);
        metrics
    }

    pub(crate) fn text(&self, stats: &Stats, health: &Health) -> Result<String, prometheus::Error> {
        {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            for (outcome, now, before) in [
                ("accepted", stats.submitted, counted.submitted),
                ("written", stats.written, counted.written),
                ("duplicate", stats.duplicate, counted.duplicate),
                ("sampled", stats.sampled, counted.sampled),
                ("rejected", stats.rejected, counted.rejected),
                ("dropped", stats.dropped, counted.dropped),
                ("unconfirmed", stats.unconfirmed, counted.unconfirmed),
            ] {
                self.events.with_label_values(&[outcome]).inc_by(now.saturating_sub(before));
            }
            // Of two requests at once, the counts of the later one are kept.
            if stats.submitted >= counted.submitted {
                *counted = *stats;
            }
            let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
            self.in_flight.set(gauge(health.in_flight));
            self.stalled.set(gauge(health.stalled_tenants));
            self.failing.set(health.failing_for.unwrap_or_default().as_secs_f64());
            self.pending.set(i64::try_from(stats.pending).unwrap_or(i64::MAX));
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8(text).unwrap_or_default())
    }
}
