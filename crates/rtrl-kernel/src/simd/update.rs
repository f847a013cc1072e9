//! One update of all weights at once (equation 6): what the optimisers have in common, in
//! registers.

use pulp::Simd;

use super::functions::by_reciprocal;
use super::isa::{Isa, Work};
use super::norm::within;
use super::real::{Real, compiled};
use super::vector::{first_halves, is_zero, lanes, normal, store_halves};
use crate::error::{Error, check_length};

/// One update of the weights of a matrix.
///
/// For each weight w with gradient g, in this order, every operation rounded:
///
/// ```text
/// g = min(max(g, -value), value) * factor                     with a limit
/// v = normal(decay * v + rest * q * q)                        with a second moment
/// m = normal(decay * m + rest * g),   then g = m              with a first moment
/// g = g / (sqrt(v) / root_bias + epsilon)                     with a second moment
/// w = w - weight_decay * mask * w                             with weight decay
/// w = normal(w - rate * g)                                    unless it is w still
/// ```
///
/// `normal(x)` is x, but 0 with its sign where x is subnormal, and q is g, but +0 where its
/// magnitude is below `sqrt(smallest normal number / rest)`. Without them, moments and weights that
/// vanish would stay subnormal for ever, since the decay of the smallest number rounds to the same
/// number, and processors multiply such numbers a hundred times slower than others.
///
/// All slices are equally long, a multiple of [`Real::LANES`].
#[derive(Debug)]
pub struct Update<'a, T> {
    /// Numbers in a row.
    pub width: usize,
    /// How far apart rows begin. All slices have zeros between the rows, of which as many are left
    /// out as the registers allow: there `next` keeps what it had. Rows that do not fit the slices
    /// count as one row.
    pub stride: usize,
    /// The learning rate.
    pub rate: T,
    /// The weights before the update.
    pub weights: &'a [T],
    /// Their gradient.
    pub gradient: &'a [T],
    /// A limit on the gradient.
    pub limit: Option<Limit<T>>,
    /// The average of gradients.
    pub first: Option<(Average<T>, Moment<'a, T>)>,
    /// The average of their squares.
    pub second: Option<(Scale<T>, Moment<'a, T>)>,
    /// The weight decay, and a mask: 1 where it acts, else 0.
    pub decay: Option<(T, &'a [T])>,
    /// The weights after the update.
    pub next: &'a mut [T],
}

/// A limit on the components of a gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit<T> {
    /// The largest absolute value, before the factor is applied.
    pub value: Option<T>,
    /// What every component is multiplied by.
    pub factor: T,
}

/// A running average: `decay * average + rest * new`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Average<T> {
    /// What remains of the average.
    pub decay: T,
    /// What is taken of the new value: 1 - `decay`, or 1 for momentum.
    pub rest: T,
}

/// What a direction is divided by: `sqrt(average of squares) / root_bias + epsilon`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale<T> {
    /// How squares are averaged.
    pub average: Average<T>,
    /// The square root of the bias correction, from 2^-27 to 1; 1 without one.
    pub root_bias: T,
    /// The smallest divisor.
    pub epsilon: T,
}

/// A number that is remembered for each weight.
#[derive(Debug)]
pub struct Moment<'a, T> {
    /// Before the update.
    pub now: &'a [T],
    /// After it.
    pub next: &'a mut [T],
}

impl<T: Real> Update<'_, T> {
    /// Writes the next weights and moments. Returns whether all of them are finite. Places that are
    /// left out between rows are neither written nor checked.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice does not fit.
    #[inline]
    pub fn apply(self, isa: Isa) -> Result<bool, Error> {
        self.check()?;
        Ok(T::run::<UpdateLoop>(isa, self))
    }

    fn check(&self) -> Result<(), Error> {
        let len = self.weights.len();
        check_length("the padding of the weights", 0, len % T::LANES)?;
        check_length("the gradient", len, self.gradient.len())?;
        check_length("the next weights", len, self.next.len())?;
        let first = self.first.iter().map(|(_, moment)| moment);
        for moment in first.chain(self.second.iter().map(|(_, moment)| moment)) {
            check_length("a moment", len, moment.now.len())?;
            check_length("the next values of a moment", len, moment.next.len())?;
        }
        let Some((_, mask)) = self.decay else { return Ok(()) };
        check_length("the mask of the weight decay", len, mask.len())
    }
}

