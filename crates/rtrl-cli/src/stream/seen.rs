//! What rows a run has seen, in 32 bytes.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::input::Row;

/// A hash of rows: SHA-256 of the hash of the rows before and the values of the row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen([u8; 32]);

impl Seen {
    /// Adds a row.
    pub(super) fn take(&mut self, row: &Row) {
        let mut hash = Sha256::new_with_prefix(self.0);
        for target in &row.targets {
            hash.update([u8::from(target.is_some())]);
        }
        for value in row.targets.iter().flatten().chain(&row.inputs) {
            hash.update(value.to_bits().to_le_bytes());
        }
        hash.update(&row.time);
        hash.update(&row.group_name);
        self.0 = hash.finalize().into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_every_value_and_on_the_order() {
        let row =
            |target, input| Row { targets: vec![target], inputs: vec![input], ..Row::default() };
        let seen = |rows: &[Row]| {
            let mut seen = Seen::default();
            for row in rows {
                seen.take(row);
            }
            seen
        };
        let rows = [row(Some(1.0), 2.0), row(None, 1.0)];
        let others = [
            vec![],
            rows[..1].to_vec(),
            vec![rows[1].clone(), rows[0].clone()],
            vec![row(Some(1.0), 2.0), row(Some(1.0), 1.0)],
            vec![row(Some(1.0), 2.0), row(None, 1.5)],
            vec![row(Some(-1.0), 2.0), row(None, 1.0)],
            // The same numbers, not all in the same place.
            vec![Row { inputs: vec![1.0, 2.0], ..row(None, 0.0) }, row(None, 1.0)],
            // The same numbers, of other targets.
            vec![row(Some(1.0), 2.0), Row { targets: vec![None, None], ..row(None, 1.0) }],
            vec![row(Some(1.0), 2.0), Row { group_name: "b".to_owned(), ..row(None, 1.0) }],
            vec![row(Some(1.0), 2.0), Row { time: "12:00".to_owned(), ..row(None, 1.0) }],
        ];
        assert_eq!(seen(&rows), seen(&rows.clone()));
        for other in others {
            assert_ne!(seen(&other), seen(&rows), "{other:?}");
        }
    }
}
