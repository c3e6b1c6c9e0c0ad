//! The description of the API: the routes that do not change are in `openapi.json`, the reports come
//! from the catalog.

use serde_json::{Map, Value, json};

use super::aliases;
use super::parameter::Parameter;
use super::route::Route;
use crate::reports::{Column, first_sentence};

/// Describes everything but the reports.
const FIXED: &str = include_str!("../../../openapi.json");

/// Describes the routes of other clients' protocols.
const PROTOCOLS: &str = include_str!("../../../openapi-protocols.json");

/// Writes the description with these routes.
pub(crate) fn describe(routes: &[Route]) -> String {
    let mut all: Value = serde_json::from_str(FIXED).expect("openapi.json is JSON");
    add_protocols(&mut all);
    let paths = all["paths"].as_object_mut().expect("openapi.json has paths");
    for route in routes {
        // The first route of a path is the one that is served.
        paths
            .entry(format!("/api/analytics/{}", route.path))
            .or_insert_with(|| json!({ "get": operation(route) }));
    }
    all.to_string()
}

/// Adds the routes of the protocols, with what their responses share written out: the format has no
/// reference to all responses of an operation.
fn add_protocols(all: &mut Value) {
    let mut more: Value = serde_json::from_str(PROTOCOLS).expect("openapi-protocols.json is JSON");
    let shared = more["components"]["x-responses"].take();
    for (path, mut item) in std::mem::take(more["paths"].as_object_mut().expect("it has paths")) {
        for operation in item.as_object_mut().into_iter().flat_map(|item| item.values_mut()) {
            let name = operation["responses"]["$ref"].as_str().and_then(|to| to.rsplit('/').next());
            if let Some(responses) = name.and_then(|name| shared.get(name)) {
                operation["responses"] = responses.clone();
            }
        }
        all["paths"][path] = item;
    }
    for kind in ["securitySchemes", "requestBodies", "responses", "schemas"] {
        for (name, item) in more["components"][kind].as_object().into_iter().flatten() {
            all["components"][kind][name] = item.clone();
        }
    }
}

fn operation(route: &Route) -> Value {
    let refused = json!({ "$ref": "#/components/responses/Problem" });
    let later = json!({ "$ref": "#/components/responses/Later" });
    let rows = json!({ "type": "array", "items": row(&route.columns) });
    let schema = json!({
        "type": "object",
        "required": ["tenant_id", "rows"],
        "additionalProperties": false,
        "properties": {
            "tenant_id": { "type": "string" },
            "rows": rows,
            "notices": {
                "type": "array",
                "items": { "type": "string" },
                "description": "What the log said besides, such as that a name is unknown. Left out if empty.",
            },
        },
    });
    let mut description = route.description.clone();
    if let Some(short) = route.short_path {
        description += &format!("\n\nAlso at `/api/analytics/{short}`.");
    }
    json!({
        "operationId": route.path,
        "summary": first_sentence(&route.description),
        "description": description,
        "security": [{ "bearer": [] }, { "header": [] }, { "cookie": [] }],
        "parameters": route.parameters.iter().map(parameter).chain([tenant(), format()]).collect::<Vec<_>>(),
        "responses": {
            "200": {
                "description": "The report of the key's tenant.",
                "content": {
                    "application/json": { "schema": schema },
                    "text/csv": { "schema": { "type": "string" } },
                },
            },
            "400": refused,
            "401": refused,
            "403": refused,
            "404": refused,
            "429": later,
            "431": { "$ref": "#/components/responses/TooLong" },
            "500": refused,
            "503": later,
        },
    })
}

/// The choice of the tenant, which every report has.
fn tenant() -> Value {
    json!({
        "name": "tenant",
        "in": "query",
        "required": false,
        "description": "The uuid of one of the key's tenants, or `all` for a key of all tenants. \
                        Needed by keys of several tenants only.",
        "schema": { "type": "string" },
    })
}

/// The choice of the format, which every report has.
fn format() -> Value {
    json!({
        "name": "format",
        "in": "query",
        "required": false,
        "description": "`csv` for a table with headings, as with `Accept: text/csv`.",
        "schema": { "enum": ["json", "csv"] },
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let argument = &parameter.argument;
    let mut description = vec![parameter.kind.note().to_owned()];
    if let Some(short) = aliases::short_parameter(&argument.name) {
        description.push(format!("Also as `{short}`."));
    }
    if let Some(default) = argument.default.as_ref().filter(|text| !text.starts_with("NULL")) {
        description.push(format!("Default: `{default}`."));
    }
    description.retain(|sentence| !sentence.is_empty());
    json!({
        "name": argument.name,
        "in": "query",
        "required": argument.is_required,
        "description": description.join(" "),
        "schema": parameter.kind.schema(),
    })
}

/// The schema of a row. The catalog does not say which columns can be null, so all may be.
fn row(columns: &[Column]) -> Value {
    let properties: Map<String, Value> =
        columns.iter().map(|column| (column.name.clone(), schema(column))).collect();
    let required: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

fn schema(column: &Column) -> Value {
    if column.is_id() {
        return json!({ "type": ["string", "null"], "pattern": "^-?[0-9]+$" });
    }
    let (element, is_array) = match column.type_name.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (column.type_name.as_str(), false),
    };
    let (kind, format) = match element {
        "smallint" | "integer" | "bigint" => ("integer", None),
        "real" | "double precision" | "numeric" => ("number", None),
        "boolean" => ("boolean", None),
        "timestamp with time zone" => ("string", Some("date-time")),
        "date" => ("string", Some("date")),
        "uuid" => ("string", Some("uuid")),
        // Any JSON.
        "json" | "jsonb" => return json!({}),
        _ => ("string", None),
    };
    let mut schema = json!({ "type": [kind, "null"] });
    if let Some(format) = format {
        schema["format"] = format.into();
    }
    match is_array {
        true => json!({ "type": ["array", "null"], "items": schema }),
        false => schema,
    }
}
