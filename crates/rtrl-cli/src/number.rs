//! Numbers in tables.

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
