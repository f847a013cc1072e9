//! What several files of tests share.

use rtrl_model::Generator;

/// Rows of random numbers.
pub(crate) fn table(rows: usize, columns: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut generator = Generator::new(seed);
    let mut row = || (0..columns).map(|_| generator.between(-0.7, 0.7)).collect();
    (0..rows).map(|_| row()).collect()
}

/// Central differences of `loss` with respect to each element of a table.
pub(crate) fn differences(loss: impl Fn(&[Vec<f64>]) -> f64, at: &[Vec<f64>]) -> Vec<f64> {
    let h = 1e-5;
    let mut moved = at.to_vec();
    let mut list = Vec::new();
    for i in 0..at.len() {
        for j in 0..at[i].len() {
            moved[i][j] = at[i][j] + h;
            let above = loss(&moved);
            moved[i][j] = at[i][j] - h;
            list.push((above - loss(&moved)) / (2.0 * h));
            moved[i][j] = at[i][j];
        }
    }
    list
}
