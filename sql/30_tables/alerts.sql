-- Alerts: what a tenant wants to hear of, and how it stands.

CREATE FUNCTION eventlog_private.create_alerts() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventlog_private.is_missing('alerts') THEN
        CREATE TABLE eventlog.alerts (
            tenant_id       uuid             NOT NULL,
            alert           text             NOT NULL,
            condition       text             NOT NULL,
            names           text[],
            time_window     interval         NOT NULL,
            compare_with    interval,
            threshold       double precision,
            resolve_at      double precision,
            raise_after     integer          NOT NULL DEFAULT 1,
            resolve_after   integer          NOT NULL DEFAULT 1,
            pause           interval         NOT NULL DEFAULT '0',
            is_enabled      boolean          NOT NULL DEFAULT true,
            created_at      timestamptz      NOT NULL DEFAULT now(),
            is_raised       boolean          NOT NULL DEFAULT false,
            raised_since    timestamptz,
            resolved_at     timestamptz,
            value           double precision,
            evaluated_until timestamptz,
            next_until      timestamptz      NOT NULL,
            windows_in_row  integer          NOT NULL DEFAULT 0,
            windows_skipped bigint           NOT NULL DEFAULT 0,
            failure         text,
            CONSTRAINT alerts_pkey PRIMARY KEY (tenant_id, alert),
            CONSTRAINT alerts_alert_check CHECK (char_length(alert) BETWEEN 1 AND 100),
            CONSTRAINT alerts_condition_check CHECK (condition IN ('above', 'below', 'changed', 'not_received', 'error_rate',
                                                                   'refused', 'quota', 'stopped_consumers', 'findings')),
            CONSTRAINT alerts_time_window_check CHECK (time_window BETWEEN '1 minute' AND '31 days'),
            CONSTRAINT alerts_raise_after_check CHECK (raise_after BETWEEN 1 AND 1000),
            CONSTRAINT alerts_resolve_after_check CHECK (resolve_after BETWEEN 1 AND 1000),
            CONSTRAINT alerts_pause_check CHECK (pause >= '0'::interval)
        );
        PERFORM eventlog_private.secure('eventlog.alerts');
    END IF;
    IF to_regclass('eventlog.alerts_next_until_idx') IS NULL THEN
        CREATE INDEX alerts_next_until_idx ON eventlog.alerts (next_until) WHERE is_enabled;
    END IF;
    COMMENT ON TABLE eventlog.alerts IS
        'Alerts and how they stand. Use create_alert(), disable_alert() and drop_alert(); alert_changes lists what was raised and resolved.';
    COMMENT ON COLUMN eventlog.alerts.tenant_id IS 'The tenant that it watches; all_tenants() for all of them together.';
    COMMENT ON COLUMN eventlog.alerts.alert IS 'Its name, one of its tenant.';
    COMMENT ON COLUMN eventlog.alerts.condition IS
        'What it watches: above, below, changed, not_received, error_rate, refused, quota, stopped_consumers or findings.';
    COMMENT ON COLUMN eventlog.alerts.names IS 'The names of the events that it watches; null for all.';
    COMMENT ON COLUMN eventlog.alerts.time_window IS 'The length of its windows, which are aligned in UTC.';
    COMMENT ON COLUMN eventlog.alerts.compare_with IS 'changed: how long before a window the one began that it is compared with; null for the one just before.';
    COMMENT ON COLUMN eventlog.alerts.threshold IS 'The value that raises it when passed; null for not_received.';
    COMMENT ON COLUMN eventlog.alerts.resolve_at IS 'The value back at which it is resolved; null for not_received.';
    COMMENT ON COLUMN eventlog.alerts.raise_after IS 'Number of windows in a row that raise it.';
    COMMENT ON COLUMN eventlog.alerts.resolve_after IS 'Number of windows in a row that resolve it.';
    COMMENT ON COLUMN eventlog.alerts.pause IS 'How long after it was resolved it is not raised again.';
    COMMENT ON COLUMN eventlog.alerts.is_enabled IS 'False while it is not evaluated.';
    COMMENT ON COLUMN eventlog.alerts.created_at IS 'When it was created.';
    COMMENT ON COLUMN eventlog.alerts.is_raised IS 'True from when it is raised to when it is resolved.';
    COMMENT ON COLUMN eventlog.alerts.raised_since IS 'The end of the window that raised it; null while it is not raised.';
    COMMENT ON COLUMN eventlog.alerts.resolved_at IS 'The end of the window that resolved it last.';
    COMMENT ON COLUMN eventlog.alerts.value IS
        'The value of the last window: a number of events, a percentage (changed, error_rate), seconds (stopped_consumers) or findings; null if the window had none.';
    COMMENT ON COLUMN eventlog.alerts.evaluated_until IS 'The end of the last window that was evaluated.';
    COMMENT ON COLUMN eventlog.alerts.next_until IS 'The end of the next window.';
    COMMENT ON COLUMN eventlog.alerts.windows_in_row IS 'Number of windows up to the last one that spoke for a change of its state.';
    COMMENT ON COLUMN eventlog.alerts.windows_skipped IS 'Number of windows that were not evaluated because nobody did in time.';
    COMMENT ON COLUMN eventlog.alerts.failure IS 'Why it could not be evaluated last; null if it could.';
END
$$;
