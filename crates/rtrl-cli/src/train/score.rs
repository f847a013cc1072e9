//! Errors of all forecasters on the same rows.

/// The names of the forecasters, in the order of every list here.
pub(crate) const NAMES: [&str; 4] =
    ["exact RTRL", "persistence", "RLS-AR(12)", "same, recurrent weights still"];

/// Sums of errors.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    count: u64,
    squares: f64,
    absolutes: f64,
}

impl Sums {
    /// Takes in an error.
    pub(crate) fn add(&mut self, error: f64) {
        self.count += 1;
        self.squares += error * error;
        self.absolutes += error.abs();
    }

    /// The root mean square error, if there was a forecast.
    pub(crate) fn rmse(&self) -> Option<f64> {
        (self.count > 0).then(|| (self.squares / self.count as f64).sqrt())
    }

    /// The mean absolute error, if there was a forecast.
    pub(crate) fn mae(&self) -> Option<f64> {
        (self.count > 0).then(|| self.absolutes / self.count as f64)
    }
}

/// One value and what was forecast for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) actual: f64,
    pub(crate) forecasts: [f64; 4],
}

/// The errors of a run.
#[derive(Debug)]
pub(crate) struct Scores {
    skip: u64,
    count: u64,
    /// Over all forecasts.
    pub(crate) running: [Sums; 4],
    /// From the first forecast that counts.
    pub(crate) settled: [Sums; 4],
    /// Everything, if a report is to be drawn.
    pub(crate) records: Option<Vec<Record>>,
}

impl Scores {
    /// No errors yet; the first `skip` forecasts are left out of the settled sums.
    pub(crate) fn new(skip: u64, keep_records: bool) -> Self {
        let records = keep_records.then(Vec::new);
        Self { skip, count: 0, running: Default::default(), settled: Default::default(), records }
    }

    /// Takes in a value with its forecasts.
    pub(crate) fn add(&mut self, actual: f64, forecasts: [f64; 4]) {
        self.count += 1;
        for (index, forecast) in forecasts.into_iter().enumerate() {
            self.running[index].add(forecast - actual);
            if self.count > self.skip {
                self.settled[index].add(forecast - actual);
            }
        }
        if let Some(records) = &mut self.records {
            records.push(Record { actual, forecasts });
        }
    }

    /// The smallest root mean square error that is a number.
    pub(crate) fn least(&self) -> Option<f64> {
        let errors = self.settled.iter().filter_map(Sums::rmse);
        errors.filter(|rmse| rmse.is_finite()).min_by(f64::total_cmp)
    }

    /// Number of forecasts.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}
