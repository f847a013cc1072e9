//! The Add task: two coins tossed several steps ago, each with its own effect on the target.

use rtrl_model::Generator;

use super::task::Task;

/// The Add task (Marschall, Cho & Savin, *A Unified Framework of Online Learning Algorithms for
/// Training Recurrent Neural Networks*, JMLR 21, 2020): a fair coin x(t) is tossed at every step,
/// and the target is the probability `0.5 + 0.5 x(t - 5) - 0.25 x(t - 9)` of a class, given as a
/// soft label.
///
/// The mean loss shows which of the two coins a network remembers ([`AddTask::floors`]).
#[derive(Debug)]
pub struct AddTask {
    generator: Generator,
    /// The coins so far, newest first; `None` where none had been tossed yet.
    tossed: [Option<bool>; FAR + 1],
}

/// How many calls ago the coin was tossed that adds to the target, and the one that subtracts.
const NEAR: usize = 5;
const FAR: usize = 9;

impl AddTask {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { generator: Generator::new(seed), tossed: [None; FAR + 1] }
    }

    /// The input `[x, 1 - x]` and the label `[d, 1 - d]` for the outputs of the same call, which is
    /// absent in the first 9 calls.
    pub fn draw(&mut self) -> ([f64; 2], Option<[f64; 2]>) {
        let coin = self.generator.bit();
        self.tossed.rotate_right(1);
        self.tossed[0] = Some(coin);
        let label = self.tossed[NEAR].zip(self.tossed[FAR]);
        (pair(f64::from(coin)), label.map(|(near, far)| pair(probability(near, far))))
    }

    /// The smallest mean cross-entropies, in nats, for networks that remember neither coin, the
    /// more recent one, and both: about 0.6616, 0.5192 and 0.4545.
    ///
    /// The best answer is the mean label of all cases that look the same, and its cross-entropy
    /// with their labels is its entropy.
    pub fn floors() -> [f64; 3] {
        let labels = [false, true].map(|near| [false, true].map(|far| probability(near, far)));
        let nearer = labels.map(|cases| mean(&cases));
        [
            entropy(mean(&nearer)),
            mean(&nearer.map(entropy)),
            mean(&labels.map(|cases| mean(&cases.map(entropy)))),
        ]
    }
}

impl Task for AddTask {
    fn inputs(&self) -> &'static [&'static str] {
        &["coin", "opposite"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["yes", "no"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        let (coin, label) = self.draw();
        input.copy_from_slice(&coin);
        targets.copy_from_slice(&label.map_or([None; 2], |label| label.map(Some)));
    }
}

/// The probability of the first class.
fn probability(near: bool, far: bool) -> f64 {
    0.5 + 0.5 * f64::from(near) - 0.25 * f64::from(far)
}

fn pair(first: f64) -> [f64; 2] {
    [first, 1.0 - first]
}

fn mean(values: &[f64; 2]) -> f64 {
    0.5 * (values[0] + values[1])
}

/// Of a class of probability `p` and its opposite, in nats.
fn entropy(p: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * libm::log(p) } else { 0.0 };
    term(p) + term(1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(steps: usize) -> Vec<([f64; 2], Option<[f64; 2]>)> {
        let mut task = AddTask::new(3);
        (0..steps).map(|_| task.draw()).collect()
    }

    #[test]
    fn labels_answer_the_coins_of_the_right_steps() {
        let drawn = drawn(500);
        for (t, (input, label)) in drawn.iter().enumerate() {
            assert!(*input == [0.0, 1.0] || *input == [1.0, 0.0]);
            let before = |lag: usize| Some(drawn[t.checked_sub(lag)?].0[0]);
            let expected = before(9).zip(before(5)).map(|(far, near)| {
                let first = 0.5 + 0.5 * near - 0.25 * far;
                [first, 1.0 - first]
            });
            assert_eq!(*label, expected, "step {t}");
        }
    }

    /// Coins are fair and independent at the two lags: four labels, each a quarter of the time.
    #[test]
    fn every_label_comes_as_often_as_the_others() {
        let labels: Vec<f64> = drawn(20_009).iter().filter_map(|step| Some(step.1?[0])).collect();
        assert_eq!(labels.len(), 20_000);
        for label in [0.25, 0.5, 0.75, 1.0] {
            let count = labels.iter().filter(|&&drawn| drawn == label).count();
            assert!((4_700..5_300).contains(&count), "{label}: {count} of 20 000");
        }
    }

    /// The figures of the definition, and what a table of the mean labels costs on a drawn stream.
    #[test]
    fn floors_are_the_losses_of_the_best_forecasts() {
        let floors = AddTask::floors();
        for (floor, known) in floors.iter().zip([0.661_563, 0.519_167, 0.454_454]) {
            assert!((floor - known).abs() < 1e-6, "{floor} and {known}");
        }
        let drawn = drawn(40_009);
        let best: [fn(f64, f64) -> f64; 3] =
            [|_, _| 0.625, |near, _| 0.375 + 0.5 * near, |near, far| 0.5 + 0.5 * near - 0.25 * far];
        for (floor, forecast) in floors.iter().zip(best) {
            let losses = drawn.windows(10).filter_map(|steps| {
                let [first, second] = steps[9].1?;
                let p = forecast(steps[4].0[0], steps[0].0[0]);
                let term = |d: f64, p: f64| if d > 0.0 { -d * libm::log(p) } else { 0.0 };
                Some(term(first, p) + term(second, 1.0 - p))
            });
            let loss = losses.sum::<f64>() / 40_000.0;
            assert!((loss - floor).abs() < 5e-3, "{loss} and {floor}");
        }
    }
}
