//! The check that the gateway's role reads only one tenant at a time.

/// SQL condition: the policies of `grant_gateway` restrict this role to one tenant.
pub(crate) const READS_ONE_TENANT: &str = "pg_catalog.row_security_active('eventlog.events')
        AND EXISTS (SELECT FROM pg_catalog.pg_policy p, pg_catalog.unnest(p.polroles) AS g (role)
                     WHERE p.polrelid OPERATOR(pg_catalog.=) 'eventlog.events'::pg_catalog.regclass
                       AND p.polname OPERATOR(pg_catalog.=) 'events_gateway_select' AND NOT p.polpermissive
                       AND pg_catalog.pg_has_role(g.role, 'USAGE'))";
