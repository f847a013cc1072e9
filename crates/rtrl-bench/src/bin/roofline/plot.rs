//! A roofline as SVG, coloured by the style sheet of the page.
//!
//! Williams, Waterman & Patterson, *Roofline: An Insightful Visual Performance Model*, 2009: what
//! can be done in a second is bounded by the peak, and by the bandwidth times the operations for
//! each byte. Ink and grid lines are drawn in two marker colours that the page's style sheet
//! replaces.

use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::record::{Peaks, Record};

/// Width and height, in units of the picture; small, so that text stays legible on a telephone.
const SIZE: (u32, u32) = (460, 380);

/// Stands for the colour of text and axes.
const INK: RGBColor = RGBColor(1, 1, 1);

/// Stands for the colour of grid lines.
const GRID: RGBColor = RGBColor(2, 2, 2);

/// Octaves between the marks of two engines at the same number of units.
const APART: f64 = 0.11;

/// A name with its colour.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) colour: RGBColor,
}

/// One picture: records of one precision on one number of cores, and their roofs.
pub(crate) struct Roofline<'a> {
    pub(crate) peaks: &'a Peaks,
    pub(crate) records: Vec<&'a Record>,
    pub(crate) engines: &'a [Engine],
    pub(crate) precision: &'static str,
    pub(crate) threads: usize,
}

type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;
type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

impl Roofline<'_> {
    /// The picture, with one mark for each record.
    pub(crate) fn picture(&self) -> Result<String, String> {
        let mut picture = String::new();
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        self.draw(&area).map_err(|error| error.to_string())?;
        drop(area);
        Ok(picture)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let peak = self.peak();
        let (left, right) = range(self.records.iter().map(|record| intensity(record)));
        let (low, high) = range(self.records.iter().map(|record| record.gflops));
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(50)
            .y_label_area_size(62)
            .build_cartesian_2d(
                (left..right).log_scale().base(2.0),
                (low..high.max(1.8 * peak)).log_scale().base(2.0),
            )?;
        chart
            .configure_mesh()
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(text(HPos::Left, VPos::Top))
            .axis_desc_style(text(HPos::Left, VPos::Top))
            .x_labels(12)
            .y_labels(12)
            .x_label_formatter(&|x| format!("{x}"))
            .y_label_formatter(&|y| format!("{y}"))
            .x_desc("operations for each byte of p")
            .y_desc("GFLOP/s")
            .draw()?;
        self.draw_roofs(&mut chart, (left, right), low)?;
        for record in &self.records {
            self.draw_mark(&chart, record)?;
        }
        area.present()
    }

    /// The peak, and each bandwidth up to where it meets the peak.
    fn draw_roofs<B: DrawingBackend>(
        &self,
        chart: &mut Chart<'_, B>,
        (left, right): (f64, f64),
        low: f64,
    ) -> Drawn<B> {
        let peak = self.peak();
        chart.draw_series(LineSeries::new([(left, peak), (right, peak)], INK.stroke_width(2)))?;
        let label = format!("{peak:.0} GFLOP/s");
        let style = text(HPos::Right, VPos::Bottom);
        chart.plotting_area().draw(&Text::new(label, (right, peak * 1.05), style))?;
        for Roof { name, rate } in self.levels() {
            let (start, ridge) = (left.max(low / rate), peak / rate);
            if ridge <= start {
                continue;
            }
            let end = ridge.min(right);
            let line = [(start, start * rate), (end, end * rate)];
            chart.draw_series(LineSeries::new(line, INK.stroke_width(1)))?;
            let style = text(HPos::Center, VPos::Bottom);
            chart.plotting_area().draw(&Text::new(name, (end, end * rate * 1.05), style))?;
        }
        Ok(())
    }

    /// A disc for the update, a ring for the whole step, a triangle for part of the work.
    fn draw_mark<B: DrawingBackend>(&self, chart: &Chart<'_, B>, record: &Record) -> Drawn<B> {
        let place = self.engines.iter().position(|engine| engine.name == record.engine);
        let Some(place) = place else { return Ok(()) };
        let aside = place as f64 - 0.5 * (self.engines.len() - 1) as f64;
        let point = (intensity(record) * (APART * aside).exp2(), record.gflops);
        let colour = self.engines[place].colour;
        let area = chart.plotting_area();
        match (record.scenario, record.op) {
            ("dense", "advance") => area.draw(&Circle::new(point, 4, colour.filled())),
            ("dense", _) => area.draw(&Circle::new(point, 4, colour.stroke_width(2))),
            _ => area.draw(&TriangleMarker::new(point, 5, colour.filled())),
        }
    }

    fn peak(&self) -> f64 {
        let mut peaks = self.peaks.gflops.iter();
        let peak = peaks.find(|peak| peak.name == self.precision);
        peak.map_or(f64::NAN, |peak| peak.on(self.threads))
    }

    fn levels(&self) -> impl Iterator<Item = Roof> {
        let limits = self.peaks.gigabytes_per_second.iter().map(|level| &level.limit);
        limits.map(|limit| Roof { name: limit.name, rate: limit.on(self.threads) })
    }
}

/// A level of the memory, with the bandwidth of as many cores as the picture shows.
struct Roof {
    name: &'static str,
    rate: f64,
}

/// Operations for each byte of p: each value is read and written once, and takes part in 2 n
/// operations.
fn intensity(record: &Record) -> f64 {
    let bytes = if record.precision == "f32" { 4 } else { 8 };
    record.units as f64 / f64::from(bytes)
}

fn text(x: HPos, y: VPos) -> TextStyle<'static> {
    ("sans-serif", 17).into_font().color(&INK).pos(Pos::new(x, y))
}

/// The smallest and largest value with room for a mark, never an empty range.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    if low > high { (1.0, 10.0) } else { (low / 1.5, high * 1.5) }
}
