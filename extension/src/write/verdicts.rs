//! The outcome of each element of a batch, and its rendering as JSON.

use crate::error::Fault;
use crate::pg::datum::Jsonb;
use crate::pg::input;

/// The outcome of one element.
pub(crate) enum End {
    Written(Option<i64>),
    Duplicate(Option<i64>),
    /// Sampled out, or its tenant opted out, or a trigger of the user skipped its row.
    LeftOut,
    Rejected(Fault),
}

impl End {
    pub(crate) fn id(&self) -> Option<i64> {
        match self {
            End::Written(id) | End::Duplicate(id) => *id,
            End::LeftOut | End::Rejected(_) => None,
        }
    }
}

/// Renders verdicts as JSON: `[{"position": 1, "id": 7}, {"position": 2, "sqlstate": …, "message":
/// …}]`.
pub(crate) fn render<'a>(verdicts: &[Option<End>]) -> Jsonb<'a> {
    let mut json = String::from("[");
    for (position, end) in verdicts.iter().enumerate() {
        let separator = if position == 0 { "" } else { "," };
        json.push_str(&format!("{separator}{{\"position\":{}", position + 1));
        match end {
            Some(End::Written(id)) => json.push_str(&format!(",\"id\":{}", number(*id))),
            Some(End::Duplicate(id)) => {
                json.push_str(&format!(",\"id\":{},\"is_duplicate\":true", number(*id)));
            }
            Some(End::LeftOut) => json.push_str(",\"id\":null,\"is_sampled\":true"),
            Some(End::Rejected(fault)) => json.push_str(&format!(
                ",\"sqlstate\":\"{}\",\"message\":{}",
                fault.sqlstate(),
                input::quoted(&fault.reason())
            )),
            None => {}
        }
        json.push('}');
    }
    json.push(']');
    input::jsonb_of(&json).unwrap_or_else(|fault| fault.raise())
}

fn number(id: Option<i64>) -> String {
    id.map_or_else(|| "null".to_owned(), |id| id.to_string())
}
