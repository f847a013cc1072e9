//! How long simple units remember, as an option.

use serde::{Serialize, Serializer};

use super::numbers::share;

/// The leaks of the units of a layer: the weight of the new value in each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Leak {
    /// Memories of several lengths.
    Spread,
    /// The same leak for all units.
    All(f64),
}

impl Leak {
    /// The leaks of a layer of `units` units in heads of `head`, or one leak for all. If they are
    /// spread, half of the units, rounded up, have no memory of the old value, and the time
    /// constants 1/a of the others rise evenly up to 10 rows. The leaks are dealt to the heads in
    /// turn, so that each head remembers for short and for long.
    pub(crate) fn of_units(self, units: usize, head: usize) -> Vec<f64> {
        match self {
            Self::All(leak) => vec![leak],
            Self::Spread => {
                let (slow, heads) = (units / 2, units / head);
                let place = |number: usize| slow.saturating_sub(number) as f64 / slow.max(1) as f64;
                let number = |unit: usize| unit % head * heads + unit / head;
                (0..units).map(|unit| 1.0 / (1.0 + 9.0 * place(number(unit)))).collect()
            }
        }
    }
}

/// A leak, or `spread`.
pub(super) fn leak(text: &str) -> Result<Leak, String> {
    if text == "spread" {
        return Ok(Leak::Spread);
    }
    share(text).map(Leak::All).map_err(|error| format!("{error}, or spread"))
}

impl Serialize for Leak {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Spread => serializer.serialize_str("spread"),
            Self::All(leak) => serializer.serialize_f64(*leak),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_units_remember_up_to_ten_rows() {
        let slow = [1.0 / 10.0, 1.0 / 7.0, 1.0 / 4.0];
        for (units, expected) in [
            (1, vec![1.0]),
            (2, vec![0.1, 1.0]),
            (6, [&slow[..], &[1.0; 3]].concat()),
            (7, [&slow[..], &[1.0; 4]].concat()),
        ] {
            assert_eq!(Leak::Spread.of_units(units, units), expected);
            assert_eq!(Leak::Spread.of_units(units, 1), expected);
        }
        assert_eq!(Leak::All(0.5).of_units(2, 1), [0.5]);
    }

    #[test]
    fn leaks_are_dealt_to_the_heads_in_turn() {
        let [a, b, c] = [1.0 / 10.0, 1.0 / 7.0, 1.0 / 4.0];
        assert_eq!(Leak::Spread.of_units(6, 2), [a, 1.0, b, 1.0, c, 1.0]);
        assert_eq!(Leak::Spread.of_units(6, 3), [a, c, 1.0, b, 1.0, 1.0]);
    }

    #[test]
    fn a_leak_is_a_number_or_spread() {
        assert_eq!([leak("spread"), leak("0.5")], [Ok(Leak::Spread), Ok(Leak::All(0.5))]);
        assert!(leak("spreads").is_err_and(|error| error.contains("spread")));
    }
}
