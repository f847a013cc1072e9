//! Columns, chosen by name, number, range or exception.

use std::path::Path;

use super::shown::{listed, shortened};
use super::table::Table;
use crate::error::Error;

/// How similar a name must be to be offered in place of an unknown one, from 0 to 1.
const SIMILAR: f64 = 0.7;

/// The columns of a table.
pub(super) struct Columns<'a> {
    pub(super) path: &'a Path,
    pub(super) names: &'a [String],
    /// Whether they are chosen by their names only.
    pub(super) names_only: bool,
}

impl<'a> Columns<'a> {
    /// The columns of a table.
    pub(super) fn of(table: &'a Table, names_only: bool) -> Self {
        Self { path: table.path(), names: table.names(), names_only }
    }

    /// The place of a column: that of its name, which the header must have once, or else its
    /// number, from 1, unless columns are chosen by their names only.
    pub(super) fn place(&self, column: &str) -> Result<usize, Error> {
        self.find(column)?.ok_or_else(|| self.unknown(column))
    }

    /// The place of a column, if there is one. Names have no blanks around them.
    pub(super) fn find(&self, column: &str) -> Result<Option<usize>, Error> {
        let column = column.trim_ascii();
        let mut places = (0..self.names.len()).filter(|&place| self.names[place] == column);
        let number = || {
            let number = column.parse().ok().filter(|_| !self.names_only);
            number.filter(|number| (1..=self.names.len()).contains(number))
        };
        match (places.next(), places.count()) {
            (Some(place), 0) => Ok(Some(place)),
            (Some(_), more) => Err(Error::Ambiguous {
                path: self.path.to_owned(),
                column: shortened(column),
                count: more + 1,
            }),
            (None, _) => Ok(number().map(|number| number - 1)),
        }
    }

    /// The error for a column that does not exist, with the most similar name.
    fn unknown(&self, column: &str) -> Error {
        let similar = |name: &&String| strsim::jaro_winkler(column, name);
        let nearest = self.names.iter().filter(|name| similar(name) >= SIMILAR);
        let nearest = nearest.max_by(|a, b| similar(a).total_cmp(&similar(b)));
        Error::Column {
            path: self.path.to_owned(),
            column: shortened(column),
            available: listed(self.names),
            nearest: nearest.map(|name| shortened(name)),
        }
    }

    /// The places of one column, or of all columns from one to another.
    fn range(&self, text: &str) -> Result<Vec<usize>, Error> {
        if let Some(place) = self.find(text)? {
            return Ok(vec![place]);
        }
        for (dash, _) in text.match_indices('-') {
            let ends = [&text[..dash], &text[dash + 1..]].map(|column| self.find(column));
            if let [Ok(Some(first)), Ok(Some(last))] = ends {
                return Ok((first.min(last)..=first.max(last)).collect());
            }
        }
        Err(self.unknown(text))
    }

    /// The places of the columns that an option chooses. If the first item is an exception, all
    /// columns of `eligible` are chosen at first.
    pub(super) fn choose(
        &self,
        option: &'static str,
        items: &[String],
        eligible: &[usize],
    ) -> Result<Vec<usize>, Error> {
        if self.names_only {
            return items.iter().map(|name| self.place(name)).collect();
        }
        let mut chosen = Vec::new();
        let mut is_chosen = vec![false; self.names.len()];
        for (index, item) in items.iter().map(|item| item.trim_ascii()).enumerate() {
            let exception = match item.strip_prefix('!') {
                Some(rest) if self.find(item)?.is_none() => Some(rest),
                _ => None,
            };
            let Some(exception) = exception else {
                for place in self.range(item)? {
                    if std::mem::replace(&mut is_chosen[place], true) {
                        let item = format!("column {:?}", shortened(&self.names[place]));
                        return Err(Error::Repeated { option, item });
                    }
                    chosen.push(place);
                }
                continue;
            };
            if index == 0 {
                chosen = eligible.to_vec();
                for &place in eligible {
                    is_chosen[place] = true;
                }
            }
            for place in self.range(exception)? {
                is_chosen[place] = false;
            }
            chosen.retain(|&place| is_chosen[place]);
        }
        if chosen.is_empty() { Err(Error::NoColumn { option }) } else { Ok(chosen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns that some items choose from a to e, time-of-day, 2 and !odd; time-of-day is not
    /// eligible.
    fn chosen(items: &str) -> Result<Vec<usize>, String> {
        let names = ["a", "b", "c", "time-of-day", "2", "!odd", "twice", "twice"];
        let names = names.map(str::to_owned);
        let path = Path::new("series.csv");
        let columns = Columns { path, names: &names, names_only: false };
        let items: Vec<String> = items.split(',').map(str::to_owned).collect();
        let found = columns.choose("--inputs", &items, &[0, 1, 2, 4, 5, 6, 7]);
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn columns_are_chosen_by_name_number_range_and_exception() {
        for (items, expected) in [
            ("b, a", &[1, 0][..]),
            ("3", &[2]),
            ("time-of-day", &[3]),
            // A name that is a number goes first.
            ("2", &[4]),
            ("1-3", &[0, 1, 2]),
            ("c-1", &[0, 1, 2]),
            ("b-time-of-day", &[1, 2, 3]),
            ("time-of-day-2", &[3, 4]),
            ("!odd", &[5]),
            ("!!odd", &[0, 1, 2, 4, 6, 7]),
            ("!a,!7-8,!c", &[1, 4, 5]),
            ("1-3,!b", &[0, 2]),
            ("!a-c,b", &[4, 5, 6, 7, 1]),
        ] {
            assert_eq!(chosen(items).as_deref(), Ok(expected), "{items}");
        }
    }

    #[test]
    fn wrong_choices_are_errors() {
        for (items, words) in [
            ("d", "got column \"d\", expected one of a, b, c, time-of-day"),
            ("time-of-dya", "did you mean \"time-of-day\"?"),
            ("9", "got column \"9\""),
            ("0", "got column \"0\""),
            ("1-9", "got column \"1-9\""),
            ("!d", "got column \"d\""),
            ("twice", "\"twice\" 2 times"),
            ("a,1-3", "got column \"a\" twice"),
            ("a,!a", "got no column"),
            ("", "got column \"\""),
        ] {
            let error = chosen(items).unwrap_err();
            assert!(error.contains(words), "{items}: {error}");
        }
        assert!(!chosen("xyz").unwrap_err().contains("did you mean"));
    }
}
