//! A time limit for statements on connections that nobody watches.

use std::time::Duration;

use tokio_postgres::{Client, Config, Error};

/// Milliseconds; zero means no limit.
#[derive(Clone, Copy, Default)]
pub(super) struct StatementTimeout(i32);

/// Restores the setting of the role or the database, which takes precedence. Every connection of the role
/// has this value anyway, so behind a pooler it changes nothing for others.
const GIVE_WAY: &str = "
    SELECT pg_catalog.set_config('statement_timeout', pg_catalog.split_part(o.value, '=', 2), false)
      FROM (SELECT c.value
              FROM pg_catalog.pg_db_role_setting s
             CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c (value)
             WHERE pg_catalog.split_part(c.value, '=', 1) OPERATOR(pg_catalog.=) 'statement_timeout'
               AND s.setrole OPERATOR(pg_catalog.=) ANY (ARRAY[0::pg_catalog.oid,
                   (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) session_user)])
               AND s.setdatabase OPERATOR(pg_catalog.=) ANY (ARRAY[0::pg_catalog.oid,
                   (SELECT d.oid FROM pg_catalog.pg_database d
                     WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())])
             ORDER BY s.setrole DESC, s.setdatabase DESC
             LIMIT 1) o";

impl StatementTimeout {
    pub(super) fn of(time: Duration) -> Self {
        // More than the server can count means no limit.
        StatementTimeout(i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or_default())
    }

    /// Adds the limit to a configuration that has none.
    pub(super) fn added_to(self, config: &Config) -> Option<Config> {
        let options = config.get_options().unwrap_or_default();
        if self.0 == 0 || options.contains("statement_timeout") {
            return None;
        }
        let mut config = config.clone();
        config.options(format!("{options} -c statement_timeout={}", self.0).trim_start());
        Some(config)
    }
}

/// Lets a setting of the role or the database take precedence.
pub(super) async fn give_way(client: &Client) -> Result<(), Error> {
    client.query_typed(GIVE_WAY, &[]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_added_to_other_options_and_gives_way_to_one_that_is_there() {
        let added = |milliseconds, options: &str| {
            let mut config = Config::new();
            config.options(options);
            let added =
                StatementTimeout::of(Duration::from_millis(milliseconds)).added_to(&config)?;
            added.get_options().map(str::to_owned)
        };
        assert_eq!(added(500, "").as_deref(), Some("-c statement_timeout=500"));
        assert_eq!(added(1, "-c jit=off").as_deref(), Some("-c jit=off -c statement_timeout=1"));
        assert_eq!(added(500, "-c statement_timeout=1s"), None);
        assert_eq!(added(0, ""), None);
        assert_eq!(added(u64::MAX, ""), None);
    }
}
