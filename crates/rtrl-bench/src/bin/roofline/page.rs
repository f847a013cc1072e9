//! The report of a run: one self-contained HTML file.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotters::style::RGBColor;

use crate::comparison::{Comparison, HEADS, Report, even_pace, sparse_targets};
use crate::plot::{Engine, Roofline};
use crate::record::{COLUMNS, Limit, Peaks, Record};

/// One colour for each engine, legible in the light and the dark theme.
const COLOURS: [RGBColor; 7] = [
    RGBColor(37, 120, 235),
    RGBColor(140, 140, 150),
    RGBColor(234, 140, 20),
    RGBColor(22, 160, 90),
    RGBColor(165, 90, 220),
    RGBColor(220, 60, 60),
    RGBColor(20, 165, 185),
];

const STYLE: &str = "
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c2128; --soft: #5b6470; --line: #d9dde3; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171c; --ink: #e6e9ee; --soft: #9aa4b1; --line: #343b45; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 3rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; } h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem; }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; white-space: nowrap; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: .5rem 1.5rem; }
.charts svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font-family: system-ui, sans-serif; }
svg [stroke='#010101'] { stroke: var(--ink); } svg [stroke='#020202'] { stroke: var(--line); }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .9rem; margin: .6rem 0; }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin-right: .4em; }
";

/// The page of a run.
pub(crate) fn page(report: &Report) -> Result<String, String> {
    let Report { peaks, records, comparisons, .. } = report;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Rooflines of real-time recurrent learning" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Rooflines of real-time recurrent learning" }
                p.soft {
                    "How close each kernel is to the peak of this machine, measured in one run: instruction set "
                    (peaks.isa) ", " (peaks.cores) " cores."
                }
                (limits(peaks))
                (pictures(peaks, records)?)
                (engines_compared(comparisons, records))
                h2 { "All measurements" }
                div.scroll { (table(records)) }
            }
        }
    };
    Ok(page.into_string())
}

fn limits(peaks: &Peaks) -> Markup {
    let row = |what: &str, unit: &str, Limit { name, one_core, all_cores }: &Limit| {
        html! {
            tr {
                td { (what) " " (name) " (" (unit) ")" }
                td.number { (format!("{one_core:.0}")) } td.number { (format!("{all_cores:.0}")) }
            }
        }
    };
    html! {
        table {
            thead { tr { th { "peak" } th.number { "one core" } th.number { "all cores" } } }
            tbody {
                @for peak in &peaks.gflops { (row("multiply-adds,", "GFLOP/s", peak)) }
                @for level in &peaks.gigabytes_per_second { (row("reads,", "GB/s", &level.limit)) }
            }
        }
    }
}

fn pictures(peaks: &Peaks, records: &[Record]) -> Result<Markup, String> {
    let engines = engines(records);
    let rooflines = rooflines(peaks, records, &engines);
    let pictures: Vec<_> = rooflines.iter().map(Roofline::picture).collect::<Result<_, _>>()?;
    Ok(html! {
        h2 { "Rooflines" }
        p.soft {
            "Operations of equation 5 per second, against operations per byte of p (n / 4 in f32, n / 8 in f64: \
            every value of p is read and written once). Lines: the peak, and the bandwidths of L2, L3 and memory. \
            A disc is the update alone, a ring a whole step, a triangle part of the work. Marks of one n are next to each other."
        }
        p.soft {
            "The deferred engine computes the same numbers with fewer operations than equation 5. For comparison, its \
            marks count the operations of equation 5: marks above the peak show the work that it saves, not the \
            speed of the machine."
        }
        div.key {
            @for Engine { name, colour: RGBColor(red, green, blue) } in &engines {
                span { i style=(format!("background:rgb({red},{green},{blue})")) {} (name) }
            }
        }
        div.charts {
            @for (roofline, picture) in rooflines.iter().zip(&pictures) {
                div {
                    h3 {
                        (roofline.precision) ", " (roofline.threads)
                        @if roofline.threads == 1 { " core" } @else { " cores" }
                    }
                    (PreEscaped(picture))
                }
            }
        }
    })
}

/// Whole steps by both engines; nothing if there are none.
fn engines_compared(comparisons: &[Comparison], records: &[Record]) -> Markup {
    html! {
        @if !comparisons.is_empty() {
            h2 { "Whole steps by both engines" }
            p.soft {
                "p, flush and window make up the floor of the deferred step: one read of p, its share of the flush at \
                the peak, and one read of half a window of Jacobians."
            }
            div.scroll {
                table {
                    thead { tr { @for head in HEADS { th.number { (head) } } } }
                    tbody {
                        @for comparison in comparisons {
                            tr { @for cell in comparison.cells() { td.number { (cell) } } }
                        }
                    }
                }
            }
            @for line in sparse_targets(comparisons).into_iter().chain(even_pace(records)) { p { (line) } }
        }
    }
}

/// Every engine, in the order of the records.
fn engines(records: &[Record]) -> Vec<Engine> {
    let mut engines: Vec<Engine> = Vec::new();
    for name in records.iter().map(|record| record.engine) {
        if engines.iter().all(|engine| engine.name != name) {
            engines.push(Engine { name, colour: COLOURS[engines.len() % COLOURS.len()] });
        }
    }
    engines
}

