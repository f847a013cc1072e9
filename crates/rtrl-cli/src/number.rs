//! Numbers in tables and sentences.

use std::fmt::Display;

/// A number with five significant digits, or a dash.
pub(crate) fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value == 0.0 || (1e-3..1e5).contains(&value.abs()) => {
            let below = [1.0, 10.0, 100.0, 1e3, 1e4].into_iter().filter(|&p| value.abs() < p);
            format!("{value:.*}", below.count())
        }
        Some(value) => format!("{value:.4e}"),
        None => "-".to_owned(),
    }
}

/// A count and what it counts: `1 row`, `2 rows`.
pub(crate) fn counted<N: Copy + Display + From<u8> + PartialEq>(count: N, noun: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// A number of bytes in words.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        0..1000 => counted(count as u64, "byte"),
        1000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_thing_is_singular() {
        let said = [counted(0_u64, "row"), counted(1_u64, "row"), counted(2_usize, "cell")];
        assert_eq!(said, ["0 rows", "1 row", "2 cells"]);
        assert_eq!([1, 1500, 2_000_000].map(bytes), ["1 byte", "1.5 kB", "2.0 MB"]);
    }
}
