//! What is said about an extracted machine and the one that its task asks for.

use rtrl_lab::inspect::{Comparison, Difference, Verdict};

use super::summary::bits;
use super::watched::Extracted;

/// Sentences without full stops. `outputs` are the names of the targets.
pub(crate) fn compared(machine: &Extracted, outputs: &[&str]) -> Vec<String> {
    let states = machine.reduced.len();
    let left = if machine.smallest {
        format!("{states} state(s) are enough for all that was watched")
    } else {
        format!("{states} state(s) do all that was watched; the search for fewer was too long")
    };
    match (&machine.comparison, &machine.no_comparison) {
        (Some(comparison), _) => {
            let states = format!("{left}; the task's own machine has {}", comparison.task_states);
            let difference = comparison.difference.as_ref();
            let difference = difference.map(|difference| told(difference, machine, outputs));
            [states, verdict(comparison)].into_iter().chain(difference).collect()
        }
        (None, reason) => {
            let reason = reason.as_deref().unwrap_or_default();
            vec![left, format!("not compared with the task's own machine: {reason}")]
        }
    }
}

fn verdict(comparison: &Comparison) -> String {
    let Comparison { taken, watched, .. } = comparison;
    let sequences = "no sequence of symbols that the task can give tells them apart";
    let share = format!("{watched} of the {taken} transitions that these take were watched");
    match comparison.verdict {
        Verdict::Equivalent => format!("equivalent to the task's machine: {sequences}; {share}"),
        Verdict::EquivalentWhereWatched => format!(
            "equivalent to the task's machine where it was watched: {sequences} otherwise; {share}"
        ),
        Verdict::Differs => "differs from the task's machine".to_owned(),
    }
}

/// The sequence, and what each says after it.
fn told(difference: &Difference, machine: &Extracted, outputs: &[&str]) -> String {
    let Difference { symbols, task, machine: given, network } = difference;
    let name = |&symbol: &usize| machine.symbols[symbol].as_str();
    let symbols: Vec<&str> = symbols.iter().map(name).collect();
    let between = if symbols.iter().any(|name| name.contains(' ')) { ", " } else { " " };
    let asked: String = task.iter().map(|bit| bit.map_or("-".to_owned(), |b| bits(&[b]))).collect();
    let asked_for: Vec<bool> = task.iter().map(|bit| *bit == Some(true)).collect();
    format!(
        "after what came before and then  {}  the task asks for {asked}{}, the machine gives {}{}, the network {}{}",
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
