//! The common trait of tasks.

/// A seeded stream of inputs and targets that never ends.
pub trait Task: Send {
    /// The names of the external inputs.
    fn inputs(&self) -> &'static [&'static str];

    /// The names of the targets, in the order of the outputs that they belong to.
    fn targets(&self) -> &'static [&'static str];

    /// Writes the input x(t) and the targets for time t + 1, each where there is one. `input` is as
    /// long as [`Task::inputs`], `targets` as [`Task::targets`].
    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]);
}

/// 1 for yes, 0 for no.
pub(super) fn number(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// The first steps of a task: inputs and targets.
#[cfg(test)]
pub(super) fn drawn(task: &mut dyn Task, steps: usize) -> Vec<(Vec<f64>, Vec<Option<f64>>)> {
    let draw = |_| {
        let mut input = vec![0.0; task.inputs().len()];
        let mut targets = vec![None; task.targets().len()];
        task.draw_into(&mut input, &mut targets);
        (input, targets)
    };
    (0..steps).map(draw).collect()
}