compiled!(pub(crate) UpdateLoop: Update -> bool);

impl<T: Real> Work for Update<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S) -> bool {
        match (self.first.is_some(), self.second.is_some()) {
            (true, true) => self.each::<S, true, true>(simd),
            (true, false) => self.each::<S, true, false>(simd),
            (false, true) => self.each::<S, false, true>(simd),
            (false, false) => self.each::<S, false, false>(simd),
        }
    }
}

impl<T: Real> Update<'_, T> {
    /// All registers, with the moments that there are: else every register would ask anew.
    #[inline(always)]
    fn each<S: Simd, const FIRST: bool, const SECOND: bool>(&mut self, simd: S) -> bool {
        let Division { stride, whole, has_half } = self.division::<SECOND>(lanes::<S, T>());
        let mut registers = Registers::<S, T>::new::<FIRST, SECOND>(simd, self);
        let len = registers.next.len();
        if has_half {
            let mut row = 0;
            while row < len {
                // Of an odd number of rows, the last one is its own neighbour.
                let rows = [row, (row + stride).min(len - stride)];
                let place = Place::Halves(rows.map(|row| row + whole));
                registers.update::<FIRST, SECOND>(simd, place);
                row += 2 * stride;
            }
        }
        let mut row = 0;
        while row < len {
            for i in row..row + whole {
                registers.update::<FIRST, SECOND>(simd, Place::One(i));
            }
            row += stride;
        }
        let [a, b] = registers.checks;
        is_zero::<S, T>(T::sum(simd, a, b))
    }

    /// As few registers, of `lanes` numbers each, as the rows need.
    #[inline(always)]
    fn division<const SECOND: bool>(&self, lanes: usize) -> Division {
        let &Self { width, stride, .. } = self;
        let (len, rest) = (self.weights.len(), width % lanes);
        let has_half = SECOND && 0 < rest && rest <= lanes / 2;
        let whole = width / lanes + usize::from(rest > 0 && !has_half);
        let is_padded =
            || width > 0 && stride.is_multiple_of(T::LANES) && len.is_multiple_of(stride);
        if whole < stride / lanes && is_padded() {
            return Division { stride: stride / lanes, whole, has_half };
        }
        // Nothing can be left out: all registers are one row.
        let all = len / lanes;
        Division { stride: all.max(1), whole: all, has_half: false }
    }
}

/// How the rows of an update are divided into registers.
///
/// A row of 21 numbers that is padded to 32 takes one register of 16 lanes and half of another.
/// With a second moment, the halves of two rows are updated as one register, because square roots
/// and divisions take most of the time:
///
/// ```text
/// row 0   |a a a a a a a a|b b b b b . . .|        the first halves of b and d are one register
/// row 1   |c c c c c c c c|d d d d d . . .|
/// ```
struct Division {
    /// Registers from one row to the next.
    stride: usize,
    /// Registers of a row that are updated.
    whole: usize,
    /// Whether the first half of the register after them is updated, too.
    has_half: bool,
}

/// Where the numbers of a register are.
#[derive(Clone, Copy)]
enum Place {
    /// In one register of the slices.
    One(usize),
    /// In the first halves of two.
    Halves([usize; 2]),
}

impl Place {
    #[inline(always)]
    fn read<S: Simd, T: Real>(self, from: &[T::Vector<S>]) -> T::Vector<S> {
        match self {
            Self::One(i) => from[i],
            Self::Halves(places) => first_halves::<S, T>(from, places),
        }
    }

