//! `rtrl generate`: a saved model runs on its own forecasts.

use rtrl_lab::forecast::Horizon;
use rtrl_lab::labels::most_probable;
use rtrl_lab::prequential::{SeriesForecaster, SeriesRow};
use rtrl_model::{Real, Threads};

use crate::args::GenerateArgs;
use crate::error::Error;
use crate::input::listed;
use crate::model::Model;
use crate::stream::checkpoint::Manner;
use crate::stream::predictions::{Lines, Predictions};
use crate::stream::subject::{Subject, Value};

pub(crate) fn run(args: &GenerateArgs) -> Result<(), Error> {
    let model = Model::read(&args.model)?;
    let manner = model.manner(Threads::Auto);
    let described = &model.described;
    let earlier = described.lags.iter().map(|lag| format!("all {lag} rows before"));
    let inputs: Vec<String> = described.inputs.iter().cloned().chain(earlier).collect();
    let place = |input| described.targets.iter().position(|target| target == input);
    let places: Option<Vec<usize>> = inputs.iter().map(place).collect();
    let places = places.filter(|_| manner.horizon == Horizon::NextRow).ok_or_else(|| {
        let (path, targets) = (args.model.clone(), described.targets.clone());
        Error::NeedsInputs { path, inputs: inputs.clone(), targets }
    })?;
    match model.precision() {
        "f32" => generate::<f32>(args, &model, manner, &places),
        _ => generate::<f64>(args, &model, manner, &places),
    }
}

/// The number of the group to continue.
fn group(args: &GenerateArgs, model: &Model) -> Result<usize, Error> {
    let names = model.described.group_names();
    let number = match &args.group {
        None if model.described.group.is_none() => Some(0),
        None => None,
        Some(group) => names.iter().position(|name| name == group),
    };
    number.ok_or_else(|| Error::Group { got: args.group.clone(), known: listed(&names) })
}

/// Takes each forecast for the values of the next row: its targets, those at `places` as its
/// inputs. Of classes it is the most probable one.
fn generate<T: Real>(
    args: &GenerateArgs,
    model: &Model,
    manner: Manner,
    places: &[usize],
) -> Result<(), Error> {
    let group = group(args, model)?;
    let mut forecaster = model.forecaster::<T>(false, manner)?;
    let described = &model.described;
    let classes = described.target_classes().to_vec();
    let subject = Subject { targets: described.targets.clone(), classes };
    let columns = subject.generated();
    let layout = Lines { format: args.format, has: [false; 2], columns, live: false };
    let mut rows = Predictions::to_output(layout)?;
    for row in 1..=args.steps {
        let mut values = forecaster.forecast(group)?.to_vec();
        let mut line: Vec<Value<'_>> = values.iter().map(|&v| Value::Number(Some(v))).collect();
        let mut inputs: Vec<f64> = places.iter().map(|&place| values[place]).collect();
        if subject.is_class() {
            let class = most_probable(&values);
            line.insert(0, Value::Text(Some(&subject.classes[class])));
            values.fill(0.0);
            values[class] = 1.0;
            inputs.clone_from(&values);
        }
        let targets: Vec<Option<f64>> = values.into_iter().map(Some).collect();
        let (inputs, targets) = (&inputs, &targets);
        forecaster.observe(SeriesRow { group, inputs, targets }, &mut Vec::new())?;
        rows.take(row, [""; 2], &line)?;
    }
    rows.flush()
}
