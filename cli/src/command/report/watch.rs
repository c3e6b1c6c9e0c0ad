//! `eventlog report --watch`: the report again and again, with what its numbers did meanwhile.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::time::Duration;

use tokio_postgres::Client;

use super::arguments::Arguments;
use super::{call, shape};
use crate::output::{
    Colours, Column, Failure, Form, Kind, Rows, Style, fits, height, is_terminal, json_line, print,
    render, sparkline, width,
};
use crate::reports::Report;

/// Numbers of a sparkline.
const REMEMBERED: usize = 12;

/// Prints the report every so many seconds until Ctrl-C: on a terminal in place, else one after the other.
pub(super) async fn watch(
    client: &mut Client,
    report: &Report,
    asked: &Arguments,
    seconds: f64,
) -> Result<(), Failure> {
    let form = asked.form.form();
    let is_in_place = form.is_for_people() && is_terminal() && !is_dumb();
    // Opened after the first look, so that its warnings stay to be read.
    let mut screen: Option<Screen> = None;
    let mut history = History::default();
    let mut is_first = true;
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let look = look(client, report, asked, form);
        let (rows, at) = tokio::select! {
            rows = look => rows?,
            _ = &mut interrupted => return Ok(()),
        };
        if is_in_place {
            let title = format!("{} at {at}, every {seconds} s, Ctrl-C ends", report.name);
            let screen = match &mut screen {
                Some(screen) => screen,
                none => none.insert(Screen::open()?),
            };
            screen.show(&title, picture(rows, form, &mut history))?;
        } else if form.is_for_people() {
            print(&format!("{at}\n{}", picture(rows, form, &mut history).trim_end()))?;
        } else {
            append(rows, &at, form, is_first && asked.form.has_header())?;
        }
        is_first = false;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(seconds)) => {}
            _ = &mut interrupted => return Ok(()),
        }
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb")
}

/// Reads the report, and the server's time.
async fn look(
    client: &mut Client,
    report: &Report,
    asked: &Arguments,
    form: Form,
) -> Result<(Rows, String), Failure> {
    let transaction = asked.filter.tenant.begin(client).await?;
    let rows = call::rows(&transaction, report, asked, form).await?;
    let at = match form.is_for_people() {
        true => "to_char(now(), 'HH24:MI:SS')",
        false => "to_json(now()) #>> '{}'",
    };
    let found = transaction.query_typed(&format!("SELECT {at}"), &[]).await?;
    Ok((rows, found.first().map(|row| row.get(0)).unwrap_or_default()))
}

/// Returns what is to be seen.
fn picture(rows: Rows, form: Form, history: &mut History) -> String {
    let mut rows = if form == Form::Table { shape::for_people(rows) } else { rows };
    history.remember(&rows);
    history.draw(&mut rows, form);
    let mut text = render(&rows, form, true, Colours::of_stdout(), width());
    if text.is_empty() {
        text.push('\n');
    }
    text
}

