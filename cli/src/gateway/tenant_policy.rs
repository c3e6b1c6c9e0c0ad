//! Whether the gateway reads one tenant at a time.

/// Whether the policies that `grant_gateway` made hold this role to one tenant.
pub(crate) const READS_ONE_TENANT: &str = "pg_catalog.row_security_active('eventlog.events')
        AND EXISTS (SELECT FROM pg_catalog.pg_policy p, pg_catalog.unnest(p.polroles) AS g (role)
                     WHERE p.polrelid OPERATOR(pg_catalog.=) 'eventlog.events'::pg_catalog.regclass
                       AND p.polname OPERATOR(pg_catalog.=) 'events_gateway_select' AND NOT p.polpermissive
                       AND pg_catalog.pg_has_role(g.role, 'USAGE'))";