    #[inline(always)]
    fn write<S: Simd, T: Real>(self, to: &mut [T::Vector<S>], register: T::Vector<S>) {
        match self {
            Self::One(i) => to[i] = register,
            Self::Halves(places) => store_halves::<S, T>(to, places, register),
        }
    }
}

/// An update in registers.
struct Registers<'a, S: Simd, T: Real> {
    rate: T::Vector<S>,
    /// The limit on components, and their factor.
    most: Option<T>,
    factor: T::Vector<S>,
    weights: &'a [T::Vector<S>],
    gradient: &'a [T::Vector<S>],
    first: MomentInRegisters<'a, S, T>,
    second: MomentInRegisters<'a, S, T>,
    /// The smallest value whose square counts.
    least: T::Vector<S>,
    /// The root of the bias correction and its reciprocal, unless it is 1.
    root_bias: Option<[T::Vector<S>; 2]>,
    epsilon: T::Vector<S>,
    /// The weight decay, and its mask, empty where there is none.
    decay: Option<T::Vector<S>>,
    mask: &'a [T::Vector<S>],
    next: &'a mut [T::Vector<S>],
    /// 0 while all weights and squares are finite, then NaN.
    checks: [T::Vector<S>; 2],
}

impl<'a, S: Simd, T: Real> Registers<'a, S, T> {
    #[inline(always)]
    fn new<const FIRST: bool, const SECOND: bool>(simd: S, update: &'a mut Update<'_, T>) -> Self {
        let weights = T::vectors::<S>(update.weights);
        let len = weights.len();
        let (average, moment) = update.first.as_mut().map(|(a, moment)| (*a, moment)).unzip();
        let average = average.unwrap_or(Average::NONE);
        let first = MomentInRegisters::new::<FIRST>(simd, average, moment, len);
        let (scale, moment) =
            update.second.as_mut().map(|(scale, moment)| (*scale, moment)).unzip();
        let Scale { average, root_bias, epsilon } = scale.unwrap_or(Scale::NONE);
        let second = MomentInRegisters::new::<SECOND>(simd, average, moment, len);
        let (decay, mask) = update.decay.unzip();
        let is_corrected = root_bias != T::ONE;
        let root_bias = [root_bias, T::ONE / root_bias].map(|x| T::splat(simd, x));
        Self {
            rate: T::splat(simd, update.rate),
            most: update.limit.and_then(|limit| limit.value),
            factor: T::splat(simd, update.limit.map_or(T::ONE, |limit| limit.factor)),
            weights,
            gradient: &T::vectors::<S>(update.gradient)[..len],
            first,
            second,
            least: T::splat(simd, average.least()),
            root_bias: is_corrected.then_some(root_bias),
            epsilon: T::splat(simd, epsilon),
            decay: decay.map(|decay| T::splat(simd, decay)),
            mask: mask.map_or(&[], |mask| &T::vectors::<S>(mask)[..len]),
            next: &mut T::vectors_mut::<S>(update.next)[..len],
            checks: [T::splat(simd, T::ZERO); 2],
        }
    }

