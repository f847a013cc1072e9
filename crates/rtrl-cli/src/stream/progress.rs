//! The progress of a stream on standard error.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use rtrl_lab::prequential::{ErrorSums, Scores};
use serde_json::json;

use crate::args::{Log, VerbosityArgs};
use crate::input::Row;
use crate::number::number;
use crate::outputs;
use crate::stream::subject::Subject;

/// Rows between two movements of the bar.
const BAR_ROWS: u64 = 64;

/// Characters of a number or a class in a line.
const WIDTH: usize = 12;

/// A line at rows 1, 2, 4, 8, ..., and a bar where the length is known.
pub(crate) struct Progress {
    bar: ProgressBar,
    verbosity: VerbosityArgs,
    start: Instant,
    /// Rows since the start.
    rows: u64,
    /// Whether the titles of the columns have been printed.
    is_titled: bool,
    /// The errors of the network at the last line, of each target.
    last: Vec<ErrorSums>,
}

impl Progress {
    /// The progress of a series of so many bytes, whose errors so far are `scores`.
    pub(crate) fn new(bytes: Option<u64>, verbosity: VerbosityArgs, scores: &Scores) -> Self {
        let has_bar = !verbosity.quiet && verbosity.log == Log::Text;
        let bar = bytes.filter(|_| has_bar).map_or_else(ProgressBar::hidden, bar);
        let last = scores.running();
        Self { bar, verbosity, start: Instant::now(), rows: 0, is_titled: false, last }
    }

    /// Takes a row, the `place`-th of the run.
    pub(crate) fn take(&mut self, row: &Row, place: u64, subject: &Subject, scores: &Scores) {
        self.rows += 1;
        if self.verbosity.quiet {
            return;
        }
        if self.rows.is_multiple_of(BAR_ROWS) {
            self.bar.set_position(row.position);
        }
        if place.is_power_of_two() {
            match self.verbosity.log {
                Log::Text => self.print(row, place, subject, scores),
                Log::Json => self.print_json(row, place, subject, scores),
            }
        }
    }

    /// Prints a line in the manner of Vowpal Wabbit.
    fn print(&mut self, row: &Row, place: u64, subject: &Subject, scores: &Scores) {
        let losses = self.losses(scores).map(number);
        let [target, forecast] = if subject.is_class() {
            let classes = [subject.label(&row.targets), subject.predicted(scores.forecasts())];
            classes.map(|class| class.unwrap_or("-").chars().take(WIDTH).collect())
        } else {
            let first = |values: &[Option<f64>]| number(values.first().copied().flatten());
            [first(&row.targets), first(scores.forecasts())]
        };
        let [place, speed] = [place.to_string(), format!("{:.0}", self.rows_per_second())];
        let line = columns([&place, &losses[0], &losses[1], &target, &forecast, &speed]);
        let titles = (!self.is_titled).then(|| {
            let loss = if subject.is_class() { "log loss" } else { "rmse" };
            columns(["row", loss, "since last", "target", "forecast", "rows/s"])
        });
        self.bar.suspend(|| titles.iter().chain([&line]).for_each(|line| outputs::note(line)));
        self.is_titled = true;
    }

    /// Prints the same as a JSON object, with all targets of the row and their forecasts.
    fn print_json(&mut self, row: &Row, place: u64, subject: &Subject, scores: &Scores) {
        let [loss, since] = self.losses(scores);
        let mut line = json!({
            "row": place,
            "since_last": since,
            "rows_per_second": self.rows_per_second(),
        });
        let named = if subject.is_class() { "log_loss" } else { "rmse" };
        line[named] = loss.into();
        let values = [row.targets.as_slice(), scores.forecasts()];
        for (name, values) in ["target", "forecast"].into_iter().zip(values) {
            line[name] = match (subject.is_class(), values) {
                (true, _) if name == "target" => subject.label(values).into(),
                (true, _) => subject.predicted(values).into(),
                (false, [value]) => (*value).into(),
                (false, values) => values.into(),
            };
        }
        outputs::note(&line.to_string());
    }

    /// The loss of the network so far, and since the last line.
    fn losses(&mut self, scores: &Scores) -> [Option<f64>; 2] {
        let running = scores.running();
        let since = running.iter().zip(&self.last).map(|(sums, last)| sums.since(last));
        let losses = [scores.together(running.iter().copied()), scores.together(since)];
        self.last = running;
        losses.map(|sums| scores.loss(&sums))
    }

    /// Says something, unless the user wants silence.
    pub(crate) fn note(&self, line: &str) {
        if !self.verbosity.quiet {
            let line = self.verbosity.log.line("note", line);
            self.bar.suspend(|| outputs::note(&line));
        }
    }

    /// Rows per second since the start.
    pub(crate) fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.start.elapsed().as_secs_f64()
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The cells of a line.
fn columns([row, loss, since, target, forecast, speed]: [&str; 6]) -> String {
    format!(
        "{row:>10} {loss:>WIDTH$} {since:>WIDTH$} {target:>WIDTH$} {forecast:>WIDTH$} {speed:>10}"
    )
}

fn bar(bytes: u64) -> ProgressBar {
    let style = "{wide_bar} {percent:>3} %  {eta} left";
    let bar = ProgressBar::new(bytes);
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
