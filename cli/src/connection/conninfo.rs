//! Connection parameters in libpq's order: given ones, then a service, then environment variables, then
//! defaults. Unknown parameters are refused, since ignoring one could leave a connection unprotected.

use std::collections::BTreeMap;

use crate::output::Failure;

/// Values of libpq's parameters, by name.
pub(super) type Parameters = BTreeMap<String, String>;

/// Each parameter with its environment variable.
const KNOWN: &[(&str, &str)] = &[
    ("service", "PGSERVICE"),
    ("servicefile", "PGSERVICEFILE"),
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("fallback_application_name", ""),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("tcp_user_timeout", ""),
    ("keepalives", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("keepalives_count", ""),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
];

/// Parameters that this program does not implement, with the values that need no implementation.
const LIMITED: &[(&str, &str, &[&str])] = &[
    ("client_encoding", "", &["auto", "utf8", "utf-8", "unicode"]),
    ("gssencmode", "PGGSSENCMODE", &["disable", "prefer"]),
    ("sslcompression", "PGSSLCOMPRESSION", &["0"]),
    ("sslsni", "PGSSLSNI", &["1"]),
    ("sslnegotiation", "PGSSLNEGOTIATION", &["postgres"]),
    ("sslcertmode", "PGSSLCERTMODE", &["allow"]),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", &["tlsv1", "tlsv1.1", "tlsv1.2"]),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", &["tlsv1.3"]),
    ("sslcrl", "PGSSLCRL", &[]),
    ("sslcrldir", "PGSSLCRLDIR", &[]),
    ("sslpassword", "", &[]),
    ("requiressl", "PGREQUIRESSL", &["0"]),
    ("requirepeer", "PGREQUIREPEER", &[]),
    ("require_auth", "PGREQUIREAUTH", &[]),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", &["3.0"]),
    ("max_protocol_version", "PGMAXPROTOCOLVERSION", &["3.0", "3.2", "latest"]),
];

/// Checks a parameter, and stores it if this program uses it.
pub(super) fn take(
    parameters: &mut Parameters,
    source: &str,
    name: &str,
    value: &str,
) -> Result<(), Failure> {
    if let Some((_, _, harmless)) = LIMITED.iter().find(|(known, ..)| *known == name) {
        return match value.is_empty() || harmless.contains(&value.to_ascii_lowercase().as_str()) {
            true => Ok(()),
            false => Err(Failure::new(format!("{source}: {name} {value:?} is not supported"))),
        };
    }
    if !KNOWN.iter().any(|(known, _)| *known == name) {
        return Err(Failure::new(format!("{source}: unknown parameter {name:?}")));
    }
    // As in libpq, an empty value counts as none, and the first source that gives one wins.
    if !value.is_empty() {
        parameters.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    Ok(())
}

/// Adds the environment variables.
pub(super) fn take_variables(
    parameters: &mut Parameters,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), Failure> {
    let limited = LIMITED.iter().map(|(name, variable, _)| (*name, *variable));
    for (name, from) in KNOWN.iter().copied().chain(limited) {
        if let Some(value) = (!from.is_empty()).then(|| variable(from)).flatten() {
            take(parameters, from, name, &value)?;
        }
    }
    Ok(())
}

/// Adds the parameters of a connection string in either of libpq's forms.
pub(super) fn take_string(
    parameters: &mut Parameters,
    source: &str,
    text: &str,
) -> Result<(), Failure> {
    let pairs = match is_url(text) {
        Some(rest) => url(rest),
        None => key_values(text),
    };
    // The error does not repeat the string, which may hold a password.
    let pairs = pairs
        .map_err(|what| Failure::new(format!("{source} is not a connection string: {what}")))?;
    // Within a string the last value of a parameter counts.
    for (name, value) in pairs.into_iter().rev() {
        take(parameters, source, &name, &value)?;
    }
    Ok(())
}

/// Returns true if a database name is a connection string, as psql accepts it.
pub(super) fn is_string(text: &str) -> bool {
    is_url(text).is_some() || text.contains('=')
}

fn is_url(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

type Pairs = Result<Vec<(String, String)>, &'static str>;

/// Parses `host=localhost dbname='my db'`.
fn key_values(text: &str) -> Pairs {
    let mut pairs = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Ok(pairs);
        }
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !c.is_whitespace()) {
            name.push(c);
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.next() != Some('=') {
            return Err("a name has no = behind it");
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let is_quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match rest.next() {
                Some('\\') => value.extend(rest.next()),
                Some('\'') if is_quoted => break,
                Some(c) if c.is_whitespace() && !is_quoted => break,
                Some(c) => value.push(c),
                None if is_quoted => return Err("a quote is not closed"),
                None => break,
            }
        }
        pairs.push((name, value));
    }
}

