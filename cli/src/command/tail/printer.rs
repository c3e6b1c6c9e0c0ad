//! Prints events one by one, so that a pipe gets them at once.

use super::line::Line;
use crate::output::{
    Colours, Failure, Form, FormOptions, Kind, Rows, Style, cut, cut_middle, one_line, print,
    render, width, width_of,
};

/// Between two fields.
const GAP: usize = 2;
/// The least widths to which a name, an actor and a subject are shortened for the payload.
const LEAST: [usize; 3] = [12, 8, 8];

pub(super) struct Printer {
    form: Form,
    has_header: bool,
    colours: Colours,
    zone: String,
    /// The day of the last event on a terminal.
    day: String,
    printed: usize,
}

impl Printer {
    pub(super) fn new(options: &FormOptions, zone: String) -> Self {
        Printer {
            form: options.form(),
            has_header: options.has_header(),
            colours: Colours::of_stdout(),
            zone,
            day: String::new(),
            printed: 0,
        }
    }

    /// Prints the header of forms that have one.
    pub(super) fn begin(&self) -> Result<(), Failure> {
        match self.form {
            Form::Tsv | Form::Csv if self.has_header => {
                let header = render(&rows(), self.form, true, self.colours, 0);
                print(header.trim_end_matches('\n'))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn print(&mut self, line: &Line) -> Result<(), Failure> {
        match self.form {
            Form::Json => print(&line.shown),
            Form::Table => {
                let (day, time) = line.shown.split_once(' ').unwrap_or(("", &line.shown));
                if self.day != day {
                    self.day = day.to_owned();
                    print(&self.colours.paint(Style::Dim, &format!("{day}, {}", self.zone)))?;
                }
                print(&self.line(time, line, width()))
            }
            form => {
                let mut rows = rows();
                rows.before = self.printed;
                rows.rows.push(vec![
                    Some(line.shown.clone()),
                    Some(line.name.clone()),
                    line.actor.clone(),
                    line.subject.clone(),
                    Some(line.data.clone()),
                    Some(line.id.to_string()),
                ]);
                self.printed += 1;
                let text = render(&rows, form, false, self.colours, width());
                print(text.trim_end_matches('\n'))
            }
        }
    }

    /// Writes an event on one line of a terminal. The subject is shortened first, then the actor and the
    /// name; the payload keeps a third of the line.
    fn line(&self, time: &str, line: &Line, width: usize) -> String {
        let label = |text: &Option<String>| match text.as_deref() {
            None | Some("") => "-".to_owned(),
            Some(text) => one_line(text),
        };
        let mut labels = [one_line(&line.name), label(&line.actor), label(&line.subject)];
        let payload = one_line(&line.data);
        let before = |labels: &[String; 3]| {
            width_of(time) + labels.iter().map(|label| width_of(label) + GAP).sum::<usize>() + GAP
        };
        let needed = before(&labels) + width_of(&payload).min(width / 3);
        let mut over = needed.saturating_sub(width);
        for (label, least) in labels.iter_mut().zip(LEAST).rev() {
            let now = width_of(label);
            let shorter = now.saturating_sub(over).max(least.min(now));
            *label = cut_middle(label, shorter);
            over = over.saturating_sub(now - shorter);
        }
        let payload = cut(&payload, width.saturating_sub(before(&labels)));
        let [name, actor, subject] = labels;
        let (time, payload) =
            (self.colours.paint(Style::Dim, time), self.colours.paint(Style::Dim, &payload));
        let name = self.colours.paint(Style::Name, &name);
        format!("{time}  {name}  {actor}  {subject}  {payload}")
    }
}

fn rows() -> Rows {
    Rows::new(&[
        ("created_at", Kind::Time),
        ("name", Kind::Text),
        ("actor", Kind::Text),
        ("subject", Kind::Text),
        ("data", Kind::Json),
        ("id", Kind::Number),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_there_however_long_the_subject_is() {
        let printer = Printer {
            form: Form::Table,
            has_header: true,
            colours: Colours::none(),
            zone: String::new(),
            day: String::new(),
            printed: 0,
        };
        let mut line = Line {
            id: 1,
            shown: String::new(),
            name: "message_sent".to_owned(),
            actor: Some("user-17".to_owned()),
            subject: Some("conversation/0190c2ab-7a5e-7d10-8000-1234567890ab".to_owned()),
            data: r#"{"conversationId": "c1", "role": "user"}"#.to_owned(),
        };
        let of = |line: &Line, width| printer.line("12:00:00.000", line, width);
        assert_eq!(
            of(&line, 60),
            r#"12:00:00.000  message_sent  user-17  conv…0ab  {"conversati…"#
        );
        for width in [40, 60, 80, 200] {
            let shown = of(&line, width);
            assert!(shown.contains("{\"") || width < 50, "{shown}");
            assert!(width_of(&shown) <= width.max(50), "{shown}");
        }
        line.subject = None;
        line.actor = Some(String::new());
        assert_eq!(
            of(&line, 100),
            r#"12:00:00.000  message_sent  -  -  {"conversationId": "c1", "role": "user"}"#
        );
    }
}
