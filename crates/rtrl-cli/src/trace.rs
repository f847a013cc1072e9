//! `rtrl trace`: runs a conformance case.

use rtrl_model::store::case::{Case, Trace};
use rtrl_model::{Isa, Real, store};

use crate::args::{Precision, TraceArgs};
use crate::error::Error;
use crate::outputs;

pub(crate) fn run(args: &TraceArgs) -> Result<(), Error> {
    let unreadable = |source| Error::File { path: args.case.clone(), source };
    let text = std::fs::read_to_string(&args.case).map_err(unreadable)?;
    outputs::check(Some(("the case", &args.case)), &[("--out", Some(&args.out))])?;
    let named = Error::format(args.case.display().to_string());
    let case = Case::from_json(&text).map_err(named)?;
    let trace = match args.precision {
        Precision::F32 => trace::<f32>(&case, args)?,
        Precision::F64 => trace::<f64>(&case, args)?,
    };
    let text = serde_json::to_vec(&trace).map_err(Error::format("trace"))?;
    store::replace(&args.out, &text)?;
    outputs::confirm("trace", &args.out);
    Ok(())
}

fn trace<T: Real>(case: &Case, args: &TraceArgs) -> Result<Trace, Error> {
    let learner = case
        .learner::<T>(Isa::from_env().map_err(rtrl_model::Error::from)?)?
        .engine(args.engine.choice()?);
    Ok(case.run(learner)?)
}