/// A roofline for every precision and number of cores, of the records that have a rate.
fn rooflines<'a>(
    peaks: &'a Peaks,
    records: &'a [Record],
    engines: &'a [Engine],
) -> Vec<Roofline<'a>> {
    let with_rate = || records.iter().filter(|record| record.has_rate());
    let kind = |record: &Record| (record.precision, record.threads);
    let mut kinds: Vec<_> = Vec::new();
    for record in with_rate() {
        if !kinds.contains(&kind(record)) {
            kinds.push(kind(record));
        }
    }
    let roofline = |(precision, threads)| {
        let same = |record: &&Record| kind(record) == (precision, threads);
        Roofline { peaks, records: with_rate().filter(same).collect(), engines, precision, threads }
    };
    kinds.into_iter().map(roofline).collect()
}

fn table(records: &[Record]) -> Markup {
    let class = |is_number: bool| is_number.then_some("number");
    html! {
        table {
            thead { tr { @for (head, is_number) in COLUMNS { th class=[class(is_number)] { (head) } } } }
            tbody {
                @for record in records {
                    tr {
                        @for (cell, (_, is_number)) in record.cells().iter().zip(COLUMNS) {
                            td class=[class(is_number)] { (cell) }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::comparisons;
    use crate::record::Level;

    fn limit(name: &'static str, one_core: f64) -> Limit {
        Limit { name, one_core, all_cores: 2.0 * one_core }
    }

    fn report(records: Vec<Record>) -> Report {
        let gflops = vec![limit("f32", 100.0), limit("f64", 50.0)];
        let level = |name, rate, bytes| Level { limit: limit(name, rate), bytes };
        let gigabytes_per_second =
            vec![level("L2", 90.0, 512 << 10), level("memory", 20.0, 512 << 20)];
        let peaks = Peaks { isa: "v4", cores: 2, gflops, gigabytes_per_second };
        let comparisons = comparisons(&peaks, &records);
        Report { peaks, records, comparisons, structured: Vec::new() }
    }

    fn record(
        op: &'static str,
        engine: &'static str,
        scenario: &'static str,
        threads: usize,
    ) -> Record {
        Record {
            op,
            engine,
            scenario,
            density: 1.0,
            update_every: 1,
            target_every: 1,
            window: (engine == "deferred").then_some(32),
            auto: Some(engine == "eager"),
            units: 64,
            inputs: 8,
            precision: "f32",
            threads,
            isa: "v4",
            seconds: 1e-4,
            p999: 2e-4,
            median_step: None,
            worst_phase: None,
            gflops: if op == "gradient" { 0.0 } else { 80.0 },
            fraction_of_peak: 0.8,
            state_bytes: 1000,
        }
    }

    #[test]
    fn every_record_with_a_rate_has_a_mark_and_every_record_a_row() {
        let page = page(&report(vec![
            record("advance", "eager", "dense", 1),
            record("gradient", "eager", "dense", 1),
            record("step", "eager", "dense", 2),
            record("advance", "gemm", "dense", 2),
            record("advance", "eager", "silent", 1),
        ]));
        let page = page.unwrap();
        let count = |what: &str| page.matches(what).count();
        assert_eq!((count("<circle"), count("<polygon")), (3, 1));
        assert_eq!(count("<svg"), 2);
        assert_eq!(count("<tr>"), 1 + 4 + 1 + 5);
    }

    #[test]
    fn whole_steps_by_both_engines_are_compared() {
        let deferred = Record { seconds: 5e-5, ..record("step", "deferred", "dense", 1) };
        let report = report(vec![record("step", "eager", "dense", 1), deferred]);
        let [comparison] = &report.comparisons[..] else { panic!("one pair, one comparison") };
        assert_eq!((comparison.speedup, comparison.auto_to_faster), (2.0, 2.0));
        let floor = comparison.floor.unwrap();
        let q = 64.0 * 80.0;
        assert_eq!(floor.p, 64.0 * q * 4.0 / 90e9);
        assert_eq!(floor.flush, (256.0 * q + 128.0 * q + 2.0 * 64f64.powi(3)) / 100e9);
        assert_eq!(floor.window, 16.0 * 64.0 * 64.0 * 4.0 / 90e9);
        let page = page(&report).unwrap();
        assert!(page.contains("eager, 2.00 x") && page.contains("2.00"));
    }

    #[test]
    fn names_are_escaped_and_nothing_is_fetched() {
        let page = page(&report(vec![record("advance", "<b>&", "dense", 1)])).unwrap();
        assert!(page.contains("&lt;b&gt;&amp;") && !page.contains("<b>"));
        for reference in ["href", "src=", "url(", "@import"] {
            assert!(!page.contains(reference), "{reference}");
        }
    }

    #[test]
    fn a_run_without_records_still_makes_a_page() {
        assert!(page(&report(vec![])).unwrap().ends_with("</html>"));
    }
}
