//! What a share link shows, and how its scope is held: whatever its requests ask, they read no more.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Unit, Zoned, ZonedRound};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::parameter::{Given, Kind, Value};
use super::route::{Route, Source};
use crate::gateway::problem::Problem;
use crate::reports::Report;

/// Columns that say who somebody is, or that may: payloads. Counts of such a name are numbers.
const PERSONAL_COLUMNS: &[&str] = &["actor", "actors", "who", "data"];
/// Columns of single events, which a link without people shows as nulls.
const HIDDEN_COLUMNS: &[&str] = &["last_message", "last_id"];
/// Reports that look at days before the span that they are asked for.
const LOOKING_BACK: &[&str] = &["active_actors"];
/// Reports whose filters hold for a part of their events only.
const PARTLY_FILTERED: &[&str] = &["experiment_results"];

/// What a share link shows.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Scope {
    /// The page that the link opens, and what else the page keeps; the gateway does not read these.
    pub(crate) page: Option<String>,
    pub(crate) view: Option<String>,
    pub(crate) filters: Option<Json>,
    pub(crate) names: Option<Vec<String>>,
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    /// A span that ends now, which counts instead of `since` and `until`; `custom` for these.
    pub(crate) range: Option<String>,
    pub(crate) time_zone: Option<String>,
    /// True if the link shows who did what.
    pub(crate) people: bool,
}

/// The time that a share link shows.
#[derive(Debug)]
struct Bounds {
    since: Timestamp,
    /// `None` up to now.
    until: Option<Timestamp>,
    zone: TimeZone,
}

impl Scope {
    /// Returns why it makes no sense, if so.
    pub(crate) fn check(&self, personal: &[String]) -> Result<(), Problem> {
        let bounds = self.bounds(Timestamp::now()).map_err(Problem::bad_request)?;
        if bounds.until.is_some_and(|until| until < bounds.since) {
            return Err(Problem::bad_request("since must be before until"));
        }
        if !bounds.is_within_the_calendar() {
            return Err(Problem::bad_request("since and until must be of the years 1 to 9998"));
        }
        if !self.people && self.filters.as_ref().is_some_and(|own| names_people(own, personal)) {
            return Err(Problem::bad_request("filters name people: people must be true for that"));
        }
        Ok(())
    }

    /// Returns the columns whose values the link does not show.
    pub(super) fn hidden_columns(&self) -> &'static [&'static str] {
        if self.people { &[] } else { HIDDEN_COLUMNS }
    }

    /// Changes the arguments of a report so that it stays within the scope, or refuses it. `personal` has
    /// the payload keys whose values stand for people.
    pub(super) fn hold<'a>(
        &self,
        route: &'a Route,
        personal: &[String],
        arguments: &mut Vec<Given<'a>>,
    ) -> Result<(), Problem> {
        let report = match &route.source {
            // What there is to filter by; the same for every tenant.
            Source::View(view) if view.path == "names" => return Ok(()),
            Source::View(_) => return Err(unreachable_report()),
            Source::Function(report) => report,
        };
        let Some(filters) = report.argument("filters") else { return Err(unreachable_report()) };
        let name = report.name.as_str();
        if LOOKING_BACK.contains(&name) || PARTLY_FILTERED.contains(&name) {
            return Err(unreachable_report());
        }
        let text = |name: &str, arguments: &[Given<'_>]| {
            let given = arguments.iter().find(|given| given.argument.name == name)?;
            match &given.value {
                Value::One(text) => Some(text.clone()),
                Value::List(_) => None,
            }
        };
        let asked: Option<Json> = text("filters", arguments)
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|_| Problem::bad_request("filters must be JSON"))?;
        if !self.people {
            let is_personal = |column: &&crate::reports::Column| {
                let is_count =
                    matches!(column.type_name.as_str(), "integer" | "bigint" | "numeric");
                PERSONAL_COLUMNS.contains(&column.name.as_str()) && !is_count
            };
            if route.columns.iter().find(is_personal).is_some() {
                return Err(Problem::forbidden(
                    "this link shows no people, and so not this report",
                ));
            }
            let breakdown = text("breakdown", arguments);
            if breakdown.is_some_and(|key| is_person(&key, personal)) {
                return Err(Problem::forbidden(
                    "this link shows no people: choose another breakdown",
                ));
            }
            if asked.as_ref().is_some_and(|asked| names_people(asked, personal)) {
                return Err(Problem::forbidden(
                    "this link shows no people: leave out their filter",
                ));
            }
        }
        let all = self.narrowed(asked);
        let is_filtered = !all.is_empty();
        if is_filtered {
            set(arguments, filters, Json::Array(all).to_string());
        }
        // First events ever are counted whatever the filters.
        if let Some(first_ever) = report.argument("first_ever").filter(|_| self.is_narrow()) {
            if text("first_ever", arguments).as_deref() == Some("true") {
                return Err(Problem::forbidden(
                    "this link shows filtered events only: first_ever must be false",
                ));
            }
            set(arguments, first_ever, "false".to_owned());
        }
        let bounds = self.bounds(Timestamp::now()).map_err(Problem::forbidden)?;
        bounds.hold(route, arguments)?;
        bounds.hold_within(report, arguments);
        hold_cohorts(report, arguments);
        Ok(())
    }

    fn is_narrow(&self) -> bool {
        self.names.is_some() || !conditions(self.filters.clone()).is_empty()
    }

    /// Returns the filters of the scope and those asked for, all of which must hold.
    fn narrowed(&self, asked: Option<Json>) -> Vec<Json> {
        let mut all = conditions(self.filters.clone());
        all.extend(self.names.as_ref().map(|names| json!({ "name": names })));
        all.extend(conditions(asked));
        all
    }

    fn bounds(&self, now: Timestamp) -> Result<Bounds, String> {
        let zone = match &self.time_zone {
            Some(name) => {
                TimeZone::get(name).ok().filter(|zone| !zone.is_unknown()).ok_or_else(|| {
                    "time_zone must be a time zone by name, such as Europe/Berlin".to_owned()
                })?
            }
            None => TimeZone::UTC,
        };
        if let Some(range) = self.range.as_deref().filter(|range| *range != "custom") {
            let since = start_of_range(range, &now.to_zoned(zone.clone())).ok_or_else(|| {
                "range must be a span such as 30d or 24h, week, month, year, or custom".to_owned()
            })?;
            return Ok(Bounds { since, until: None, zone });
        }
        let time = |name: &str, text: &Option<String>| {
            match text {
            None => Ok(None),
            Some(text) => point(text, &zone).map(Some).ok_or_else(|| {
                format!("{name} must be a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z")
            }),
        }
        };
        let (since, until) = (time("since", &self.since)?, time("until", &self.until)?);
        match since {
            Some(since) => Ok(Bounds { since, until, zone }),
            None => Err("range is missing, or since and until".to_owned()),
        }
    }
}

