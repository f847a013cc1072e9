//! Outputs against targets, step by step, in columns as wide as those of a raster.

use maud::{Markup, html};

use crate::pictures::{MARGIN, STEP, place};

/// Height of a strip with the gap below it, and of the range from 0 to 1.
const STRIP: f64 = 50.0;
const TALL: f64 = 40.0;

pub(crate) const STYLE: &str = "
.strips { display: block; width: 100%; min-width: 40rem; height: auto; }
.strips .target { fill: none; stroke: var(--soft); stroke-width: 3; stroke-opacity: .6; }
.strips .output { fill: none; stroke: #2578eb; stroke-width: 1.2; } .strips circle { fill: #2578eb; }
";

/// An output over some steps.
pub(crate) struct Strip<'r> {
    pub(crate) name: &'r str,
    pub(crate) outputs: Vec<f64>,
    /// Empty where there is none at any step.
    pub(crate) targets: Vec<Option<f64>>,
}

/// A strip for each output: the target as steps where there is one, the output as a line. The
/// bottom of a strip is 0, its top 1, the ends of a logistic unit.
pub(crate) fn strips(strips: &[Strip<'_>]) -> Markup {
    let steps = strips.first().map_or(0, |strip| strip.outputs.len());
    let width = STEP * steps;
    let view = format!("{} 0 {} {}", -MARGIN, MARGIN + width as f64, STRIP * strips.len() as f64);
    html! {
        svg.strips viewBox=(view) role="img" aria-label="outputs and targets" {
            @for (index, strip) in strips.iter().enumerate() {
                g transform=(format!("translate(0 {})", STRIP * index as f64 + 4.0)) {
                    rect.ground width=(width) height=(TALL) {}
                    text.name.to-the-left x="-5" y=(0.5 * TALL + 3.5) { (strip.name) }
                    @let target = steps_of(&strip.targets);
                    @if !target.is_empty() { path.target d=(target) {} }
                    polyline.output points=(line_of(&strip.outputs)) {}
                    @for (t, &value) in strip.outputs.iter().enumerate() {
                        circle cx=(middle(t)) cy=(height(value)) r="1.6" {}
                    }
                }
            }
        }
    }
}

/// Level over each step, with risers between steps that follow each other.
fn steps_of(targets: &[Option<f64>]) -> String {
    let mut path = Vec::new();
    let mut drawn = false;
    for (t, target) in targets.iter().enumerate() {
        if let Some(target) = target {
            let (left, right, y) = (STEP * t, STEP * (t + 1), height(*target));
            let start = if drawn { format!("V{y}") } else { format!("M{left} {y}") };
            path.push(format!("{start}H{right}"));
        }
        drawn = target.is_some();
    }
    path.concat()
}

fn line_of(values: &[f64]) -> String {
    let points = values.iter().enumerate().map(|(t, &y)| format!("{},{}", middle(t), height(y)));
    points.collect::<Vec<_>>().join(" ")
}

/// The middle of a column.
fn middle(step: usize) -> usize {
    STEP * step + STEP / 2
}

fn height(value: f64) -> String {
    place(TALL * (1.0 - value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_drawn_where_there_is_one() {
        let path = steps_of(&[None, Some(1.0), Some(0.0), None, Some(0.5)]);
        assert_eq!(path, "M8 0.00H16V40.00H24M32 20.00H40");
        assert_eq!(steps_of(&[None, None]), "");
    }
}
