//! The targets of a series: numbers, or a class.

use super::cells::{class, number};
use super::columns::Columns;
use super::shown::shortened;
use super::table::Table;
use crate::error::Error;

/// The columns to forecast.
pub(super) struct Targets {
    /// Their names.
    pub(super) names: Vec<String>,
    /// Their places in the table; `None` for a column that it lacks.
    pub(super) places: Vec<Option<usize>>,
    /// The classes of the only column, if it holds text; otherwise none.
    pub(super) classes: Vec<String>,
}

impl Targets {
    /// The columns that `items` choose, as numbers. Unless they are `needed`, a table may lack
    /// them.
    pub(super) fn choose(
        columns: &Columns<'_>,
        items: &[String],
        needed: bool,
    ) -> Result<Self, Error> {
        if columns.names_only && !needed {
            let places = items.iter().map(|name| columns.find(name)).collect::<Result<_, _>>()?;
            return Ok(Self { names: items.to_vec(), places, classes: Vec::new() });
        }
        let mut split = Vec::new();
        for item in items {
            // A name may contain commas.
            match columns.find(item)? {
                Some(_) => split.push(item.clone()),
                None if columns.names_only => split.push(item.clone()),
                None => split.extend(item.split(',').map(str::to_owned)),
            }
        }
        let all: Vec<usize> = (0..columns.names.len()).collect();
        let places = columns.choose("--target", &split, &all)?;
        let names = places.iter().map(|&place| columns.names[place].clone()).collect();
        Ok(Self { names, places: places.into_iter().map(Some).collect(), classes: Vec::new() })
    }

    /// Makes the column at this place one of text, with these classes.
    pub(super) fn classify(&mut self, place: usize, classes: Vec<String>) -> Result<(), Error> {
        let column = || shortened(&self.names[0]);
        if self.names.len() > 1 {
            let column = self.places.iter().position(|&found| found == Some(place));
            let column = column.map_or_else(String::new, |target| shortened(&self.names[target]));
            return Err(Error::SeveralClasses { column });
        }
        if classes.len() < 2 {
            return Err(Error::FewClasses { column: column(), got: classes.join(", ") });
        }
        self.classes = classes;
        Ok(())
    }

    /// Whether the column at this place is a target.
    pub(super) fn contain(&self, place: usize) -> bool {
        self.places.contains(&Some(place))
    }

    /// Values in a row: one for each number, or one for each class.
    pub(super) fn width(&self) -> usize {
        self.names.len().max(self.classes.len())
    }

    /// Reads the targets of the table's row. That of a class is 1 for the class of the row and 0
    /// for the others.
    pub(super) fn read(&self, table: &Table, targets: &mut Vec<Option<f64>>) -> Result<(), Error> {
        targets.clear();
        if self.classes.is_empty() {
            for place in &self.places {
                targets.push(place.map_or(Ok(None), |place| number(table, place))?);
            }
            return Ok(());
        }
        let class = match self.places[0] {
            Some(place) => class(table, place, &self.classes)?,
            None => None,
        };
        let value = |index| class.map(|class| if class == index { 1.0 } else { 0.0 });
        targets.extend((0..self.classes.len()).map(value));
        Ok(())
    }
}