/// Prints rows behind those before, each with the time of the look.
fn append(mut rows: Rows, at: &str, form: Form, has_header: bool) -> Result<(), Failure> {
    let (name, value) = match form {
        Form::Json => (Kind::Json, format!("{at:?}")),
        _ => (Kind::Text, at.to_owned()),
    };
    rows.columns.insert(0, Column::new("at", name));
    for row in &mut rows.rows {
        row.insert(0, Some(value.clone()));
    }
    let text = match form {
        Form::Json => rows.rows.iter().map(|row| json_line(&rows, row) + "\n").collect(),
        _ => render(&rows, form, has_header, Colours::of_stdout(), width()),
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// A number of a row, which the texts of the row and the column identify.
type Place = (Vec<Option<String>>, String);

/// The numbers of the last looks.
#[derive(Default)]
struct History(HashMap<Place, VecDeque<f64>>);

impl History {
    fn place(rows: &Rows, row: usize, column: usize) -> Place {
        let texts = rows.columns.iter().zip(&rows.rows[row]);
        let texts =
            texts.filter(|(column, _)| column.kind == Kind::Text && !column.name.is_empty());
        (texts.map(|(_, value)| value.clone()).collect(), rows.columns[column].name.clone())
    }

    fn remember(&mut self, rows: &Rows) {
        let mut now = HashMap::new();
        for (column, _) in numbers(rows) {
            for row in 0..rows.rows.len() {
                let number = rows.value(row, column).and_then(|text| text.parse().ok());
                let Some(number) = number else { continue };
                let place = History::place(rows, row, column);
                let mut numbers = self.0.remove(&place).unwrap_or_default();
                numbers.push_back(number);
                if numbers.len() > REMEMBERED {
                    numbers.pop_front();
                }
                now.insert(place, numbers);
            }
        }
        // Rows that are gone are forgotten.
        self.0 = now;
    }

    /// Puts a sparkline behind each number that changed: in all columns, or where the table would not fit,
    /// in the first one.
    fn draw(&self, rows: &mut Rows, form: Form) {
        let columns: Vec<usize> = numbers(rows).map(|(column, _)| column).collect();
        let all = self.drawn(rows, &columns);
        *rows = match columns.first() {
            Some(first) if form == Form::Table && fits(rows, width()) && !fits(&all, width()) => {
                let one = self.drawn(rows, &[*first]);
                if fits(&one, width()) { one } else { return }
            }
            _ => all,
        };
    }

    fn drawn(&self, rows: &Rows, columns: &[usize]) -> Rows {
        let mut drawn = rows.clone();
        // From the right, so that the places to the left stay.
        for column in columns.iter().rev() {
            let numbers = |row| self.0.get(&History::place(rows, row, *column));
            let is_changed = |numbers: &VecDeque<f64>| numbers.iter().any(|it| *it != numbers[0]);
            if !(0..rows.rows.len()).filter_map(numbers).any(is_changed) {
                continue;
            }
            drawn.columns.insert(column + 1, Column::new("", Kind::Text));
            for (row, values) in drawn.rows.iter_mut().enumerate() {
                let line = numbers(row).filter(|numbers| is_changed(numbers));
                let line = line.map(|it| sparkline(&it.iter().copied().collect::<Vec<_>>()));
                values.insert(column + 1, line);
            }
        }
        drawn
    }
}

fn numbers(rows: &Rows) -> impl Iterator<Item = (usize, &Column)> {
    rows.columns.iter().enumerate().filter(|(_, column)| column.kind == Kind::Number)
}

/// The terminal's other screen. At the end the first one comes back, with the last picture.
struct Screen {
    last: String,
}

impl Screen {
    fn open() -> Result<Self, Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J")?;
        stdout.flush()?;
        Ok(Screen { last: String::new() })
    }

    /// Draws over the picture before, line by line and as one update, so that nothing flickers. Lines
    /// wider than the terminal are not wrapped meanwhile.
    fn show(&mut self, title: &str, text: String) -> Result<(), Failure> {
        let lines: Vec<&str> = text.lines().collect();
        let room = height().saturating_sub(3).max(1);
        let title = Colours::of_stdout().paint(Style::Dim, title);
        let mut frame = format!("\x1b[?2026h\x1b[H{title}\x1b[K\r\n");
        for line in lines.iter().take(room) {
            frame += &format!("{line}\x1b[K\r\n");
        }
        if let Some(more) = lines.len().checked_sub(room + 1) {
            frame += &format!("… {} more lines\x1b[K\r\n", more + 1);
        }
        frame += "\x1b[J\x1b[?2026l";
        self.last = text;
        let mut stdout = io::stdout().lock();
        stdout.write_all(frame.as_bytes())?;
        Ok(stdout.flush()?)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(b"\x1b[?7h\x1b[?25h\x1b[?1049l");
        let _ = stdout.write_all(self.last.as_bytes());
        let _ = stdout.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_changes_gets_a_line_of_what_it_was() {
        let mut history = History::default();
        let mut rows = Rows::new(&[("name", Kind::Text), ("n", Kind::Number), ("m", Kind::Number)]);
        for n in 0..20 {
            rows.rows = vec![
                vec![Some("a".to_owned()), Some(n.to_string()), Some("1".to_owned())],
                vec![Some("b".to_owned()), Some("7".to_owned()), None],
            ];
            history.remember(&rows);
        }
        let mut drawn = rows.clone();
        history.draw(&mut drawn, Form::Expanded);
        let names: Vec<&str> = drawn.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["name", "n", "", "m"]);
        assert_eq!(drawn.rows[0][2].as_deref(), Some("▁▂▂▃▄▄▅▅▆▇▇█"));
        assert_eq!(drawn.rows[1][2], None);
        // A row that was away begins again.
        let gone = rows.rows.remove(0);
        history.remember(&rows);
        rows.rows.push(gone);
        history.remember(&rows);
        let mut drawn = rows.clone();
        history.draw(&mut drawn, Form::Expanded);
        assert_eq!(drawn.columns.len(), 3);
    }
}
