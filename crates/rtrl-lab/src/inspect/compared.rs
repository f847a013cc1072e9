//! The comparison of an extracted machine with its task's own, in words.

use super::watched::Extracted;
use super::{Comparison, Difference, Verdict};

impl Extracted {
    /// How many states are enough, and whether the machine is that of the task or where it differs:
    /// sentences without full stops. `outputs` are the names of the targets.
    pub fn in_words(&self, outputs: &[&str]) -> Vec<String> {
        let states = self.reduced.len();
        let enough = if self.smallest {
            format!("states that the observed steps need: {states}")
        } else {
            format!(
                "states that explain the observed steps: {states}; the search for fewer was stopped"
            )
        };
        let Some(comparison) = &self.comparison else {
            let reason = self.no_comparison.as_deref().unwrap_or_default();
            return vec![enough, format!("not compared with the task's own machine: {reason}")];
        };
        let states = format!("{enough}; the task's own machine has {}", comparison.task_states);
        let difference = comparison.difference.as_ref();
        let difference = difference.map(|difference| told(difference, self, outputs));
        [states, verdict(comparison)].into_iter().chain(difference).collect()
    }
}

/// Bits as digits.
pub fn bits(outputs: &[bool]) -> String {
    outputs.iter().map(|&bit| if bit { '1' } else { '0' }).collect()
}

fn verdict(comparison: &Comparison) -> String {
    let Comparison { taken, watched, .. } = comparison;
    let sequences = "no sequence of symbols that the task can produce distinguishes them";
    let share = format!("{watched} of the {taken} transitions that these take were observed");
    match comparison.verdict {
        Verdict::Equivalent => format!("equivalent to the task's machine: {sequences}; {share}"),
        Verdict::EquivalentWhereWatched => format!(
            "equivalent to the task's machine where observed: {sequences} otherwise; {share}"
        ),
        Verdict::Differs => "differs from the task's machine".to_owned(),
    }
}

/// The sequence, and the outputs of each after it.
fn told(difference: &Difference, machine: &Extracted, outputs: &[&str]) -> String {
    let Difference { symbols, task, machine: given, network } = difference;
    let name = |&symbol: &usize| machine.symbols[symbol].as_str();
    let symbols: Vec<&str> = symbols.iter().map(name).collect();
    let between = if symbols.iter().any(|name| name.contains(' ')) { ", " } else { " " };
    let asked: String = task.iter().map(|bit| bit.map_or("-".to_owned(), |b| bits(&[b]))).collect();
    let asked_for: Vec<bool> = task.iter().map(|bit| *bit == Some(true)).collect();
    format!(
        "after all earlier symbols and then  {}  the task expects {asked}{}, the machine gives {}{}, the network {}{}",
        symbols.join(between),
        named(&asked_for, outputs),
        bits(given),
        named(given, outputs),
        bits(network),
        named(network, outputs),
    )
}

/// The names of the outputs that are 1, where there are several outputs.
fn named(given: &[bool], outputs: &[&str]) -> String {
    if outputs.len() < 2 {
        return String::new();
    }
    let ones: Vec<&str> =
        outputs.iter().zip(given).filter(|(_, bit)| **bit).map(|(name, _)| *name).collect();
    format!(" ({})", if ones.is_empty() { "none".to_owned() } else { ones.join(", ") })
}
