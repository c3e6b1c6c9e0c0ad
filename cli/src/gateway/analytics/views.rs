//! Routes that read a view or a table of the log instead of calling a report function.

/// A route below `/api/analytics/` that takes no parameters.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) path: &'static str,
    /// The relation in the schema `eventlog`.
    pub(crate) relation: &'static str,
    pub(crate) columns: &'static [&'static str],
    /// What follows the relation in the query.
    pub(crate) order: &'static str,
}

pub(crate) static VIEWS: [View; 5] = [
    View {
        path: "alerts",
        relation: "alerts",
        columns: &[
            "tenant_id",
            "alert",
            "condition",
            "names",
            "time_window",
            "threshold",
            "value",
            "is_raised",
            "raised_since",
            "evaluated_until",
            "is_enabled",
            "failure",
        ],
        order: "ORDER BY is_raised AND is_enabled DESC, alert, tenant_id LIMIT 1000",
    },
    View {
        path: "alert_changes",
        relation: "alert_changes",
        columns: &["id", "tenant_id", "alert", "is_raised", "changed_at", "details"],
        order: "ORDER BY id DESC LIMIT 200",
    },
    View {
        path: "names",
        relation: "event_types",
        columns: &[
            "name",
            "domain",
            "description",
            "status",
            "required_keys",
            "optional_keys",
            "count_keys",
        ],
        order: "ORDER BY name",
    },
    View {
        path: "rejected",
        relation: "stat_rejected",
        columns: &["name", "sqlstate", "reason", "events", "first_at", "last_at"],
        order: "ORDER BY last_at DESC, name, sqlstate, reason LIMIT 1000",
    },
    View {
        path: "taxonomy",
        relation: "stat_taxonomy",
        columns: &[
            "name",
            "state",
            "rows",
            "last_at",
            "undeclared_keys",
            "unused_keys",
            "missing_keys",
        ],
        order: "ORDER BY name",
    },
];

impl View {
    /// Writes the query of its rows.
    pub(crate) fn query(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("v.{column}")).collect();
        format!("SELECT {} FROM eventlog.{} v {}", columns.join(", "), self.relation, self.order)
    }
}
