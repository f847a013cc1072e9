//! The table in the terminal while the experiments run.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rtrl_lab::paper::Experiment;

use crate::paper::table;

/// A line for each experiment and, below, the overall progress. Nothing is shown if standard error
/// is not a terminal.
pub(crate) struct Live {
    lines: Vec<Line>,
    /// In steps, where each run that has ended counts as its limit.
    total: ProgressBar,
}

struct Line {
    bar: ProgressBar,
    solved: AtomicU64,
}

impl Live {
    /// For experiments and their numbers of runs.
    pub(crate) fn new<'a>(experiments: impl Iterator<Item = (&'a Experiment, u32)>) -> Self {
        let screen = MultiProgress::new();
        let mut steps = 0;
        let mut lines = Vec::new();
        for (experiment, runs) in experiments {
            steps += experiment.limit * u64::from(runs);
            let bar = styled(u64::from(runs), "{prefix}{pos:>5}/{len} runs{msg}");
            let bar = screen.add(bar).with_prefix(table::settings(experiment));
            bar.tick();
            lines.push(Line { bar, solved: AtomicU64::new(0) });
        }
        let total = screen.add(styled(steps, "{wide_bar} {percent:>3} %  {eta} left"));
        Self { lines, total }
    }

    /// Some run has taken this many steps.
    pub(crate) fn advance(&self, steps: u64) {
        self.total.inc(steps);
    }

    /// A run of an experiment has ended, this many steps before its limit.
    pub(crate) fn end(&self, place: usize, solved: bool, left: u64) {
        self.total.inc(left);
        let line = &self.lines[place];
        let solved = u64::from(solved);
        let solved = line.solved.fetch_add(solved, Ordering::Relaxed) + solved;
        line.bar.set_message(format!("{solved:>6} solved"));
        line.bar.inc(1);
    }

    /// Clears the terminal for the table at the end. Each bar is finished explicitly; otherwise it
    /// would be drawn again when it is dropped.
    pub(crate) fn clear(&self) {
        for line in &self.lines {
            line.bar.finish_and_clear();
        }
        self.total.finish_and_clear();
    }
}

fn styled(length: u64, style: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
