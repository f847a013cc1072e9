//! What a stream forecasts, and how its lines of predictions show it.

use rtrl_lab::labels::{label, most_probable};
use rtrl_model::Real;

use crate::input::{Row, Series};
use crate::stream::forecasters::Forecasters;

/// What a stream forecasts: numbers, or one of several classes.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The names of the targets.
    pub(crate) targets: Vec<String>,
    /// The classes of the only target; none if it is a number.
    pub(crate) classes: Vec<String>,
}

/// A value of a line of predictions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Number(Option<f64>),
    Text(Option<&'a str>),
}

impl Subject {
    /// The subject of a series.
    pub(crate) fn of(series: &Series) -> Self {
        let (targets, classes) = (series.targets().to_vec(), series.target_classes().to_vec());
        Self { targets, classes }
    }

    /// Whether it is a class.
    pub(crate) fn is_class(&self) -> bool {
        !self.classes.is_empty()
    }

    /// All targets in words.
    pub(crate) fn name(&self) -> String {
        self.targets.join(", ")
    }

    /// The names of the values of a row; those of the next row only where it is forecast.
    pub(crate) fn columns(&self, has_next: bool) -> Vec<String> {
        let next = has_next.then_some("next");
        if self.is_class() {
            let names = ["target", "prediction"].map(str::to_owned).into_iter();
            return names.chain(self.probabilities()).chain(next.map(str::to_owned)).collect();
        }
        let names = ["target", "prediction", "low", "high"];
        let of_target = |target| names.into_iter().chain(next).map(move |name| (target, name));
        let columns = self.targets.iter().flat_map(of_target);
        columns.map(|(target, name)| self.of_target(target, name)).collect()
    }

    /// The names of the values of a row that is generated.
    pub(crate) fn generated(&self) -> Vec<String> {
        if self.is_class() {
            return std::iter::once("prediction".to_owned()).chain(self.probabilities()).collect();
        }
        self.targets.iter().map(|target| self.of_target(target, "prediction")).collect()
    }

    /// The name of a value of a target, which precedes it where there are several.
    fn of_target(&self, target: &str, name: &str) -> String {
        if self.targets.len() == 1 { name.to_owned() } else { format!("{target}.{name}") }
    }

    fn probabilities(&self) -> impl Iterator<Item = String> {
        self.classes.iter().map(|class| format!("p.{class}"))
    }

    /// The values of a row that has been taken, in the order of [`Subject::columns`].
    pub(crate) fn values<'a, T: Real>(
        &'a self,
        row: &Row,
        forecasters: &mut Forecasters<T>,
    ) -> Vec<Value<'a>> {
        let mut values = Vec::with_capacity(5 * self.targets.len() + self.classes.len());
        if self.is_class() {
            let forecasts = forecasters.scores.forecasts();
            values.push(Value::Text(self.label(&row.targets)));
            values.push(Value::Text(self.predicted(forecasts)));
            values.extend(forecasts.iter().copied().map(Value::Number));
            if let Some(next) = forecasters.next(row.group) {
                values.push(Value::Text(Some(&self.classes[most_probable(next)])));
            }
            return values;
        }
        for (j, &target) in row.targets.iter().enumerate() {
            let [low, high] = forecasters.intervals[j].map_or([None; 2], |i| i.map(Some));
            let forecast = forecasters.scores.forecasts().get(j).copied().flatten();
            values.extend([target, forecast, low, high].map(Value::Number));
            let next = forecasters.next(row.group).map(|next| next[j]);
            values.extend(next.map(|next| Value::Number(Some(next))));
        }
        values
    }

    /// The class of a row; `None` if it is missing.
    pub(crate) fn label(&self, targets: &[Option<f64>]) -> Option<&str> {
        label(targets).map(|class| self.classes[class].as_str())
    }

    /// The most probable class; `None` without a forecast.
    pub(crate) fn predicted(&self, forecasts: &[Option<f64>]) -> Option<&str> {
        let is_forecast = forecasts.iter().all(Option::is_some);
        is_forecast.then(|| self.classes.get(most_probable(forecasts)).map(String::as_str))?
    }
}
