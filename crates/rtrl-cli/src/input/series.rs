//! The series: the targets and inputs in a table's columns, row by row.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rtrl_lab::forecast::Horizon;

use super::classes;
use super::columns::Columns;
use super::features::{Features, Input};
use super::groups::Groups;
use super::lags::Lags;
use super::shown::shortened;
use super::table::Table;
use super::targets::Targets;
use crate::args::{InputArgs, OnError};
use crate::error::Error;
use crate::ranks::Ranks;

/// A table of which some columns are the numbers to read.
pub(crate) struct Series {
    table: Table,
    targets: Targets,
    /// Its place in the table.
    time: Option<usize>,
    groups: Groups,
    features: Features,
    lags: Lags,
    on_error: OnError,
    skipped: Skipped,
    row: Row,
}

/// The values of one row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// Bytes of the file read so far.
    pub(crate) position: u64,
    /// The targets, each `None` if its cell is empty. A class is 1 for the class of the row and 0
    /// for each other one.
    pub(crate) targets: Vec<Option<f64>>,
    pub(crate) inputs: Vec<f64>,
    /// The number of its group, from 0 in the order of their first rows.
    pub(crate) group: usize,
    /// The cell of the group column; empty if there is none.
    pub(crate) group_name: String,
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
    /// Opens a file, or standard input for `-`, and finds the columns. Unless the series
    /// `needs_target`, there may be no column of a target: then no row has it. Rank 0 reads for all
    /// ranks.
    pub(crate) fn open(
        path: &Path,
        args: &InputArgs,
        horizon: Horizon,
        needs_target: bool,
        ranks: &Arc<dyn Ranks>,
    ) -> Result<Self, Error> {
        let mut table = Table::open(path, !args.no_header, ranks)?;
        let columns = Columns::of(&table, args.names_only);
        let mut targets = Targets::choose(&columns, &args.target, needs_target)?;
        let time = args.time.as_deref().map(|time| columns.place(time)).transpose()?;
        let group = args.group.as_deref().map(|group| columns.place(group)).transpose()?;
        if let Some(place) = group.filter(|place| targets.places.contains(&Some(*place))) {
            return Err(Error::TargetGroup { column: shortened(&columns.names[place]) });
        }
        let places = inputs(&columns, &args.inputs, horizon, &targets, [time, group])?;
        let most = usize::try_from(args.most_groups.get()).unwrap_or(usize::MAX);
        let inputs = classes::inputs(&mut table, args, &mut targets, places)?;
        Ok(Self {
            table,
            targets,
            time,
            groups: Groups::new(group, args.groups.clone(), most),
            features: Features::new(inputs, args.missing),
            lags: Lags::new(&args.lags)?,
            on_error: args.on_error,
            skipped: Skipped::default(),
            row: Row::default(),
        })
    }

    /// Fails if a column that is read shares its name with another one, so that a model could not
    /// find it again.
    pub(crate) fn check_names(&self) -> Result<(), Error> {
        let columns = Columns::of(&self.table, true);
        let inputs = self.features.inputs.iter().map(|input| input.place);
        for place in inputs
            .chain(self.targets.places.iter().copied().flatten())
            .chain(self.time)
            .chain(self.groups.place)
        {
            columns.place(&columns.names[place])?;
        }
        Ok(())
    }

    /// Size of the file, if it is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.table.size()
    }

    /// The names of the targets.
    pub(crate) fn targets(&self) -> &[String] {
        &self.targets.names
    }

    /// The classes of the target; none if it is a number.
    pub(crate) fn target_classes(&self) -> &[String] {
        &self.targets.classes
    }

    /// Number of outputs of the network: one for each target, or one for each class.
    pub(crate) fn outputs(&self) -> usize {
        self.targets.width()
    }

    /// The name of the column of the time.
    pub(crate) fn time(&self) -> Option<&str> {
        self.time.map(|place| self.table.names()[place].as_str())
    }

    /// The name of the column of the group.
    pub(crate) fn group(&self) -> Option<&str> {
        self.groups.place.map(|place| self.table.names()[place].as_str())
    }

    /// The names of the groups so far.
    pub(crate) fn groups(&self) -> &[String] {
        self.groups.names()
    }

    /// Lets the error of too many groups say how much memory each takes.
    pub(crate) fn set_group_bytes(&mut self, bytes: usize) {
        self.groups.bytes = bytes;
    }

    /// The names of the input columns.
    pub(crate) fn inputs(&self) -> Vec<String> {
        self.features.inputs.iter().map(|input| self.name(input).to_owned()).collect()
    }

    /// The classes of each column of text.
    pub(crate) fn classes(&self) -> BTreeMap<&str, &[String]> {
        let texts = self.features.inputs.iter().filter(|input| !input.classes.is_empty());
        let texts = texts.map(|input| (self.name(input), input.classes.as_slice()));
        let target = Some(self.target_classes()).filter(|classes| !classes.is_empty());
        let target = target.map(|classes| (self.targets.names[0].as_str(), classes));
        texts.chain(target).collect()
    }

    fn name(&self, input: &Input) -> &str {
        &self.table.names()[input.place]
    }

    /// Number of inputs of the network.
    pub(crate) fn width(&self) -> usize {
        self.features.width() * self.lags.copies()
    }

    /// Whether a target is one of the inputs.
    pub(crate) fn sees_target(&self) -> bool {
        self.features.inputs.iter().any(|input| self.targets.contain(input.place))
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
        let group = self.groups.find(&self.table)?;
        self.targets.read(&self.table, &mut self.row.targets)?;
        self.features.read(&self.table, group, &mut self.row.inputs)?;
        self.lags.follow(group, &mut self.row.inputs);
        self.groups.accept(&self.table, group);
        self.row.group = group;
        if let Some(place) = self.groups.place {
            self.row.group_name.clear();
            self.row.group_name.push_str(&self.table.cell(place));
        }
        self.row.position = self.table.position();
        if let Some(time) = self.time {
            self.row.time.clear();
            self.row.time.push_str(&self.table.cell(time));
        }
        Ok(true)
    }
}

