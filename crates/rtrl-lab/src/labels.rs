//! Scores of forecasts of classes, in bounded memory.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Bins of a histogram of probabilities.
const BINS: usize = 256;

/// Bins for one unit of the logit `ln(p / (1 - p))`.
const BINS_PER_UNIT: f64 = 16.0;

/// How often forecasts of classes were right, and how well they rank.
///
/// The predicted class is the most probable one, the first of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassSums {
    count: u64,
    right: u64,
    classes: Vec<OneClass>,
}

/// One class against all others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct OneClass {
    /// Rows of this class.
    label: u64,
    /// Rows for which it was predicted.
    predicted: u64,
    /// Rows for which it was rightly predicted.
    right: u64,
    probabilities: Histogram,
}

/// The class of a row whose targets are 1 for it and 0 for the others; `None` if they are missing.
pub fn label(targets: &[Option<f64>]) -> Option<usize> {
    targets.iter().position(|target| *target == Some(1.0))
}

/// The most probable class, the first of several.
pub fn most_probable<P: PartialOrd>(probabilities: &[P]) -> usize {
    let mut top = 0;
    for (k, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[top] {
            top = k;
        }
    }
    top
}

impl ClassSums {
    /// No forecasts yet of one of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { count: 0, right: 0, classes: vec![OneClass::default(); classes] }
    }

    /// Adds the probabilities of all classes, for a row of class `label`.
    pub fn add(&mut self, probabilities: &[Option<f64>], label: usize) {
        let predicted = most_probable(probabilities);
        self.count += 1;
        self.right += u64::from(predicted == label);
        for (k, (class, probability)) in self.classes.iter_mut().zip(probabilities).enumerate() {
            class.label += u64::from(k == label);
            class.predicted += u64::from(k == predicted);
            class.right += u64::from(k == label && k == predicted);
            class.probabilities.add(probability.unwrap_or_default(), k == label);
        }
    }

    /// The share of forecasts that were right; `None` without forecasts.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.right, self.count)
    }

    /// The share of forecasts of class `k` that were right; `None` if it was never forecast.
    pub fn precision(&self, k: usize) -> Option<f64> {
        self.classes.get(k).and_then(|class| ratio(class.right, class.predicted))
    }

    /// The share of rows of class `k` that were forecast as such; `None` without such rows.
    pub fn recall(&self, k: usize) -> Option<f64> {
        self.classes.get(k).and_then(|class| ratio(class.right, class.label))
    }

    /// Rows of class `k`.
    pub fn rows(&self, k: usize) -> u64 {
        self.classes.get(k).map_or(0, |class| class.label)
    }

    /// The area under the receiver operating characteristic: the probability that a row of a class
    /// gets a higher probability of it than another row, where equal probabilities count one half.
    ///
    /// Of two classes, it is that of the second one. Of more, it is the mean over all classes, each
    /// against the others. Classes without rows, or without other rows, are left out; `None` if
    /// none remains.
    ///
    /// Probabilities count as equal if their logits `ln(p / (1 - p))`, limited to -8 to 8, are in
    /// the same of 256 bins of width 1/16. The error is therefore at most half the share of pairs
    /// of rows in the same bin.
    pub fn auc(&self) -> Option<f64> {
        let classes = if self.classes.len() == 2 { &self.classes[1..] } else { &self.classes[..] };
        let areas = classes.iter().filter_map(|class| class.probabilities.area());
        let (sum, count) = areas.fold((0.0, 0), |(sum, count), area| (sum + area, count + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// How many rows of a class, and how many others, got a probability in each bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<(usize, u64, u64)>", try_from = "Vec<(usize, u64, u64)>")]
struct Histogram {
    /// Rows of the class and other rows.
    bins: Vec<[u64; 2]>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { bins: vec![[0; 2]; BINS] }
    }
}

impl Histogram {
    fn add(&mut self, probability: f64, is_of_class: bool) {
        let logit = libm::log(probability / (1.0 - probability));
        let place = (BINS as f64 / 2.0 + BINS_PER_UNIT * logit).clamp(0.0, (BINS - 1) as f64);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..256")]
        let bin = place as usize;
        self.bins[bin][usize::from(!is_of_class)] += 1;
    }

    /// The area under the curve; `None` unless there are rows of both kinds.
    fn area(&self) -> Option<f64> {
        let (mut pairs, mut below, mut rows) = (0.0, 0.0, 0.0);
        for &[of_class, others] in &self.bins {
            let [of_class, others] = [of_class as f64, others as f64];
            pairs += of_class * (below + 0.5 * others);
            below += others;
            rows += of_class;
        }
        (rows > 0.0 && below > 0.0).then(|| pairs / (rows * below))
    }
}

impl From<Histogram> for Vec<(usize, u64, u64)> {
    fn from(from: Histogram) -> Self {
        let bins = from.bins.into_iter().enumerate();
        let bins = bins.map(|(bin, [of_class, others])| (bin, of_class, others));
        bins.filter(|&(_, of_class, others)| of_class + others > 0).collect()
    }
}

impl TryFrom<Vec<(usize, u64, u64)>> for Histogram {
    type Error = Error;

    fn try_from(stored: Vec<(usize, u64, u64)>) -> Result<Self, Error> {
        let mut histogram = Self::default();
        for (bin, of_class, others) in stored {
            let Some(place) = histogram.bins.get_mut(bin) else {
                let (expected, got) = (format!("below {BINS}"), bin.to_string());
                let what = "bin of a stored histogram";
                return Err(Error::Model(rtrl_model::Error::Setting { what, expected, got }));
            };
            *place = [of_class, others];
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    /// Probabilities of the second of two classes, higher for its own rows, and the class.
    fn forecasts(rows: usize) -> Vec<(f64, usize)> {
        let mut generator = rtrl_model::Generator::new(4);
        let forecast = |_| {
            let class = usize::from(generator.bit());
            let logit = 1.5 * generator.normal() + if class == 1 { 1.0 } else { 0.0 };
            (1.0 / (1.0 + libm::exp(-logit)), class)
        };
        (0..rows).map(forecast).collect()
    }

    fn sums(forecasts: &[(f64, usize)]) -> ClassSums {
        let mut sums = ClassSums::new(2);
        for &(p, class) in forecasts {
            sums.add(&[Some(1.0 - p), Some(p)], class);
        }
        sums
    }

    /// Against counting all pairs.
    #[test]
    fn the_area_is_within_its_error() {
        let forecasts = forecasts(1500);
        let (mut pairs, mut higher, mut close) = (0.0, 0.0, 0.0);
        for &(p, _) in forecasts.iter().filter(|(_, class)| *class == 1) {
            for &(q, _) in forecasts.iter().filter(|(_, class)| *class == 0) {
                let bin = |p: f64| (16.0 * libm::log(p / (1.0 - p))).floor();
                pairs += 1.0;
                higher += if p > q { 1.0 } else { 0.0 };
                close += if bin(p) == bin(q) { 1.0 } else { 0.0 };
            }
        }
        let (area, exact) = (sums(&forecasts).auc().unwrap(), higher / pairs);
        assert!((area - exact).abs() <= 0.5 * close / pairs + 1e-12, "{area} {exact}");
        assert!(close / pairs < 0.02 && exact > 0.6 && (area - exact).abs() < 1e-3);
        // Negative control: the labels do not matter to a forecast that does not know them.
        let shuffled: Vec<_> = forecasts.iter().zip(&forecasts[700..]).collect();
        let shuffled: Vec<_> = shuffled.iter().map(|((p, _), (_, class))| (*p, *class)).collect();
        assert_abs_diff_eq!(sums(&shuffled).auc().unwrap(), 0.5, epsilon = 0.05);
    }

    #[test]
    fn counts_are_those_of_the_formulas() {
        let mut sums = ClassSums::new(3);
        for (probabilities, class) in [
            ([0.5, 0.3, 0.2], 0),
            ([0.2, 0.5, 0.3], 0),
            ([0.2, 0.5, 0.3], 1),
            // The first of two.
            ([0.4, 0.4, 0.2], 0),
        ] {
            sums.add(&probabilities.map(Some), class);
        }
        assert_eq!(sums.accuracy(), Some(0.75));
        assert_eq!([0, 1, 2].map(|k| sums.precision(k)), [Some(1.0), Some(0.5), None]);
        assert_eq!([0, 1, 2].map(|k| sums.recall(k)), [Some(2.0 / 3.0), Some(1.0), None]);
        assert_eq!([0, 1, 2].map(|k| sums.rows(k)), [3, 1, 0]);
        // The third class has no rows. Of the first, 0.4 and 0.5 are above 0.2, which is equal
        // once.
        let first = (2.0 + 0.5) / 3.0;
        let second = (2.0 + 0.5) / 3.0;
        assert!((sums.auc().unwrap() - f64::midpoint(first, second)).abs() < 1e-12);
        assert_eq!(ClassSums::new(2).auc(), None);
        assert_eq!(ClassSums::new(2).accuracy(), None);
    }

    /// Certain and impossible forecasts are in the outermost bins.
    #[test]
    fn probabilities_of_0_and_1_have_a_rank() {
        let sums = sums(&[(0.0, 0), (1.0, 1), (1e-300, 0), (1.0 - 1e-16, 1)]);
        assert_eq!((sums.auc(), sums.accuracy()), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn stored_sums_are_the_same() {
        let sums = sums(&forecasts(50));
        let text = serde_json::to_string(&sums).unwrap();
        assert_eq!(serde_json::from_str::<ClassSums>(&text).unwrap(), sums);
        let odd = text.replacen("[[", "[[256,1,1],[", 1);
        let error = serde_json::from_str::<ClassSums>(&odd).unwrap_err().to_string();
        assert!(error.contains("got 256, expected below 256"), "{error}");
    }
}