    /// The next weights and moments of one register.
    #[inline(always)]
    fn update<const FIRST: bool, const SECOND: bool>(&mut self, simd: S, place: Place) {
        let (zero, minus_one) = (T::splat(simd, T::ZERO), T::splat(simd, -T::ONE));
        let mut direction = place.read::<S, T>(self.gradient);
        if let Some(most) = self.most {
            direction = limited::<S, T>(simd, direction, most);
        }
        direction = T::product(simd, direction, self.factor);
        let mut divisor = None;
        if SECOND {
            let magnitude = T::magnitude(simd, direction);
            let square = T::where_greater(simd, self.least, magnitude, zero, direction);
            let new = T::product(simd, T::product(simd, self.second.rest, square), square);
            let v = self.second.average(simd, place, new);
            // Never negative.
            let v = T::where_greater(simd, T::splat(simd, T::SMALLEST), v, zero, v);
            place.write::<S, T>(self.second.next, v);
            self.checks[1] = T::fused(simd, v, zero, self.checks[1]);
            let mut root = T::root(simd, v);
            if let Some(root_bias) = self.root_bias {
                root = by_reciprocal::<S, T>(simd, root, root_bias);
            }
            divisor = Some(T::sum(simd, root, self.epsilon));
        }
        if FIRST {
            let new = T::product(simd, self.first.rest, direction);
            // If it is not finite, the weight is neither.
            direction = normal::<S, T>(simd, self.first.average(simd, place, new));
            place.write::<S, T>(self.first.next, direction);
        }
        if let Some(divisor) = divisor {
            direction = T::quotient(simd, direction, divisor);
        }
        let weight = place.read::<S, T>(self.weights);
        let mut before = weight;
        if let Some(decay) = self.decay {
            let decay = T::product(simd, decay, place.read::<S, T>(self.mask));
            before = T::fused(simd, T::product(simd, decay, weight), minus_one, weight);
        }
        let after = T::fused(simd, T::product(simd, self.rate, direction), minus_one, before);
        let cleared = normal::<S, T>(simd, after);
        let next = T::where_equal(simd, after, weight, weight, cleared);
        place.write::<S, T>(self.next, next);
        self.checks[0] = T::fused(simd, after, zero, self.checks[0]);
    }
}

/// A moment and its average in registers, empty where an update has no such moment.
struct MomentInRegisters<'a, S: Simd, T: Real> {
    decay: T::Vector<S>,
    rest: T::Vector<S>,
    now: &'a [T::Vector<S>],
    next: &'a mut [T::Vector<S>],
}

impl<'a, S: Simd, T: Real> MomentInRegisters<'a, S, T> {
    /// The `len` registers of a moment if it is `PRESENT`, else none.
    #[inline(always)]
    fn new<const PRESENT: bool>(
        simd: S,
        average: Average<T>,
        moment: Option<&'a mut Moment<'_, T>>,
        len: usize,
    ) -> Self {
        let (now, next) = moment.map_or((&[][..], &mut [][..]), |Moment { now, next }| {
            (T::vectors::<S>(now), T::vectors_mut::<S>(next))
        });
        let (decay, rest) = (T::splat(simd, average.decay), T::splat(simd, average.rest));
        // So that the length is known in the loop.
        let len = if PRESENT { len } else { 0 };
        Self { decay, rest, now: &now[..len], next: &mut next[..len] }
    }

    /// `decay * now + new`
    #[inline(always)]
    fn average(&self, simd: S, place: Place, new: T::Vector<S>) -> T::Vector<S> {
        T::sum(simd, T::product(simd, self.decay, place.read::<S, T>(self.now)), new)
    }
}

impl<T: Real> Limit<T> {
    /// One component, limited.
    pub fn apply(self, gradient: T) -> T {
        within(gradient, self.value) * self.factor
    }
}

/// A register of components, none of them beyond `most`.
#[inline(always)]
fn limited<S: Simd, T: Real>(simd: S, gradient: T::Vector<S>, most: T) -> T::Vector<S> {
    let (high, low) = (T::splat(simd, most), T::splat(simd, -most));
    let within = T::where_greater(simd, gradient, high, high, gradient);
    T::where_greater(simd, low, within, low, within)
}

impl<T: Real> Average<T> {
    /// That of a moment which an update does not have.
    const NONE: Self = Self { decay: T::ZERO, rest: T::ZERO };

    /// The smallest value whose square counts: with it, `rest` times the square is not subnormal.
    #[inline(always)]
    fn least(self) -> T {
        (T::SMALLEST / self.rest).sqrt()
    }
}

impl<T: Real> Scale<T> {
    /// That of an update without a second moment: it divides nothing.
    const NONE: Self = Self { average: Average::NONE, root_bias: T::ONE, epsilon: T::ZERO };
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use super::*;
    use crate::simd::descend;
    use crate::simd::tested::sets;

