//! Series of numbers whose target is the next value.

use super::task::Task;

/// A series of numbers, one a step.
pub(super) trait Series: Send {
    /// x(t)
    fn present(&self) -> f64;

    /// Moves from x(t) to x(t + 1).
    fn advance(&mut self);

    /// The series after `steps` steps, by which it has reached its attractor.
    fn settled(mut self, steps: usize) -> Self
    where
        Self: Sized,
    {
        (0..steps).for_each(|_| self.advance());
        self
    }
}

impl<S: Series> Task for S {
    fn inputs(&self) -> &'static [&'static str] {
        &["x"]
    }

    fn targets(&self) -> &'static [&'static str] {
        &["next_x"]
    }

    fn draw_into(&mut self, input: &mut [f64], targets: &mut [Option<f64>]) {
        input[0] = self.present();
        self.advance();
        targets[0] = Some(self.present());
    }
}
