//! The common parts of all pages: one self-contained HTML file with a light and a dark theme.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = "
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c2128; --soft: #5b6470; --line: #d9dde3; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171c; --ink: #e6e9ee; --soft: #9aa4b1; --line: #343b45; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 3rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; max-width: 36rem; }
th, td { padding: .35rem .5rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
td { font-variant-numeric: tabular-nums; } tr.best td { font-weight: 650; }
.scroll { overflow-x: auto; } .scroll svg { display: block; width: 100%; min-width: 40rem; height: auto; }
.heat svg { display: block; width: 100%; max-width: 40rem; height: auto; border: 1px solid var(--line); }
svg text { fill: var(--ink); font-family: system-ui, sans-serif; }
svg [stroke='#010101'] { stroke: var(--ink); } svg [stroke='#020202'] { stroke: var(--line); }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .9rem; }
.key i { display: inline-block; width: 1.4em; height: .25em; vertical-align: middle; margin-right: .4em; }
";

/// A page with its title as a heading.
pub(crate) fn whole(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (body)
            }
        }
    };
    page.into_string()
}