    const LEN: usize = 48;

    fn numbers<T: Real>(first: usize) -> Vec<T> {
        (first..first + LEN).map(|i| T::from_f64(libm::sin(i as f64 * 1.7) * 3.0)).collect()
    }

    fn squares<T: Real>(first: usize) -> Vec<T> {
        numbers::<T>(first).iter().map(|&value| value * value).collect()
    }

    compiled!(LanesLoop: CountLanes -> usize);

    /// How many numbers a register has.
    struct CountLanes<'a, T>(PhantomData<&'a T>);

    impl<T: Real> Work for CountLanes<'_, T> {
        type Output = usize;

        #[inline(always)]
        fn run<S: Simd>(&mut self, _: S) -> usize {
            lanes::<S, T>()
        }
    }

    /// Which parts an update has, one bit each.
    #[derive(Debug, Clone, Copy)]
    struct Parts(u8);

    const VALUE: u8 = 1;
    const FACTOR: u8 = 2;
    const FIRST: u8 = 4;
    const SECOND: u8 = 8;
    const DECAY: u8 = 16;

    impl Parts {
        fn all() -> impl Iterator<Item = Self> {
            (0..32).map(Self)
        }

        fn has(self, part: u8) -> bool {
            self.0 & part != 0
        }

        fn limit<T: Real>(self) -> Option<Limit<T>> {
            let factor = T::from_f64(if self.has(FACTOR) { 0.3 } else { 1.0 });
            let value = self.has(VALUE).then(|| T::from_f64(1.1));
            self.has(VALUE | FACTOR).then_some(Limit { value, factor })
        }
    }

    /// A gradient, and the moments before the update.
    #[derive(Clone)]
    struct Start<T> {
        gradient: Vec<T>,
        first: Vec<T>,
        second: Vec<T>,
    }

    impl<T: Real> Start<T> {
        fn new() -> Self {
            Self { gradient: numbers(100), first: numbers(200), second: squares(300) }
        }

        /// With these factors.
        fn scaled(self, gradient: T, moments: T) -> Self {
            let by = |values: Vec<T>, factor| values.into_iter().map(move |value| value * factor);
            Self {
                gradient: by(self.gradient, gradient).collect(),
                first: by(self.first, moments).collect(),
                second: by(self.second, moments).collect(),
            }
        }
    }

    fn average<T: Real>(decay: f64) -> Average<T> {
        Average { decay: T::from_f64(decay), rest: T::from_f64(1.0 - decay) }
    }

    fn scale<T: Real>() -> Scale<T> {
        Scale { average: average(0.99), root_bias: T::from_f64(0.2), epsilon: T::from_f64(1e-3) }
    }

    /// The table in the documentation of [`Update`], in a loop: the next moments and weights.
    fn in_loops<T: Real>(parts: Parts, rate: T, start: &Start<T>) -> [Vec<T>; 3] {
        let mask = mask::<T>();
        let Start { gradient: gradients, first, second } = start.clone();
        let (mut first, mut second, mut next) = (first, second, numbers::<T>(0));
        for (i, &gradient) in gradients.iter().enumerate() {
            let mut g = gradient;
            if let Some(limit) = parts.limit() {
                g = limit.apply(g);
            }
            let (average, scale) = (average::<T>(0.9), scale::<T>());
            let average_of_squares = scale.average;
            let before = g;
            if parts.has(SECOND) {
                let Average { decay, rest } = average_of_squares;
                let is_least = before.abs() < (T::SMALLEST / rest).sqrt();
                let q = if is_least { T::ZERO } else { before };
                second[i] = without_subnormal(decay * second[i] + rest * q * q);
            }
            if parts.has(FIRST) {
                first[i] = without_subnormal(average.decay * first[i] + average.rest * before);
                g = first[i];
            }
            if parts.has(SECOND) {
                g = g / (second[i].sqrt() / scale.root_bias + scale.epsilon);
            }
            let w = next[i];
            let decayed = if parts.has(DECAY) { w - T::from_f64(0.01) * mask[i] * w } else { w };
            let after = decayed - rate * g;
            next[i] = if after == w { w } else { without_subnormal(after) };
        }
        [first, second, next]
    }

    fn without_subnormal<T: Real>(value: T) -> T {
        if value.abs() < T::SMALLEST { value * T::ZERO } else { value }
    }

    fn mask<T: Real>() -> Vec<T> {
        (0..LEN).map(|i| if i % 3 == 0 { T::ZERO } else { T::ONE }).collect()
    }

    /// The same by [`Update::apply`], and whether all is finite.
    fn in_registers<T: Real>(
        isa: Isa,
        parts: Parts,
        rate: T,
        start: &Start<T>,
    ) -> ([Vec<T>; 3], bool) {
        let (weights, mask) = (numbers::<T>(0), mask::<T>());
        let Start { gradient, first, second } = start;
        let (mut next_first, mut next_second) = (first.clone(), second.clone());
        let mut next = vec![T::ZERO; LEN];
        let moment = Moment { now: first, next: &mut next_first };
        let moment_of_squares = Moment { now: second, next: &mut next_second };
        let update = Update {
            width: LEN,
            stride: LEN,
            rate,
            weights: &weights,
            gradient,
            limit: parts.limit(),
            first: parts.has(FIRST).then_some((average(0.9), moment)),
            second: parts.has(SECOND).then_some((scale(), moment_of_squares)),
            decay: parts.has(DECAY).then_some((T::from_f64(0.01), mask.as_slice())),
            next: &mut next,
        };
        let finite = update.apply(isa).unwrap();
        ([next_first, next_second, next], finite)
    }

    fn bytes<T: Real>(values: &[T]) -> &[u8] {
        bytemuck::cast_slice(values)
    }

    fn bits<T: Real>(values: &[Vec<T>; 3]) -> Vec<u8> {
        values.iter().flat_map(|values| bytes(values).to_vec()).collect()
    }

    fn every_set_follows_the_table<T: Real>() {
        let (rate, start) = (T::from_f64(0.1), Start::<T>::new());
        for isa in sets() {
            for parts in Parts::all() {
                let (got, finite) = in_registers(isa, parts, rate, &start);
                let expected = in_loops(parts, rate, &start);
                assert!(finite, "{parts:?} on {isa}");
                assert_eq!(bits(&got), bits(&expected), "{parts:?} on {isa}");
                // The comparison notices a rate that is off by a part in a thousand.
                let other = in_loops(parts, rate * T::from_f64(1.001), &start);
                assert_ne!(bits(&got), bits(&other), "{parts:?} on {isa}");
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_table() {
        every_set_follows_the_table::<f32>();
        every_set_follows_the_table::<f64>();
    }

    /// Moments at the end of the range, some on each side: no subnormal number remains, and the
    /// loops agree on which numbers become 0.
    fn what_vanishes_becomes_zero<T: Real>() {
        let rate = T::from_f64(0.1);
        let tiny = T::SMALLEST;
        // With the second gradient, the squares are there.
        for gradient in [tiny, tiny.sqrt() * T::from_f64(4.0)] {
            let start = Start::<T>::new().scaled(gradient, tiny * T::from_f64(0.5));
            for isa in sets() {
                for parts in Parts::all() {
                    let (got, finite) = in_registers(isa, parts, rate, &start);
                    assert!(finite, "{parts:?} on {isa}");
                    assert_eq!(
                        bits(&got),
                        bits(&in_loops(parts, rate, &start)),
                        "{parts:?}, {isa}"
                    );
                    for (part, moments) in [FIRST, SECOND].into_iter().zip(&got) {
                        let count = |is: fn(T) -> bool| moments.iter().filter(|&&v| is(v)).count();
                        let subnormal = count(|v| v != T::ZERO && v.abs() < T::SMALLEST);
                        let zero = count(|v| v == T::ZERO);
                        assert!(!parts.has(part) || subnormal == 0, "{parts:?} on {isa}");
                        let all = zero == LEN || zero == 0;
                        assert!(!parts.has(part) || part == FIRST || !all, "{zero} on {isa}");
                    }
                }
            }
        }
    }

    /// An update with nothing but a rate.
    fn bare<'a>(weights: &'a [f32], gradient: &'a [f32], next: &'a mut [f32]) -> Update<'a, f32> {
        let (limit, first, second, decay) = (None, None, None, None);
        let (width, stride) = (weights.len(), weights.len());
        Update { width, stride, rate: 0.1, weights, gradient, limit, first, second, decay, next }
    }

    /// A frozen weight may be any number, and never changes.
    #[test]
    fn a_weight_without_a_gradient_keeps_its_bits() {
        let bits: Vec<u32> = (0..).step_by(0x2000).take(LEN).collect();
        let weights: Vec<f32> = bits.iter().copied().map(f32::from_bits).collect();
        for isa in sets() {
            let gradient = [0.0; LEN];
            let (mut plain, mut other) = ([1.0; LEN], [1.0; LEN]);
            assert_eq!(descend(isa, 0.1, &weights, &gradient, &mut plain), Ok(true));
            let decay = Some((0.1, [0.0; LEN].as_slice()));
            let update = Update { decay, ..bare(&weights, &gradient, &mut other) };
            assert_eq!(update.apply(isa), Ok(true));
            for next in [plain, other] {
                assert_eq!(next.map(f32::to_bits).to_vec(), bits);
            }
        }
    }

    #[test]
    fn moments_that_vanish_become_zero() {
        what_vanishes_becomes_zero::<f32>();
        what_vanishes_becomes_zero::<f64>();
    }

    #[test]
    fn what_is_not_finite_is_noticed_with_any_parts() {
        for isa in sets() {
            for parts in Parts::all() {
                for bad in [f32::NAN, f32::INFINITY] {
                    let mut start = Start::<f32>::new();
                    start.gradient[LEN - 1] = bad;
                    let (_, finite) = in_registers(isa, parts, 0.1, &start);
                    // A limit makes a finite number of an infinite one.
                    let limited = parts.has(VALUE) && bad.is_infinite();
                    assert_eq!(finite, limited, "{bad} with {parts:?} on {isa}");
                }
            }
        }
    }

    #[test]
    fn plain_descent_is_an_update_with_nothing_else() {
        let plain = Parts(0);
        for isa in sets() {
            let (start, mut next) = (Start::<f32>::new(), vec![0.0; LEN]);
            let weights = numbers::<f32>(0);
            let ([_, _, expected], _) = in_registers(isa, plain, 0.1, &start);
            let mut gradient = start.gradient;
            assert_eq!(descend(isa, 0.1, &weights, &gradient, &mut next), Ok(true));
            assert_eq!(next, expected, "{isa}");
            gradient[LEN - 1] = f32::INFINITY;
            assert_eq!(descend(isa, 0.1, &weights, &gradient, &mut next), Ok(false), "{isa}");
        }
    }

    /// Updates `count` rows of `width` numbers that are `stride` apart, without gaps or with, which
    /// are 0 except in the gradient: the numbers of the rows, and those of the gaps.
    fn rows_updated<T: Real>(
        isa: Isa,
        (count, width, stride): (usize, usize, usize),
        (has_gaps, has_second): (bool, bool),
    ) -> [Vec<T>; 2] {
        let len = count * stride;
        let spread = |first: usize, gap: T| -> Vec<T> {
            let number = |i: usize| T::from_f64(libm::sin(i as f64 * 1.7).abs() + 0.1);
            let place = |i: usize| match i % stride {
                column if column < width => number(first + i / stride * width + column),
                _ => gap,
            };
            (0..len).map(place).collect()
        };
        let (weights, gradient) = (spread(0, T::ZERO), spread(5000, T::ONE));
        let (first, second) = (spread(6000, T::ZERO), spread(7000, T::ZERO));
        let mut next = [(); 3].map(|()| vec![T::ZERO; len]);
        let [next_weights, next_first, next_second] = &mut next;
        let update = Update {
            width: if has_gaps { width } else { len },
            stride: if has_gaps { stride } else { len },
            rate: T::from_f64(0.1),
            weights: &weights,
            gradient: &gradient,
            limit: Some(Limit { value: None, factor: T::from_f64(0.3) }),
            first: Some((average(0.9), Moment { now: &first, next: next_first })),
            second: has_second.then_some((scale(), Moment { now: &second, next: next_second })),
            decay: Some((T::from_f64(0.01), &weights)),
            next: next_weights,
        };
        assert!(update.apply(isa).unwrap());
        let is_in_row = |i: usize| i % stride < width;
        [true, false].map(|inside| {
            let numbers = next.iter().flat_map(|values| values.iter().copied().enumerate());
            numbers.filter(|&(i, _)| is_in_row(i) == inside).map(|(_, value)| value).collect()
        })
    }

    /// Rows with gaps have the bits of rows without, and of the gaps no more is updated than the
    /// lanes of the set make necessary.
    fn gaps_are_left_out<T: Real>() {
        for isa in sets() {
            for (width, stride) in (1..=2 * T::LANES).map(|w| (w, w.next_multiple_of(T::LANES))) {
                for (count, has_second) in [1, 2, 5].map(|n| [(n, true), (n, false)]).concat() {
                    let shape = (count, width, stride);
                    let [expected, all] = rows_updated::<T>(isa, shape, (false, has_second));
                    let [numbers, gaps] = rows_updated::<T>(isa, shape, (true, has_second));
                    assert_eq!(bytes(&numbers), bytes(&expected), "{shape:?} on {isa}");
                    let lanes = T::run::<LanesLoop>(isa, CountLanes(PhantomData));
                    let half = (lanes / 2).max(1);
                    let updated = match width % lanes {
                        rest if has_second && 0 < rest && rest <= half => {
                            width.next_multiple_of(half)
                        }
                        _ => width.next_multiple_of(lanes),
                    };
                    // Of weights, first and second moments.
                    let changing = if has_second { 3 } else { 2 };
                    let count = changing * count * (updated - width);
                    let changed = |gaps: &[T]| gaps.iter().filter(|&&gap| gap != T::ZERO).count();
                    assert_eq!(changed(&gaps), count, "{shape:?} on {isa}");
                    assert_eq!(changed(&all), all.len() / 3 * changing);
                }
            }
        }
    }

    #[test]
    fn gaps_between_rows_are_left_out() {
        gaps_are_left_out::<f32>();
        gaps_are_left_out::<f64>();
    }

    /// Rows that are none are one.
    #[test]
    fn odd_rows_are_updated_whole() {
        let (weights, gradient) = (numbers::<f32>(0), numbers::<f32>(100));
        for isa in sets() {
            let mut expected = vec![0.0; LEN];
            assert_eq!(bare(&weights, &gradient, &mut expected).apply(isa), Ok(true));
            for (width, stride) in
                [(0, 0), (0, 16), (1, 0), (5, 5), (3, 20), (16, 32), (100, 16), (1, 1 << 40)]
            {
                let mut next = vec![0.0; LEN];
                let update = Update { width, stride, ..bare(&weights, &gradient, &mut next) };
                assert_eq!(update.apply(isa), Ok(true));
                assert_eq!(next, expected, "{width}, {stride} on {isa}");
            }
        }
    }

    #[test]
    fn slices_that_do_not_fit_are_refused() {
        let (weights, gradient, mut next) = ([0.0f32; 16], [0.0; 16], [0.0; 15]);
        let refused = bare(&weights, &gradient, &mut next).apply(Isa::scalar());
        assert!(matches!(refused, Err(Error::Length { expected: 16, got: 15, .. })));
    }
}
