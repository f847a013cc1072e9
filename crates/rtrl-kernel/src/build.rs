//! Building engines from their specs.

use crate::blocks::Blocks;
use crate::cost;
use crate::engine::Engine;
use crate::error::Error;
use crate::layout::Layout;
use crate::simd::{Compiled, Isa, Real};
use crate::single::single;
use crate::spec::Spec;
use crate::threads::{Threads, Workers};

/// The engine that `spec` describes, p = 0, for the weights that `learns` marks, row by row.
///
/// Unlike the constructors of the engines, this compiles nothing in the calling crate.
///
/// # Errors
/// [`Error::Unsupported`] for a custom engine, and the errors of the constructors.
pub fn build<T: Real>(
    spec: &Spec,
    layout: &Layout,
    learns: &[bool],
    isa: Isa,
    threads: Threads,
) -> Result<Box<dyn Engine<T>>, Error> {
    T::run::<Build>(isa, Order { spec, layout, learns, threads })
}

/// The engine to build.
pub(crate) struct Order<'a> {
    spec: &'a Spec,
    layout: &'a Layout,
    learns: &'a [bool],
    threads: Threads,
}

impl Order<'_> {
    fn fill<T: Real>(self, isa: Isa) -> Result<Box<dyn Engine<T>>, Error> {
        let Self { spec, layout, learns, threads } = self;
        if let Spec::Blocks(blocks) = spec {
            return Ok(Box::new(Blocks::new(layout, learns, blocks, isa, threads)?));
        }
        let weights = learns.iter().filter(|&&learns| learns).count();
        let flops = cost::step(spec, layout.states(), weights);
        let are_idle = *spec == Spec::Diagonal && threads.count(flops) > 1;
        let threads = if are_idle { Threads::SERIAL } else { threads };
        let engine = single(spec, layout, learns, isa, Workers::new(threads, flops)?)?;
        engine.ok_or(Error::Unsupported { what: "being built from its spec" })
    }
}

pub(crate) struct Build;

impl Compiled for Build {
    type Work<'a, T: Real> = Order<'a>;
    type Output<T: Real> = Result<Box<dyn Engine<T>>, Error>;

    #[inline(never)]
    fn single(isa: Isa, order: Order<'_>) -> Result<Box<dyn Engine<f32>>, Error> {
        order.fill(isa)
    }

    #[inline(never)]
    fn double(isa: Isa, order: Order<'_>) -> Result<Box<dyn Engine<f64>>, Error> {
        order.fill(isa)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Pace;

    #[test]
    fn an_engine_is_what_its_spec_says() {
        let layout = Layout::simple(2, 3).unwrap();
        let build =
            |spec: &Spec| build::<f32>(spec, &layout, &[true; 6], Isa::best(), Threads::SERIAL);
        for spec in [Spec::Eager, Spec::Deferred { window: 3, pace: Pace::Even }] {
            assert_eq!(build(&spec).unwrap().spec(), spec);
        }
        let custom = Spec::Custom { name: "mine".to_owned(), exact: true };
        assert!(matches!(build(&custom), Err(Error::Unsupported { .. })));
        assert!(matches!(
            build(&Spec::Deferred { window: 0, pace: Pace::Even }),
            Err(Error::Zero { .. })
        ));
    }
}
