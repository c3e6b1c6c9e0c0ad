//! Which tenant a request reads: the key's, or the one of several that `?tenant=` names.

use std::borrow::Cow;

use uuid::Uuid;

use super::parameter::{Given, Value};
use super::route::{Route, Source};
use crate::gateway::key::Key;
use crate::gateway::problem::Problem;
use crate::tenant;

/// The parameter that chooses the tenant.
const PARAMETER: &str = "tenant";

/// Takes the choice of the tenant out of a query string.
pub(crate) fn split(query: &str) -> Result<(Option<String>, Cow<'_, str>), Problem> {
    take(PARAMETER, query)
}

/// Takes a parameter that is no report's own out of a query string.
pub(crate) fn take<'a>(
    parameter: &str,
    query: &'a str,
) -> Result<(Option<String>, Cow<'a, str>), Problem> {
    let is_it = |(name, _): &(Cow<'_, str>, Cow<'_, str>)| name == parameter;
    let mut given = form_urlencoded::parse(query.as_bytes()).filter(is_it);
    let Some((_, value)) = given.next() else { return Ok((None, Cow::Borrowed(query))) };
    if given.next().is_some() {
        return Err(Problem::bad_request(format!("{parameter} is given more than once")));
    }
    let others = form_urlencoded::parse(query.as_bytes()).filter(|pair| !is_it(pair));
    let others = form_urlencoded::Serializer::new(String::new()).extend_pairs(others).finish();
    Ok((Some(value.into_owned()), Cow::Owned(others)))
}

/// Returns the tenant of a request. A report that takes `tenant_ids` is about all tenants of the key at
/// once: then the role reads as all of them, and the report is given the key's.
pub(super) fn choose<'a>(
    key: &Key,
    asked: Option<&str>,
    route: &'a Route,
    arguments: &mut Vec<Given<'a>>,
) -> Result<Uuid, Problem> {
    let tenant_ids = match &route.source {
        Source::Function(report) => report.argument("tenant_ids"),
        Source::View(_) => None,
    };
    let is_several = !key.tenants.is_empty() && matches!(asked, None | Some("all"));
    let Some(tenant_ids) = tenant_ids.filter(|_| is_several) else { return key.choose(asked) };
    let own: Vec<String> = key.tenants.iter().map(Uuid::to_string).collect();
    match arguments.iter().find(|given| given.argument.name == tenant_ids.name) {
        Some(Given { value: Value::List(texts), .. }) => {
            if texts.iter().any(|text| !own.contains(text)) {
                return Err(Problem::forbidden("the key does not read one of these tenants"));
            }
        }
        _ => arguments.push(Given { argument: tenant_ids, value: Value::List(own) }),
    }
    Ok(tenant::ALL)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn the_choice_is_taken_out_of_the_query_and_the_rest_is_left_alone() {
        let split = |query| split(query).ok().map(|(asked, rest)| (asked, rest.into_owned()));
        assert_eq!(split("a=1&b=%20"), Some((None, "a=1&b=%20".into())));
        assert_eq!(split("a=1&tenant=all&b=%26"), Some((Some("all".into()), "a=1&b=%26".into())));
        assert_eq!(split("tenant="), Some((Some(String::new()), String::new())));
        assert_eq!(split("tenant=a&tenant=b"), None);
    }
}
