//! A progress bar on standard error, shown only on a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) struct Progress {
    bar: ProgressBar,
    is_shown: bool,
    unit: &'static str,
}

impl Progress {
    pub(crate) fn new(unit: &'static str) -> Self {
        let is_shown = io::stderr().is_terminal();
        let bar = match is_shown {
            true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5)),
            false => ProgressBar::hidden(),
        };
        let progress = Progress { bar, is_shown, unit };
        progress.style(if unit == BYTES {
            "{bytes} {bytes_per_sec}"
        } else {
            "{human_pos} {per_sec}"
        });
        progress
    }

    pub(crate) fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// Sets the total.
    pub(crate) fn expect(&self, length: u64) {
        self.bar.set_length(length);
        self.style(match self.unit {
            BYTES => "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            _ => "{wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
        });
    }

    fn style(&self, template: &str) {
        // An invalid template leaves the bar as it was.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
            if self.is_shown {
                self.bar.enable_steady_tick(Duration::from_millis(200));
            }
        }
    }

    pub(crate) fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    /// Prints a line above the bar.
    pub(crate) fn say(&self, line: &str) {
        match self.is_shown {
            true => self.bar.println(line),
            false => eprintln!("{line}"),
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// The unit for files.
pub(crate) const BYTES: &str = "bytes";
