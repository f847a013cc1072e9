//! The progress of a stream on standard error.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use rtrl_lab::prequential::{ErrorSums, Scores};

use crate::number::number;
use crate::outputs;
use crate::stream::forecasters::Prediction;

/// Rows between two movements of the bar.
const BAR_ROWS: u64 = 64;

/// A line at rows 1, 2, 4, 8, ..., and a bar where the length is known.
pub(crate) struct Progress {
    bar: ProgressBar,
    quiet: bool,
    start: Instant,
    /// Rows since the start.
    rows: u64,
    /// Whether the titles of the columns have been printed.
    is_titled: bool,
    /// The errors at the last line.
    last: ErrorSums,
}

impl Progress {
    /// The progress of a series of so many bytes, whose errors so far are `scores`.
    pub(crate) fn new(bytes: Option<u64>, quiet: bool, scores: &Scores) -> Self {
        let bar = bytes.filter(|_| !quiet).map_or_else(ProgressBar::hidden, bar);
        let last = network(scores);
        Self { bar, quiet, start: Instant::now(), rows: 0, is_titled: false, last }
    }

    /// Takes a row that ends at this byte of the series.
    pub(crate) fn take(&mut self, position: u64, prediction: &Prediction, scores: &Scores) {
        self.rows += 1;
        if self.quiet {
            return;
        }
        if self.rows.is_multiple_of(BAR_ROWS) {
            self.bar.set_position(position);
        }
        if prediction.row.is_power_of_two() {
            self.print(prediction, scores);
        }
    }

    /// Prints a line in the manner of Vowpal Wabbit.
    fn print(&mut self, prediction: &Prediction, scores: &Scores) {
        let sums = network(scores);
        let since = sums.since(&self.last);
        let [rmse, recent] = [sums, since].map(|sums| number(sums.rmse()));
        let [target, forecast] = [prediction.target, prediction.forecast].map(number);
        let speed = self.rows_per_second();
        let row = prediction.row;
        let line =
            format!("{row:>10} {rmse:>12} {recent:>12} {target:>12} {forecast:>12} {speed:>10.0}");
        let titles = (!self.is_titled).then(|| {
            let titles = ["row", "rmse", "since last", "target", "forecast", "rows/s"];
            let [row, rmse, recent, target, forecast, speed] = titles;
            format!("{row:>10} {rmse:>12} {recent:>12} {target:>12} {forecast:>12} {speed:>10}")
        });
        self.bar.suspend(|| titles.iter().chain([&line]).for_each(|line| outputs::note(line)));
        self.is_titled = true;
        self.last = sums;
    }

    /// Says something, unless the user wants silence.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet {
            self.bar.suspend(|| outputs::note(line));
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

/// The errors of the network.
fn network(scores: &Scores) -> ErrorSums {
    scores.running.first().copied().unwrap_or_default()
}

fn bar(bytes: u64) -> ProgressBar {
    let style = "{wide_bar} {percent:>3} %  {eta} left";
    let bar = ProgressBar::new(bytes);
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
