//! Plain descent, the update of most small networks.

use pulp::Simd;

use super::isa::{Isa, Work};
use super::real::{Real, compiled};
use super::vector::{is_zero, normal};
use crate::error::{Error, check_length};

/// Plain descent, `next = normal(weights - rate * gradient)`, rounded twice: an
/// [`Update`](crate::Update) with nothing else, at half the cost for a small network. Returns
/// whether all of it is finite.
///
/// # Errors
/// [`Error::Length`] if a slice does not fit.
pub fn descend<T: Real>(
    isa: Isa,
    rate: T,
    weights: &[T],
    gradient: &[T],
    next: &mut [T],
) -> Result<bool, Error> {
    check_length("the padding of the weights", 0, weights.len() % T::LANES)?;
    check_length("the gradient", weights.len(), gradient.len())?;
    check_length("the next weights", weights.len(), next.len())?;
    Ok(T::run::<DescendLoop>(isa, Descend { rate, weights, gradient, next }))
}

compiled!(pub(crate) DescendLoop: Descend -> bool);

pub(crate) struct Descend<'a, T> {
    rate: T,
    weights: &'a [T],
    gradient: &'a [T],
    next: &'a mut [T],
}

impl<T: Real> Work for Descend<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        let (zero, rate) = (T::splat(simd, T::ZERO), T::splat(simd, self.rate));
        // 0 times what is not finite is NaN, and stays so. In one chain, the checks would take
        // longer than the rest.
        let mut checks = [zero; 4];
        let (weights, last_weights) = T::vectors::<S>(self.weights).as_chunks::<4>();
        let (gradients, last_gradients) = T::vectors::<S>(self.gradient).as_chunks::<4>();
        let (nexts, last_nexts) = T::vectors_mut::<S>(self.next).as_chunks_mut::<4>();
        for (next, (weight, gradient)) in nexts.iter_mut().zip(weights.iter().zip(gradients)) {
            for v in 0..4 {
                (next[v], checks[v]) =
                    descended::<S, T>(simd, rate, (weight[v], gradient[v]), checks[v]);
            }
        }
        let last = last_weights.iter().zip(last_gradients);
        for (next, (&weight, &gradient)) in last_nexts.iter_mut().zip(last) {
            (*next, checks[0]) = descended::<S, T>(simd, rate, (weight, gradient), checks[0]);
        }
        let [a, b, c, d] = checks;
        is_zero::<S, T>(T::sum(simd, T::sum(simd, a, b), T::sum(simd, c, d)))
    }
}

/// A register of the next weights, and `check`, which becomes NaN if they are not finite.
#[inline(always)]
fn descended<S: Simd, T: Real>(
    simd: S,
    rate: T::Vector<S>,
    (weight, gradient): (T::Vector<S>, T::Vector<S>),
    check: T::Vector<S>,
) -> (T::Vector<S>, T::Vector<S>) {
    let (zero, minus_one) = (T::splat(simd, T::ZERO), T::splat(simd, -T::ONE));
    let change = T::product(simd, rate, gradient);
    let after = T::fused(simd, change, minus_one, weight);
    // A weight that does not change stays as it is: it may be frozen, and subnormal.
    let (changed, cleared) = (T::magnitude(simd, change), normal::<S, T>(simd, after));
    let next = T::where_greater(simd, changed, zero, cleared, weight);
    (next, T::fused(simd, after, zero, check))
}
