//! Charts as SVG, coloured by the style sheet of the page.
//!
//! Ink and grid lines are drawn in two marker colours that the page's style sheet replaces, so one
//! picture works in the light and in the dark theme.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::error::Error;

/// Width and height of a line chart, in units of the picture, that is as wide as the page, and of
/// one that is as wide as a telephone.
const WIDE: (u32, u32) = (720, 300);
pub(crate) const NARROW: (u32, u32) = (480, 260);

/// Points of a line beyond which it is thinned out.
const MOST_POINTS: usize = 1200;

/// Points of a line beyond which it is drawn thin.
const CROWDED: usize = 600;

/// Rows and columns of a heat map beyond which cells are averaged.
const MOST_CELLS: usize = 64;

/// Stands for the colour of text and axes.
const INK: RGBColor = RGBColor(1, 1, 1);

/// Stands for the colour of grid lines.
const GRID: RGBColor = RGBColor(2, 2, 2);

/// A line with its colour.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) colour: RGBColor,
    /// 1 for an opaque line.
    pub(crate) opacity: f64,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A colour as a style sheet writes it.
pub(crate) fn css(RGBColor(red, green, blue): RGBColor) -> String {
    format!("rgb({red},{green},{blue})")
}

/// The labels of the two axes of a chart, x first.
pub(crate) struct Axes<'l> {
    pub(crate) labels: [&'l str; 2],
    /// The ends of each axis.
    pub(crate) ends: [(f64, f64); 2],
    /// Whether x is logarithmic; it must then be above 0.
    pub(crate) logarithmic: bool,
    /// Width and height of the picture.
    pub(crate) size: (u32, u32),
}

impl<'l> Axes<'l> {
    /// Axes on which there is room for all lines.
    pub(crate) fn around(lines: &[Line], labels: [&'l str; 2]) -> Self {
        let points = || lines.iter().flat_map(|line| &line.points);
        let ends = [range(points().map(|point| point.0)), range(points().map(|point| point.1))];
        Self { labels, ends, logarithmic: false, size: WIDE }
    }

    /// The position of an x on the axis.
    fn place(&self, x: f64) -> f64 {
        if self.logarithmic { x.log10() } else { x }
    }

    /// The largest number of labels; on a logarithmic axis one per power of ten, so that none is in
    /// between.
    fn x_labels(&self) -> usize {
        let (left, right) = self.ends[0];
        let powers = (0..=18).map(|power| 10f64.powi(power));
        let named = powers.filter(|power| (left..=right).contains(power)).count();
        if self.logarithmic { named.max(1) } else { 8 }
    }

    /// What is written at a place; on a logarithmic axis only powers of ten are named.
    fn x_label(&self, place: f64) -> String {
        match self.logarithmic {
            false => format!("{place:.0}"),
            true if (place - place.round()).abs() < 1e-9 => format!("{:.0}", 10f64.powf(place)),
            true => String::new(),
        }
    }
}

/// A chart of lines.
pub(crate) fn lines(lines: &[Line], axes: &Axes<'_>) -> Result<String, Error> {
    let mut picture = String::new();
    draw_lines(&SVGBackend::with_string(&mut picture, axes.size).into_drawing_area(), lines, axes)
        .map_err(|error| Error::Chart(error.to_string()))?;
    Ok(picture)
}

fn draw_lines<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    lines: &[Line],
    axes: &Axes<'_>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let [(left, right), (low, high)] = axes.ends;
    let (left, right) = (axes.place(left), axes.place(right));
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(left..right, low..high)?;
    let text = |size: i32| ("sans-serif", size).into_font().color(&INK);
    chart
        .configure_mesh()
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(text(14))
        .axis_desc_style(text(14))
        .x_labels(axes.x_labels())
        .y_labels(6)
        .x_label_formatter(&|place| axes.x_label(*place))
        .y_label_formatter(&|y| short(*y, high - low))
        .x_desc(axes.labels[0])
        .y_desc(axes.labels[1])
        .draw()?;
    for line in lines {
        let is_thin = line.points.len() > CROWDED || line.opacity < 1.0;
        let style = line.colour.mix(line.opacity).stroke_width(if is_thin { 1 } else { 2 });
        let points = thinned(&line.points).into_iter().map(|(x, y)| (axes.place(x), y));
        chart.draw_series(LineSeries::new(points, style))?;
    }
    area.present()
}