/// Parses `user:password@host:port,host:port/dbname?name=value`, after the scheme.
fn url(rest: &str) -> Pairs {
    let mut pairs = Vec::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = match authority.rsplit_once('@') {
        Some((user, hosts)) => {
            let (user, password) = user.split_once(':').unwrap_or((user, ""));
            pairs.push(("user".to_owned(), decoded(user)?));
            pairs.push(("password".to_owned(), decoded(password)?));
            hosts
        }
        None => authority,
    };
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((name, port)) => (name, port.strip_prefix(':').unwrap_or(port)),
            None => host.split_once(':').unwrap_or((host, "")),
        };
        names.push(decoded(name)?);
        ports.push(decoded(port)?);
    }
    if names.iter().any(|name| !name.is_empty()) {
        pairs.push(("host".to_owned(), names.join(",")));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        pairs.push(("port".to_owned(), ports.join(",")));
    }
    pairs.push(("dbname".to_owned(), decoded(dbname)?));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("a parameter has no =")?;
        match (decoded(name)?, decoded(value)?) {
            // The JDBC spelling, which libpq accepts too.
            (name, value) if name == "ssl" && value == "true" => {
                pairs.push(("sslmode".to_owned(), "require".to_owned()));
            }
            pair => pairs.push(pair),
        }
    }
    Ok(pairs)
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next(), rest.next()].map(|digit| {
            digit.and_then(|digit| char::from(digit).to_digit(16)).map(|digit| digit as u8)
        });
        match digits {
            [Some(high), Some(low)] if high | low != 0 => bytes.push(high << 4 | low),
            _ => return Err("a % is not followed by two digits"),
        }
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let mut parameters = Parameters::new();
        take_string(&mut parameters, "--dsn", text).map_err(|failure| failure.to_string())?;
        Ok(parameters.iter().map(|(name, value)| format!("{name}={value};")).collect())
    }

    #[test]
    fn both_forms_of_a_connection_string_are_read() {
        for (text, read_as) in [
            ("", ""),
            ("host=a  dbname = 'my db'", "dbname=my db;host=a;"),
            (r"password='it\'s' user=a\ b", "password=it's;user=a b;"),
            ("host=a host=b", "host=b;"),
            ("postgres://", ""),
            (
                "postgresql://u:p%40@h:1/d?sslmode=verify-full",
                "dbname=d;host=h;password=p@;port=1;sslmode=verify-full;user=u;",
            ),
            ("postgres://[::1]:5,b/d", "dbname=d;host=::1,b;port=5,;"),
            ("postgres://%2Ftmp/d?ssl=true", "dbname=d;host=/tmp;sslmode=require;"),
            ("gssencmode=disable client_encoding=UTF8", ""),
        ] {
            assert_eq!(read(text).as_deref(), Ok(read_as), "{text}");
        }
        for (text, said) in [
            ("host", "no ="),
            ("host='a", "not closed"),
            ("postgres://h/d?x", "no ="),
            ("postgres://%zz", "two digits"),
            ("sslcrl=/x", "sslcrl \"/x\" is not supported"),
            ("gssencmode=require", "not supported"),
            ("sslmod=verify-full", "unknown parameter \"sslmod\""),
        ] {
            let refused = read(text).expect_err(text);
            assert!(refused.contains(said), "{refused}");
        }
    }
}
