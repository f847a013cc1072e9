//! The series: the numbers of a table's columns, row by row.

use std::path::Path;

use rtrl_lab::forecast::Horizon;
use rtrl_lab::scale::RunningScale;

use super::columns::Columns;
use super::shown::shortened;
use super::table::Table;
use crate::args::{InputArgs, Missing, OnError};
use crate::error::Error;

/// The largest magnitude of a number, of which sums of squares are finite.
const LARGEST: f64 = 1e100;

/// A table of which some columns are the numbers to read.
pub(crate) struct Series {
    table: Table,
    /// Places of the columns in the table.
    target: Option<usize>,
    inputs: Vec<usize>,
    time: Option<usize>,
    gaps: Gaps,
    /// Whether each input of the row has a value of its own.
    is_present: Vec<bool>,
    on_error: OnError,
    skipped: Skipped,
    row: Row,
}

/// The values of one row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// Number of the row, from 1, without those that are skipped.
    pub(crate) number: u64,
    /// Line of the file, from 1.
    pub(crate) line: u64,
    /// Bytes of the file read so far.
    pub(crate) position: u64,
    /// The target; `None` if its cell is empty.
    pub(crate) target: Option<f64>,
    pub(crate) inputs: Vec<f64>,
    /// The cell of the time column; empty if there is none.
    pub(crate) time: String,
}

/// Rows that were skipped because of an error.
#[derive(Debug, Clone, Default)]
pub(crate) struct Skipped {
    pub(crate) count: u64,
    /// The first error.
    pub(crate) first: Option<String>,
}

impl Series {
    /// Opens a file, or standard input for `-`, and finds the columns.
    pub(crate) fn open(path: &Path, args: &InputArgs, horizon: Horizon) -> Result<Self, Error> {
        Self::with(Table::open(path, !args.no_header)?, args, horizon, true)
    }

    /// As [`Series::open`], but the table may have no column of the target: then no row has one.
    pub(crate) fn open_without_target(
        path: &Path,
        args: &InputArgs,
        horizon: Horizon,
    ) -> Result<Self, Error> {
        Self::with(Table::open(path, !args.no_header)?, args, horizon, false)
    }

    fn with(
        table: Table,
        args: &InputArgs,
        horizon: Horizon,
        needs_target: bool,
    ) -> Result<Self, Error> {
        let columns = Columns { path: table.path(), names: table.names() };
        let target = match columns.find(&args.target)? {
            None if !needs_target => None,
            _ => Some(columns.place(&args.target)?),
        };
        let time = args.time.as_deref().map(|time| columns.place(time)).transpose()?;
        let inputs = inputs(&columns, &args.inputs, horizon, target, time)?;
        Ok(Self {
            target,
            time,
            gaps: Gaps::new(args.missing, inputs.len()),
            is_present: vec![true; inputs.len()],
            on_error: args.on_error,
            skipped: Skipped::default(),
            row: Row { inputs: vec![0.0; inputs.len()], ..Row::default() },
            inputs,
            table,
        })
    }

