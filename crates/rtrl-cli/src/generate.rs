//! `rtrl generate`: a saved model runs on its own forecasts.

use rtrl_lab::forecast::Horizon;
use rtrl_lab::prequential::SeriesForecaster;
use rtrl_model::{Real, Threads};

use crate::args::GenerateArgs;
use crate::error::Error;
use crate::model::Model;
use crate::stream::checkpoint::Manner;
use crate::stream::predictions::{Lines, Predictions};

pub(crate) fn run(args: &GenerateArgs) -> Result<(), Error> {
    let model = Model::read(&args.model)?;
    let manner = model.manner(Threads::Auto);
    let described = &model.described;
    let earlier = described.lags.iter().map(|lag| format!("all {lag} rows before"));
    let inputs: Vec<String> = described.inputs.iter().cloned().chain(earlier).collect();
    if manner.horizon == Horizon::SameRow || inputs != [described.target.as_str()] {
        let path = args.model.clone();
        return Err(Error::NeedsInputs { path, inputs, target: described.target.clone() });
    }
    match model.precision() {
        "f32" => generate::<f32>(args, &model, manner),
        _ => generate::<f64>(args, &model, manner),
    }
}

/// Takes each forecast for the value of the next row.
fn generate<T: Real>(args: &GenerateArgs, model: &Model, manner: Manner) -> Result<(), Error> {
    let mut forecaster = model.forecaster::<T>(false, manner)?;
    let layout =
        Lines { format: args.format, has_time: false, columns: &["prediction"], live: false };
    let mut rows = Predictions::to_output(layout)?;
    for row in 1..=args.steps {
        let value = forecaster.forecast();
        forecaster.observe(&[value], Some(value))?;
        rows.take(row, "", &[Some(value)])?;
    }
    rows.flush()
}
