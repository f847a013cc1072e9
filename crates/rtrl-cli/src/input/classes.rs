//! The classes of columns of text, given or learnt.

use std::collections::BTreeSet;

use super::columns::Columns;
use super::features::Input;
use super::shown::shortened;
use super::table::Table;
use crate::args::{Classes, InputArgs};
use crate::error::Error;

/// Rows from which classes are learnt.
const ROWS: usize = 1000;

/// The input columns at these places. Those whose classes `args` give or want hold text.
pub(super) fn inputs(
    table: &mut Table,
    args: &InputArgs,
    target: Option<usize>,
    places: Vec<usize>,
) -> Result<Vec<Input>, Error> {
    let input = |place| Input { place, classes: Vec::new() };
    let mut inputs: Vec<Input> = places.into_iter().map(input).collect();
    for Classes { column, classes } in &args.classes {
        let place = Columns::of(table, args.names_only).place(column)?;
        let mut texts = inputs.iter_mut().filter(|input| Some(input.place) != target);
        let Some(input) = texts.find(|input| input.place == place) else {
            return Err(Error::NoTextInput { column: shortened(column) });
        };
        if !input.classes.is_empty() {
            let item = format!("column {:?}", shortened(&table.names()[place]));
            return Err(Error::Repeated { option: "--classes", item });
        }
        input.classes = match classes {
            Some(classes) => classes.clone(),
            None => match args.learnt.get(&table.names()[place]) {
                Some(classes) => classes.clone(),
                None => learnt(table, place)?,
            },
        };
    }
    Ok(inputs)
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