    /// Size of the file, if it is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.table.size()
    }

    /// The name of the target.
    pub(crate) fn target(&self) -> &str {
        self.target.map_or("", |place| &self.table.names()[place])
    }

    /// The names of the inputs.
    pub(crate) fn inputs(&self) -> Vec<String> {
        self.inputs.iter().map(|&place| self.table.names()[place].clone()).collect()
    }

    /// Whether the target is one of the inputs.
    pub(crate) fn sees_target(&self) -> bool {
        self.target.is_some_and(|target| self.inputs.contains(&target))
    }

    /// The rows that were skipped so far.
    pub(crate) fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// The next row; `None` at the end.
    pub(crate) fn next_row(&mut self) -> Result<Option<&Row>, Error> {
        loop {
            match self.read_row() {
                Ok(false) => return Ok(None),
                Ok(true) => break,
                Err(error) if self.on_error == OnError::Skip && error.is_of_row() => {
                    self.skipped.count += 1;
                    self.skipped.first.get_or_insert_with(|| error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(&self.row))
    }

    /// Reads a row; returns false at the end. A row with an error changes nothing.
    fn read_row(&mut self) -> Result<bool, Error> {
        if !self.table.advance()? {
            return Ok(false);
        }
        self.row.target = self.target.map_or(Ok(None), |target| self.number(target))?;
        for (index, &place) in self.inputs.iter().enumerate() {
            let found = self.number(place)?;
            self.is_present[index] = found.is_some();
            let value = found.or_else(|| self.gaps.value(index));
            self.row.inputs[index] = value.ok_or_else(|| self.missing(place))?;
        }
        self.gaps.see(&self.row.inputs, &self.is_present);
        self.row.number += 1;
        self.row.line = self.table.line();
        self.row.position = self.table.position();
        if let Some(time) = self.time {
            self.row.time.clear();
            self.row.time.push_str(&self.table.cell(time));
        }
        Ok(true)
    }

    /// The number of a cell; `None` if it is empty.
    fn number(&self, place: usize) -> Result<Option<f64>, Error> {
        let cell = self.table.cell(place);
        if cell.is_empty() {
            return Ok(None);
        }
        match cell.parse::<f64>() {
            Ok(value) if value.abs() <= LARGEST => Ok(Some(value)),
            Ok(value) if value.is_finite() => {
                Err(self.cell_error(place, &format!("a number from -{LARGEST:e} to {LARGEST:e}")))
            }
            _ => Err(self.cell_error(place, "a finite number")),
        }
    }

    fn missing(&self, place: usize) -> Error {
        self.cell_error(place, "a finite number, or --missing last, zero or mean")
    }

    fn cell_error(&self, place: usize, expected: &str) -> Error {
        Error::Cell {
            path: self.table.path().to_owned(),
            line: self.table.line(),
            column: shortened(&self.table.names()[place]),
            got: shortened(&self.table.cell(place)),
            expected: expected.to_owned(),
        }
    }
}

/// The places of the inputs. By default they are the target alone, or all other columns if the
/// target belongs to its own row.
fn inputs(
    columns: &Columns<'_>,
    items: &[String],
    horizon: Horizon,
    target: Option<usize>,
    time: Option<usize>,
) -> Result<Vec<usize>, Error> {
    let is_excluded =
        |place| time == Some(place) || (horizon == Horizon::SameRow && target == Some(place));
    let eligible: Vec<usize> = (0..columns.names.len()).filter(|&p| !is_excluded(p)).collect();
    let inputs = match horizon {
        Horizon::NextRow if items.is_empty() => target.into_iter().collect(),
        Horizon::SameRow if items.is_empty() => eligible,
        _ => columns.choose(items, &eligible)?,
    };
    if inputs.is_empty() {
        return Err(Error::NoInput);
    }
    if let Some(target) = target
        && horizon == Horizon::SameRow
        && inputs.contains(&target)
    {
        return Err(Error::TargetInput { column: shortened(&columns.names[target]) });
    }
    Ok(inputs)
}

/// What replaces missing inputs.
struct Gaps {
    policy: Missing,
    /// The last value of each input.
    last: Vec<f64>,
    /// The mean of each input so far.
    means: Vec<RunningScale>,
}

impl Gaps {
    fn new(policy: Missing, inputs: usize) -> Self {
        Self { policy, last: vec![0.0; inputs], means: vec![RunningScale::default(); inputs] }
    }

    /// The value of a missing input; `None` if it must not be missing.
    fn value(&self, index: usize) -> Option<f64> {
        match self.policy {
            Missing::Error => None,
            Missing::Last => Some(self.last[index]),
            Missing::Zero => Some(0.0),
            Missing::Mean => Some(self.means[index].mean()),
        }
    }

    /// Remembers those inputs of a row that are present.
    fn see(&mut self, inputs: &[f64], is_present: &[bool]) {
        for (index, (&value, _)) in inputs.iter().zip(is_present).enumerate().filter(|(_, p)| *p.1)
        {
            match self.policy {
                Missing::Error | Missing::Zero => {}
                Missing::Last => self.last[index] = value,
                Missing::Mean => self.means[index].add(value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const ARGS: InputArgs = InputArgs {
        target: String::new(),
        inputs: Vec::new(),
        time: None,
        no_header: false,
        missing: Missing::Error,
        on_error: OnError::Skip,
    };

    /// The rows of a table whose target is y and whose other columns are inputs, and the rows that
    /// were skipped.
    fn rows(text: &str, args: InputArgs) -> (Vec<Row>, Skipped) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let args = InputArgs { target: "y".to_owned(), ..args };
        let mut series = Series::open(file.path(), &args, Horizon::SameRow).unwrap();
        let mut rows = Vec::new();
        while let Some(row) = series.next_row().unwrap() {
            rows.push(row.clone());
        }
        assert_eq!(series.target(), "y");
        (rows, series.skipped().clone())
    }

    #[test]
    fn missing_inputs_follow_the_policy() {
        let text = "a,y,b\n,1,\n2,,20\n,3,\n8,4,30\n,,\n";
        for (missing, expected) in [
            (Missing::Last, [[0.0, 0.0], [2.0, 20.0], [2.0, 20.0], [8.0, 30.0], [8.0, 30.0]]),
            (Missing::Zero, [[0.0, 0.0], [2.0, 20.0], [0.0, 0.0], [8.0, 30.0], [0.0, 0.0]]),
            // What has replaced a value does not count in the mean.
            (Missing::Mean, [[0.0, 0.0], [2.0, 20.0], [2.0, 20.0], [8.0, 30.0], [5.0, 25.0]]),
        ] {
            let (found, skipped) = rows(text, InputArgs { missing, ..ARGS });
            let inputs: Vec<_> = found.iter().map(|row| row.inputs.as_slice()).collect();
            assert_eq!(inputs, expected, "{missing:?}");
            let targets: Vec<_> = found.iter().map(|row| row.target).collect();
            assert_eq!(targets, [Some(1.0), None, Some(3.0), Some(4.0), None]);
            assert_eq!(skipped.count, 0);
        }
        let (found, skipped) = rows(text, ARGS);
        assert_eq!(found.iter().map(|row| row.line).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(skipped.count, 3);
        let first = skipped.first.unwrap();
        assert!(
            first.ends_with("got \"\", expected a finite number, or --missing last, zero or mean")
        );
    }

    /// Otherwise the next rows would not be those of a series without the row.
    #[test]
    fn a_skipped_row_changes_nothing() {
        let text = "a,y,b\n1,1,2\nBAD,,\n,3,\n";
        for bad in ["7,1,x", "7,x,9", "7,1,9,9", "7,1", "", "\"7,1,9"] {
            for missing in [Missing::Last, Missing::Mean] {
                let (found, skipped) =
                    rows(&text.replace("BAD,,", bad), InputArgs { missing, ..ARGS });
                let lines: Vec<_> = found.iter().map(|row| (row.number, row.line)).collect();
                assert_eq!(lines, [(1, 2), (2, 4)], "{bad}");
                assert_eq!(found[1].inputs, [1.0, 2.0], "{bad}");
                assert_eq!(skipped.count, 1, "{bad}");
            }
        }
    }

    #[test]
    fn the_time_is_carried_and_is_no_input() {
        let time = Some("day".to_owned());
        let (found, _) = rows("x,day,y\n1, 2001-01-01 ,2\n3,,4\n", InputArgs { time, ..ARGS });
        let times: Vec<_> = found.iter().map(|row| (row.time.as_str(), row.inputs.len())).collect();
        assert_eq!(times, [("2001-01-01", 1), ("", 1)]);
    }
}