/// The smallest and largest value with a little room, never an empty range.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return (0.0, 1.0);
    }
    let room = if high > low { 0.02 * (high - low) } else { 1.0 };
    (low - room, high + room)
}

/// A label with the decimals that the span of the axis requires.
fn short(value: f64, span: f64) -> String {
    if !(1e-4..1e6).contains(&span) {
        return format!("{value:.1e}");
    }
    let decimals = if span >= 10.0 { 0 } else { 2 + usize::from(span < 0.1) * 3 };
    format!("{value:.decimals$}")
}

/// The smallest and the largest point of each stretch, so that no peak is lost.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MOST_POINTS / 2);
    let extremes = |points: &[(f64, f64)]| {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let low = points.iter().min_by(by_height).copied();
        let high = points.iter().max_by(by_height).copied();
        let mut pair: Vec<_> = low.into_iter().chain(high).collect();
        pair.sort_by(|a, b| a.0.total_cmp(&b.0));
        pair
    };
    points.chunks(stretch).flat_map(extremes).collect()
}

/// A matrix as coloured cells: blue below zero, red above, stronger for larger values.
pub(crate) fn heat_map(rows: &[Vec<f64>]) -> Result<String, Error> {
    let cells = averaged(rows);
    let (height, width) = (cells.len(), cells.first().map_or(0, Vec::len));
    let side = 12;
    let size =
        (side * u32::try_from(width).unwrap_or(1), side * u32::try_from(height).unwrap_or(1));
    let mut picture = String::new();
    draw_cells(&SVGBackend::with_string(&mut picture, size).into_drawing_area(), &cells, side)
        .map_err(|error| Error::Chart(error.to_string()))?;
    Ok(picture)
}

fn draw_cells<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    cells: &[Vec<f64>],
    side: u32,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let largest = cells.iter().flatten().fold(0.0f64, |most, cell| most.max(cell.abs()));
    let side = i32::try_from(side).unwrap_or(1);
    let mut top = 0;
    for row in cells {
        let mut left = 0;
        for &cell in row {
            let colour = if cell < 0.0 { RGBColor(37, 99, 235) } else { RGBColor(220, 38, 38) };
            let strength = if largest > 0.0 { cell.abs() / largest } else { 0.0 };
            let corners = [(left, top), (left + side - 1, top + side - 1)];
            area.draw(&Rectangle::new(corners, colour.mix(strength).filled()))?;
            left += side;
        }
        top += side;
    }
    area.present()
}

/// The matrix itself if it is small, else the means of blocks.
fn averaged(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let columns = rows.first().map_or(0, Vec::len);
    let (tall, wide) = (rows.len().div_ceil(MOST_CELLS), columns.div_ceil(MOST_CELLS));
    let mean = |block: &[Vec<f64>], start: usize| {
        let end = columns.min(start + wide);
        let cells = block.iter().flat_map(|row| &row[start..end]);
        cells.sum::<f64>() / (block.len() * (end - start)) as f64
    };
    let row = |block: &[Vec<f64>]| {
        (0..columns).step_by(wide.max(1)).map(|start| mean(block, start)).collect()
    };
    rows.chunks(tall.max(1)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_extremes() {
        let mut points: Vec<_> = (0..50_000).map(|i| (f64::from(i), 0.0)).collect();
        points[31_234].1 = 9.0;
        points[777].1 = -9.0;
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS + 2);
        assert!(thin.contains(&(31_234.0, 9.0)) && thin.contains(&(777.0, -9.0)));
    }

    #[test]
    fn large_matrices_are_averaged_to_few_cells() {
        let cells = averaged(&vec![vec![2.0; 300]; 130]);
        assert!(cells.len() <= MOST_CELLS && cells[0].len() <= MOST_CELLS);
        assert!(cells.iter().flatten().all(|&cell| cell == 2.0));
    }

    #[test]
    fn an_empty_or_flat_line_can_be_drawn() {
        for points in [vec![], vec![(1.0, 5.0)], vec![(1.0, 5.0), (2.0, 5.0)]] {
            let line = [Line { name: "x", colour: RGBColor(9, 9, 9), opacity: 1.0, points }];
            let axes = Axes::around(&line, ["x", "y"]);
            assert!(lines(&line, &axes).unwrap().starts_with("<svg"));
        }
    }
}
