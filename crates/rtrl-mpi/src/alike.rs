//! Whether all ranks run the same learner.

use rtrl_model::{Learner, Matrix, Real};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Error, Ranks};

/// Fails on all ranks if the learner of one is not that of rank 0.
///
/// # Errors
/// [`Error::Differs`] with the first rank that differs.
pub(crate) fn check<T: Real>(ranks: &Ranks, learner: &Learner<T>) -> Result<(), Error> {
    check_value(ranks, &describe(learner)?)
}

/// Everything that must be the same on all ranks.
fn describe<T: Real>(learner: &Learner<T>) -> Result<Value, Error> {
    let network = learner.network();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "description": learner.description()?,
        "steps": learner.steps(),
        "connections": digest(network.learning().iter().map(|&learns| u64::from(learns))),
        "weights": digest_of(network.weights()),
        "readout": network.readout_weights().map(digest_of),
        "initial state": digest(network.initial_state().iter().map(|y| y.to_f64().to_bits())),
    }))
}

/// [`check`] of a description.
fn check_value(ranks: &Ranks, own: &Value) -> Result<(), Error> {
    let text = own.to_string();
    let first = ranks.share(text.as_bytes())?;
    let expected: Value = serde_json::from_slice(&first).unwrap_or_default();
    let found = difference("", &expected, own);
    let texts = found.map(|(what, expected, got)| json!([what, expected, got]).to_string());
    let all = ranks.gather(texts.unwrap_or_default().as_bytes())?;
    let Some(rank) = all.iter().position(|text| !text.is_empty()) else { return Ok(()) };
    let (what, expected, got) = serde_json::from_slice(&all[rank]).unwrap_or_default();
    Err(Error::Differs { rank, what, expected, got })
}

/// The first place in which two values differ, and both values there.
fn difference(path: &str, expected: &Value, got: &Value) -> Option<(String, String, String)> {
    let within = |key: &str| if path.is_empty() { key.into() } else { format!("{path}.{key}") };
    match (expected, got) {
        (Value::Object(a), Value::Object(b)) => {
            let none = &Value::Null;
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let (a, b) = (a.get(key).unwrap_or(none), b.get(key).unwrap_or(none));
                difference(&within(key), a, b)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(i, (a, b))| difference(&within(&i.to_string()), a, b))
        }
        _ if expected == got => None,
        _ => Some((path.to_owned(), expected.to_string(), got.to_string())),
    }
}

fn digest_of<T: Real>(matrix: &Matrix<T>) -> String {
    digest(matrix.iter_rows().flatten().map(|weight| weight.to_f64().to_bits()))
}

/// The first 16 digits of the SHA-256 of these numbers.
fn digest(numbers: impl Iterator<Item = u64>) -> String {
    let mut hash = Sha256::new();
    numbers.for_each(|number| hash.update(number.to_le_bytes()));
    hex(&hash.finalize()[..8])
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found_and_named() {
        let one = json!({"version": 1, "learner": {"rates": [0.1, 0.2], "streams": 1}});
        assert_eq!(difference("", &one, &one), None);
        let mut other = one.clone();
        other["learner"]["rates"][1] = json!(0.3);
        let found = difference("", &one, &other).unwrap();
        assert_eq!(found, ("learner.rates.1".into(), "0.2".into(), "0.3".into()));
        other["learner"]["rates"] = json!([0.1]);
        assert_eq!(difference("", &one, &other).unwrap().0, "learner.rates");
        let more = json!({"version": 1, "learner": one["learner"], "note": true});
        assert_eq!(
            difference("", &one, &more).unwrap(),
            ("note".into(), "null".into(), "true".into())
        );
    }
}