impl Bounds {
    /// Returns true unless whole days around the span would be out of what a time can be.
    fn is_within_the_calendar(&self) -> bool {
        let year = |time: Timestamp| time.to_zoned(self.zone.clone()).year();
        [Some(self.since), self.until].into_iter().flatten().all(|t| (1..=9998).contains(&year(t)))
    }

    /// Moves the span that is asked for into these bounds; it is all of them unless one is asked for.
    fn hold<'a>(&self, route: &'a Route, arguments: &mut Vec<Given<'a>>) -> Result<(), Problem> {
        let of_report = arguments.iter().find(|given| given.argument.name == "time_zone");
        let zone = match of_report.map(|given| &given.value) {
            Some(Value::One(name)) => TimeZone::get(name).unwrap_or(TimeZone::UTC),
            _ => TimeZone::UTC,
        };
        let overflow = |_| Problem::bad_request("the span is out of range");
        // A report by days has whole days: those that the bounds touch.
        let first = first_day(&self.days().map_err(overflow)?.0, &zone).map_err(overflow)?;
        let last = self.days().map_err(overflow)?.1;
        let last = last.map(|until| last_day(&until, &zone)).transpose().map_err(overflow)?;
        for name in ["since", "until"] {
            let Some(parameter) = route.parameters.iter().find(|own| own.name() == name) else {
                continue;
            };
            let asked = arguments.iter().find(|given| given.argument.name == name);
            let asked = match asked.map(|given| &given.value) {
                Some(Value::One(text)) => Some(text.as_str()),
                _ => None,
            };
            let held = match parameter.kind {
                Kind::Time => {
                    let asked = asked.and_then(|text| text.parse::<Timestamp>().ok());
                    let usual = if name == "since" { Some(self.since) } else { self.until };
                    let until = self.until.unwrap_or(Timestamp::MAX);
                    let held = asked.or(usual).map(|time| time.min(until).max(self.since));
                    held.map(|time| time.to_string())
                }
                Kind::Day | Kind::EndDay => {
                    let asked = asked.and_then(|text| text.parse::<Date>().ok());
                    let usual = if name == "since" { Some(first) } else { last };
                    let held =
                        asked.or(usual).map(|day| day.min(last.unwrap_or(Date::MAX)).max(first));
                    held.map(|day| day.to_string())
                }
                // Not a time that this module can hold.
                _ => return Err(unreachable_report()),
            };
            if let Some(held) = held {
                set(arguments, &parameter.argument, held);
            }
        }
        Ok(())
    }

    /// Limits `within`, for which a funnel follows a person also past the end of the span: to as long as the
    /// span is.
    fn hold_within<'a>(&self, report: &'a Report, arguments: &mut Vec<Given<'a>>) {
        let (Some(within), Some(until)) = (report.argument("within"), self.until) else { return };
        let longest = until.duration_since(self.since).as_secs().max(1);
        let asked = arguments.iter().find(|given| given.argument.name == "within");
        let asked = match asked.map(|given| &given.value) {
            Some(Value::One(text)) => text.parse::<Span>().ok(),
            _ => Some(7.days()),
        };
        // What is no span is refused by the report.
        let seconds = asked.and_then(|span| {
            let end = self.since.to_zoned(self.zone.clone()).checked_add(span).ok()?;
            Some(end.timestamp().duration_since(self.since).as_secs())
        });
        if seconds.is_none_or(|seconds| seconds > longest) {
            set(arguments, within, format!("{longest} seconds"));
        }
    }

    /// Returns the bounds widened to whole days of the link's own zone.
    fn days(&self) -> Result<(Timestamp, Option<Timestamp>), jiff::Error> {
        let whole = |time: Timestamp| time.to_zoned(self.zone.clone()).start_of_day();
        let until = match self.until {
            None => None,
            Some(until) => {
                let begins = whole(until)?;
                let is_whole = begins.timestamp() == until;
                Some(if is_whole { begins } else { begins.checked_add(1.day())? }.timestamp())
            }
        };
        Ok((whole(self.since)?.timestamp(), until))
    }
}

