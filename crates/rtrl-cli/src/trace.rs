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
    let case = Case::from_json(&text).map_err(|error| rtrl_model::Error::Format {
        what: args.case.display().to_string(),
        reason: error.to_string(),
    })?;
    let trace = match args.precision {
        Precision::F32 => trace::<f32>(&case, args)?,
        Precision::F64 => trace::<f64>(&case, args)?,
    };
    let failed = |error: serde_json::Error| rtrl_model::Error::Format {
        what: "trace".to_owned(),
        reason: error.to_string(),
    };
    let text = serde_json::to_vec(&trace).map_err(failed)?;
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
