//! The classes of columns of text, given or learnt.

use std::collections::BTreeSet;

use super::columns::Columns;
use super::features::Input;
use super::shown::shortened;
use super::table::Table;
use super::targets::Targets;
use crate::args::{Classes, InputArgs};
use crate::error::Error;

/// Rows from which classes are learnt.
const ROWS: usize = 1000;

/// Most classes of a target that nobody has called one of text.
const MOST: usize = 100;

/// The input columns at these places. Inputs and targets whose classes `args` give or want hold
/// text, and so does a target that has no number in the first rows.
pub(super) fn inputs(
    table: &mut Table,
    args: &InputArgs,
    targets: &mut Targets,
    places: Vec<usize>,
) -> Result<Vec<Input>, Error> {
    let input = |place| Input { place, classes: Vec::new() };
    let mut inputs: Vec<Input> = places.into_iter().map(input).collect();
    let mut seen = BTreeSet::new();
    for Classes { column, classes } in &args.classes {
        let columns = Columns::of(table, args.names_only);
        let place = match columns.find(column)? {
            // The target of a model, which the table lacks.
            None if args.names_only && targets.names.contains(column) => {
                targets.classify(0, classes.clone().unwrap_or_default())?;
                continue;
            }
            _ => columns.place(column)?,
        };
        let is_input = inputs.iter().any(|input| input.place == place);
        if !is_input && !targets.contain(place) {
            return Err(Error::NoTextInput { column: shortened(column) });
        }
        if !seen.insert(place) {
            let item = format!("column {:?}", shortened(&table.names()[place]));
            return Err(Error::Repeated { option: "--classes", item });
        }
        let classes = match classes {
            Some(classes) => classes.clone(),
            None => match args.learnt.get(&table.names()[place]) {
                Some(classes) => classes.clone(),
                None => learnt(table, place)?,
            },
        };
        set(place, classes, &mut inputs, targets)?;
    }
    if !args.names_only && targets.classes.is_empty() {
        for place in targets.places.clone().into_iter().flatten() {
            if let Some(classes) = found(table, args, place)? {
                set(place, classes, &mut inputs, targets)?;
            }
        }
    }
    Ok(inputs)
}

/// Makes the column at this place one of text, wherever it is used.
fn set(
    place: usize,
    classes: Vec<String>,
    inputs: &mut [Input],
    targets: &mut Targets,
) -> Result<(), Error> {
    if targets.contain(place) {
        targets.classify(place, classes.clone())?;
    }
    if let Some(input) = inputs.iter_mut().find(|input| input.place == place) {
        input.classes = classes;
    }
    Ok(())
}

/// The classes of a target that has text and no number in the first rows.
fn found(table: &mut Table, args: &InputArgs, place: usize) -> Result<Option<Vec<String>>, Error> {
    let name = table.names()[place].clone();
    if let Some(classes) = args.learnt.get(&name) {
        return Ok(Some(classes.clone()));
    }
    let mut rows = 0;
    // The first number ends the search, so that a live stream is not waited for.
    while rows < ROWS && !table.ahead().any(|cells| !cells[place].is_empty()) {
        rows += 1;
        if !table.read_ahead(rows) {
            break;
        }
    }
    if !holds_text(table, place) {
        return Ok(None);
    }
    table.read_ahead(ROWS);
    if !holds_text(table, place) {
        return Ok(None);
    }
    let classes = learnt(table, place)?;
    if classes.len() > MOST {
        let column = shortened(&name);
        return Err(Error::ManyClasses { column, got: classes.len(), rows: ROWS, most: MOST });
    }
    Ok(Some(classes))
}

/// Whether the rows that were read ahead have text in a column, and no number.
fn holds_text(table: &Table, place: usize) -> bool {
    let mut cells = table.ahead().map(|cells| &cells[place]).filter(|cell| !cell.is_empty());
    let is_text = |cell: &String| cell.parse::<f64>().is_err();
    cells.next().is_some_and(is_text) && cells.all(is_text)
}

/// The classes in the next rows, sorted.
fn learnt(table: &mut Table, place: usize) -> Result<Vec<String>, Error> {
    table.read_ahead(ROWS);
    let cells = table.ahead().map(|cells| &cells[place]);
    let classes: BTreeSet<&String> = cells.filter(|cell| !cell.is_empty()).collect();
    if classes.is_empty() {
        return Err(Error::NoClasses {
            path: table.path().to_owned(),
            column: shortened(&table.names()[place]),
            rows: ROWS,
        });
    }
    Ok(classes.into_iter().cloned().collect())
}