/// The places of the inputs. By default they are the targets alone, or all columns but the targets
/// and some `others` if the targets belong to their own row.
fn inputs(
    columns: &Columns<'_>,
    items: &[String],
    horizon: Horizon,
    targets: &Targets,
    others: [Option<usize>; 2],
) -> Result<Vec<usize>, Error> {
    let is_excluded = |place| {
        others.contains(&Some(place)) || (horizon == Horizon::SameRow && targets.contain(place))
    };
    let eligible: Vec<usize> = (0..columns.names.len()).filter(|&p| !is_excluded(p)).collect();
    let inputs = match horizon {
        Horizon::NextRow if items.is_empty() => targets.places.iter().copied().flatten().collect(),
        Horizon::SameRow if items.is_empty() => eligible,
        _ => columns.choose("--inputs", items, &eligible)?,
    };
    if inputs.is_empty() {
        return Err(Error::NoColumn { option: "--inputs" });
    }
    let is_target = |&&place: &&usize| targets.contain(place);
    if let Some(&target) = inputs.iter().find(is_target).filter(|_| horizon == Horizon::SameRow) {
        return Err(Error::TargetInput { column: shortened(&columns.names[target]) });
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::num::{NonZeroU32, NonZeroUsize};

    use super::*;
    use crate::args::{Classes, Missing};

    const ARGS: InputArgs = InputArgs {
        target: Vec::new(),
        inputs: Vec::new(),
        time: None,
        group: None,
        most_groups: NonZeroU32::MIN,
        groups: Vec::new(),
        no_header: false,
        names_only: false,
        classes: Vec::new(),
        learnt: BTreeMap::new(),
        missing: Missing::Error,
        lags: Vec::new(),
        on_error: OnError::Skip,
    };

    /// The rows of a table whose target is y and whose other columns are inputs, each with its
    /// line, and the rows that were skipped.
    fn rows(text: &str, args: InputArgs) -> (Vec<Row>, Vec<u64>, Skipped) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let args = InputArgs { target: vec!["y".to_owned()], ..args };
        let mut series =
            Series::open(file.path(), &args, Horizon::SameRow, true, &crate::ranks::alone())
                .unwrap();
        let (mut rows, mut lines) = (Vec::new(), Vec::new());
        while let Some(row) = series.next_row().unwrap() {
            rows.push(row.clone());
            lines.push(series.table.line());
        }
        assert_eq!(series.targets(), ["y"]);
        (rows, lines, series.skipped().clone())
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
            let (found, _, skipped) = rows(text, InputArgs { missing, ..ARGS });
            let inputs: Vec<_> = found.iter().map(|row| row.inputs.as_slice()).collect();
            assert_eq!(inputs, expected, "{missing:?}");
            let targets: Vec<_> = found.iter().map(|row| row.targets[0]).collect();
            assert_eq!(targets, [Some(1.0), None, Some(3.0), Some(4.0), None]);
            assert_eq!(skipped.count, 0);
        }
        let (_, lines, skipped) = rows(text, ARGS);
        assert_eq!(lines, [3, 5]);
        assert_eq!(skipped.count, 3);
        let first = skipped.first.unwrap();
        assert!(first.ends_with("got \"\", expected a value, or --missing last, zero or mean"));
    }

    /// Otherwise the next rows would not be those of a series without the row.
    #[test]
    fn a_skipped_row_changes_nothing() {
        let text = "a,y,b\n1,1,2\nBAD,,\n,3,\n";
        for bad in ["7,1,x", "7,x,9", "7,1,9,9", "7,1", "", "\"7,1,9"] {
            for missing in [Missing::Last, Missing::Mean] {
                let (found, lines, skipped) =
                    rows(&text.replace("BAD,,", bad), InputArgs { missing, ..ARGS });
                assert_eq!(lines, [2, 4], "{bad}");
                assert_eq!(found[1].inputs, [1.0, 2.0], "{bad}");
                assert_eq!(skipped.count, 1, "{bad}");
            }
        }
    }

    /// Rows that are read ahead for the classes keep their lines and their errors.
    #[test]
    fn text_is_an_input_for_each_class() {
        let text = "wind,y,a\nN,1,5\nS,x,5\n,2,6\nS,3,7\n";
        let wind = |classes: Option<[&str; 2]>| Classes {
            column: "wind".to_owned(),
            classes: classes.map(|classes| classes.map(str::to_owned).to_vec()),
        };
        for (classes, missing, expected) in [
            (None, Missing::Zero, [[1.0, 0.0, 5.0], [0.0, 0.0, 6.0], [0.0, 1.0, 7.0]]),
            (None, Missing::Last, [[1.0, 0.0, 5.0], [1.0, 0.0, 6.0], [0.0, 1.0, 7.0]]),
            (Some(["S", "N"]), Missing::Zero, [[0.0, 1.0, 5.0], [0.0, 0.0, 6.0], [1.0, 0.0, 7.0]]),
        ] {
            let args = InputArgs { classes: vec![wind(classes)], missing, ..ARGS };
            let (found, lines, skipped) = rows(text, args);
            let inputs: Vec<_> = found.iter().map(|row| row.inputs.as_slice()).collect();
            assert_eq!(inputs, expected);
            assert_eq!(lines, [2, 4, 5]);
            assert!(skipped.first.unwrap().contains("line 3, column \"y\": got \"x\""));
        }
        let args = InputArgs { classes: vec![wind(Some(["N", "E"]))], ..ARGS };
        let (found, _, skipped) = rows(text, args);
        assert_eq!((found.len(), skipped.count), (1, 3));
        // A class that is not among the first 1000 rows is as wrong as one that is not named.
        let late = format!("wind,y\n{}S,2\n", "N,1\n".repeat(1000));
        let (found, _, skipped) = rows(&late, InputArgs { classes: vec![wind(None)], ..ARGS });
        assert_eq!(found.len(), 1000);
        let words = "line 1002, column \"wind\": got \"S\", expected one of N";
        assert!(skipped.first.unwrap().ends_with(words));
    }

    #[test]
    fn inputs_of_earlier_rows_are_inputs() {
        let lags = [2, 1].map(|lag| NonZeroUsize::new(lag).unwrap()).to_vec();
        let text = "a,y\n1,0\n2,0\nx,0\n4,0\n,0\n";
        let (found, ..) = rows(text, InputArgs { lags, missing: Missing::Last, ..ARGS });
        let inputs: Vec<_> = found.iter().map(|row| row.inputs.as_slice()).collect();
        assert_eq!(inputs, [[1.0, 1.0, 1.0], [2.0, 1.0, 1.0], [4.0, 1.0, 2.0], [4.0, 2.0, 4.0]]);
    }

    #[test]
    fn the_time_is_carried_and_is_no_input() {
        let time = Some("day".to_owned());
        let (found, ..) = rows("x,day,y\n1, 2001-01-01 ,2\n3,,4\n", InputArgs { time, ..ARGS });
        let times: Vec<_> = found.iter().map(|row| (row.time.as_str(), row.inputs.len())).collect();
        assert_eq!(times, [("2001-01-01", 1), ("", 1)]);
    }
}