/// Moves the start of cohorts to that of the next week or month, where it lies within one: the report would
/// begin with all of it.
fn hold_cohorts<'a>(report: &'a Report, arguments: &mut Vec<Given<'a>>) {
    if report.name != "cohort_retention" {
        return;
    }
    let value = |name: &str| {
        let given = arguments.iter().find(|given| given.argument.name == name)?;
        match &given.value {
            Value::One(text) => Some(text.clone()),
            Value::List(_) => None,
        }
    };
    let period = value("period").unwrap_or_else(|| "week".to_owned());
    let Some(since) = value("since").and_then(|text| text.parse::<Date>().ok()) else { return };
    let begins = match period.as_str() {
        "week" => {
            let past = i64::from(since.weekday().to_monday_zero_offset());
            since.checked_add((if past == 0 { 0 } else { 7 - past }).days())
        }
        "month" if since.day() > 1 => since.first_of_month().checked_add(1.month()),
        _ => Ok(since),
    };
    if let (Ok(begins), Some(argument)) = (begins, report.argument("since")) {
        set(arguments, argument, begins.to_string());
    }
}

/// Returns the first day of a zone that begins at this time or later.
fn first_day(time: &Timestamp, zone: &TimeZone) -> Result<Date, jiff::Error> {
    let at = time.to_zoned(zone.clone());
    match at.start_of_day()?.timestamp() == *time {
        true => Ok(at.date()),
        false => at.date().checked_add(1.day()),
    }
}

/// Returns the last day of a zone that begins at this time or before.
fn last_day(time: &Timestamp, zone: &TimeZone) -> Result<Date, jiff::Error> {
    Ok(time.to_zoned(zone.clone()).date())
}

/// Returns when a range that ends now begins: `24h` an hour's fraction earlier than 24 hours ago, `7d`
/// with the first of seven days, `week`, `month` and `year` with the current one.
fn start_of_range(range: &str, now: &Zoned) -> Option<Timestamp> {
    let today = || now.start_of_day().ok();
    let begins = match range {
        "week" => {
            let days = now.weekday().to_monday_zero_offset();
            today()?.checked_sub(i64::from(days).days()).ok()?.start_of_day().ok()?
        }
        "month" => now.first_of_month().ok()?.start_of_day().ok()?,
        "year" => now.first_of_year().ok()?.start_of_day().ok()?,
        _ => {
            let span: Span = range.parse().ok().filter(|span: &Span| !span.is_negative())?;
            if span.is_zero() {
                return None;
            }
            // Whole days count today as one of them.
            let whole =
                span.get_days() > 0 && span.fieldwise() == span.get_days().days().fieldwise();
            match whole {
                true => today()?.checked_sub((span.get_days() - 1).days()).ok()?,
                false => now
                    .checked_sub(span)
                    .ok()?
                    .round(ZonedRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Floor))
                    .ok()?,
            }
        }
    };
    Some(begins.timestamp())
}

/// Reads a time, or a day of the zone.
fn point(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let day: Date = (text.len() == 10).then(|| text.parse().ok()).flatten()?;
    Some(day.to_zoned(zone.clone()).ok()?.timestamp())
}

/// Returns the objects of filters.
fn conditions(filters: Option<Json>) -> Vec<Json> {
    match filters {
        Some(Json::Array(all)) => all,
        Some(one @ Json::Object(_)) => vec![one],
        _ => Vec::new(),
    }
}

fn names_people(filters: &Json, personal: &[String]) -> bool {
    let conditions = conditions(Some(filters.clone()));
    let mut keys = conditions.iter().filter_map(Json::as_object).flat_map(|one| one.keys());
    keys.any(|key| is_person(key, personal))
}

/// Returns true if the values of a filter or breakdown stand for people.
fn is_person(key: &str, personal: &[String]) -> bool {
    let is_own = |key: &str| personal.iter().any(|own| own == key);
    key == "actor" || key.strip_prefix("data.").is_some_and(is_own)
}

fn set<'a>(arguments: &mut Vec<Given<'a>>, argument: &'a crate::reports::Argument, value: String) {
    match arguments.iter_mut().find(|given| given.argument.name == argument.name) {
        Some(given) => given.value = Value::One(value),
        None => arguments.push(Given { argument, value: Value::One(value) }),
    }
}

fn unreachable_report() -> Problem {
    Problem::forbidden("a share link does not show this report")
}
