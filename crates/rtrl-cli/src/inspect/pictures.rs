//! Pictures of states and eigenvalues as SVG, coloured by classes of the page's style sheet.

use maud::{Markup, html};
use rtrl_lab::inspect::Eigenvalue;

use crate::pictures::place;

/// Eigenvalues in the complex plane, with the unit circle.
pub(crate) fn plane(eigenvalues: &[Eigenvalue]) -> Markup {
    let furthest = eigenvalues.iter().fold(1.0f64, |most, value| most.max(value.modulus()));
    let unit = 150.0 / (1.1 * furthest);
    html! {
        svg.square viewBox="-160 -160 320 320" role="img" aria-label="eigenvalues in the complex plane" {
            line.grid x1="-160" x2="160" y1="0" y2="0" {}
            line.grid y1="-160" y2="160" x1="0" x2="0" {}
            circle.circle r=(place(unit)) {}
            @for value in eigenvalues {
                circle class=(if value.modulus() < 1.0 { "inside" } else { "outside" }) r="4"
                    cx=(place(unit * value.real)) cy=(place(-unit * value.imaginary)) {
                    title { (super::summary::complex(*value)) }
                }
            }
        }
    }
}

/// The way of a state along its first two principal components; the third makes points larger.
pub(crate) fn trajectory(points: &[[f64; 3]]) -> Markup {
    let largest =
        |axis: usize| points.iter().fold(0.0f64, |most, point| most.max(point[axis].abs()));
    let scale = 150.0 / largest(0).max(largest(1)).max(f64::MIN_POSITIVE);
    let depth = largest(2).max(f64::MIN_POSITIVE);
    let at = |point: &[f64; 3]| (place(scale * point[0]), place(-scale * point[1]));
    let way: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x},{y}")).collect();
    html! {
        svg.square viewBox="-160 -160 320 320" role="img" aria-label="states along two principal components" {
            line.grid x1="-160" x2="160" y1="0" y2="0" {}
            line.grid y1="-160" y2="160" x1="0" x2="0" {}
            polyline.way points=(way.join(" ")) {}
            @for point in points {
                @let (x, y) = at(point);
                circle.state cx=(x) cy=(y) r=(place(2.2 + 1.2 * point[2] / depth)) {}
            }
        }
    }
}
