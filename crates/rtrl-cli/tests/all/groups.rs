//! Groups: interleaved series, in `rtrl train`, `rtrl run` and `rtrl generate`.

use std::fs;

use approx::assert_abs_diff_eq;
use rtrl_model::Generator;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{fails, has_words, is_page, json, printed, with_series};

/// Rows of three waves, interleaved at random; a group appears with its first row.
fn series(rows: usize) -> String {
    let mut generator = Generator::new(3);
    let mut times = [0_u32; 3];
    let row = |place: usize| {
        let group = generator.below(3.min(1 + place / 50));
        times[group] += 1;
        let phase = 0.3 * f64::from(times[group]) + [0.0, 2.0, 4.0][group];
        format!("{},{},{}\n", ["north", "west", "south"][group], phase.sin(), times[group] % 4)
    };
    format!("site,y,x\n{}", (0..rows).map(row).collect::<String>())
}

const TRAIN: [&str; 6] = ["train", "series", "--target", "y", "--group", "site"];

#[test]
fn each_group_is_a_series_of_its_own() {
    let folder = with_series(&series(3000));
    let outputs = ["--json", "json", "--predictions", "out", "--report", "page"];
    let table = printed(folder.path(), &[&TRAIN[..], &outputs].concat());
    has_words(&table, &["3000 rows of 3 groups, 2997 forecasts"]);
    is_page(&fs::read_to_string(folder.path().join("page")).unwrap(), 5);
    let grouped = json(folder.path());
    let number = |json: &Value, key: &str| json[key].as_f64().unwrap();
    // Of one series the errors of persistence would be those of rows of different groups.
    let mixed = ["train", "series", "--target", "y", "--json", "json"];
    printed(folder.path(), &mixed);
    let mixed = json(folder.path());
    assert!(number(&grouped, "rmse") < 0.1, "{grouped}");
    assert!(number(&mixed, "rmse") > 0.3, "{mixed}");
    assert_abs_diff_eq!(number(&grouped, "persistence_rmse"), 0.21, epsilon = 0.01);
    assert!(number(&mixed, "persistence_rmse") > 0.7);
    assert!(number(&grouped, "ar_rmse") < 0.01);
    // Lines name their group, and the scores of each group are those of its lines.
    let lines = fs::read_to_string(folder.path().join("out")).unwrap();
    assert!(lines.starts_with("row,group,target,prediction,low,high,next\n1,north,"));
    let rows: Vec<Vec<&str>> = lines.lines().skip(1).map(|l| l.split(',').collect()).collect();
    let mut sums = [("north", 0, 0.0), ("west", 0, 0.0), ("south", 0, 0.0)];
    for row in &rows {
        let error = |cell: &str| cell.parse::<f64>().ok();
        let Some(error) = error(row[2]).zip(error(row[3])).map(|(a, b)| a - b) else { continue };
        let sum = sums.iter_mut().find(|sum| sum.0 == row[1]).unwrap();
        sum.1 += 1;
        if sum.1 > 300 {
            sum.2 += error * error;
        }
    }
    for (place, (name, count, squares)) in sums.into_iter().enumerate() {
        let count = count - 300;
        let group = &grouped["groups"][place];
        assert_eq!((&group["group"], &group["forecasts"]), (&name.into(), &count.into()));
        let rmse = (squares / f64::from(count)).sqrt();
        assert!((number(group, "rmse") / rmse - 1.0).abs() < 1e-9, "{name}");
        // The first row of each has no forecast.
        let first = rows.iter().find(|row| row[1] == name).unwrap();
        assert!(first[3].is_empty() && !first[6].is_empty(), "{first:?}");
    }
}

/// Two waves, one after the other.
fn one_after_the_other() -> String {
    let row = |t: u32| {
        let site = if t < 500 { "north" } else { "<west>" };
        format!("{site},{}\n", (0.3 * f64::from(t)).sin())
    };
    format!("site,y\n{}", (0..1000).map(row).collect::<String>())
}

/// An autoregression repeats the last value until it has seen 24, which once counted in groups that
/// begin late.
#[test]
fn the_first_forecasts_of_each_group_do_not_count() {
    let folder = with_series(&one_after_the_other());
    let scores = |skip: &str| {
        let options = ["--skip", skip, "--json", "json"];
        let table = printed(folder.path(), &[&TRAIN[..], &options].concat());
        (table, json(folder.path()))
    };
    let (table, grouped) = scores("30");
    has_words(
        &table,
        &["1000 rows of 2 groups, 998 forecasts", "from forecast 31 of each group on"],
    );
    assert_eq!([0, 1].map(|place| &grouped["groups"][place]["forecasts"]), [&469, &469]);
    assert!(grouped["ar_rmse"].as_f64().unwrap() < 1e-3, "{grouped}");
    // Negative control.
    assert!(scores("10").1["ar_rmse"].as_f64().unwrap() > 1e-2);
    let (table, grouped) = scores("499");
    has_words(&table, &["too few forecasts: choose a smaller --skip", "--skip 499"]);
    assert!(grouped["rmse"].is_null());
}

/// The last rows of the first group were once those among the last rows of all groups.
#[test]
fn a_report_shows_the_rows_of_one_group_and_names_it() {
    let folder = with_series(&one_after_the_other());
    printed(folder.path(), &[&TRAIN[..], &["--report", "page"]].concat());
    let page = fs::read_to_string(folder.path().join("page")).unwrap();
    let figure = |title: &str| {
        let after = page.split_once(&format!("<h2>{title}</h2>")).expect(title).1;
        let figure = after.split_once("</svg>").unwrap().0;
        let lines = figure.split("<polyline").skip(1).filter_map(|line| line.split('>').next());
        let points = lines.map(|line| line.split_once("points=\"").unwrap().1);
        points.map(|points| points.matches(',').count()).max()
    };
    assert_eq!(figure("The last rows of group north"), Some(240));
    assert_eq!(figure("The whole series of group north"), Some(499));
    assert!(figure("Running error against the baselines") > Some(600));
}

/// One group is the series without a column of groups.
#[test]
fn one_group_is_no_group() {
    let folder = with_series(&series(50));
    assert!(!fs::read_to_string(folder.path().join("series")).unwrap().contains("west"));
    let options = ["--skip", "5", "--predictions", "out", "--lags", "2", "--inputs", "x,y"];
    printed(folder.path(), &[&TRAIN[..], &options].concat());
    let read = || fs::read_to_string(folder.path().join("out")).unwrap();
    let grouped = read().replace(",group", "").replace(",north", "");
    printed(folder.path(), &[&TRAIN[..4], &options].concat());
    assert_eq!(read(), grouped);
}

/// Lags and what replaces missing inputs are those of the group.
#[test]
fn inputs_of_earlier_rows_are_those_of_the_group() {
    let folder = TempDir::new().unwrap();
    // Each group repeats what its last row has had as x.
    let mut generator = Generator::new(9);
    let (mut last, mut text) = ([0.0, 0.0], vec!["g,x,y\n".to_owned()]);
    for _ in 0..2000 {
        let (group, x) = (generator.below(2), generator.between(-1.0, 1.0));
        text.push(format!("{group},{x},{}\n", last[group]));
        last[group] = x;
    }
    fs::write(folder.path().join("series"), text.concat()).unwrap();
    let rmse = |options: &[&str]| {
        let train = ["train", "series", "--target", "y", "--inputs", "x", "--horizon", "0"];
        let rest = ["--lags", "1", "--leak", "1", "--json", "json"];
        printed(folder.path(), &[&train[..], &rest, options].concat());
        json(folder.path())["rmse"].as_f64().unwrap()
    };
    assert!(rmse(&["--group", "g"]) < 0.05);
    // Negative control.
    assert!(rmse(&[]) > 0.3);
}

#[test]
fn a_model_of_groups_runs_and_generates() {
    let folder = with_series(&series(2000));
    printed(folder.path(), &[&TRAIN[..], &["--save", "model", "--predictions", "out"]].concat());
    let lines = fs::read_to_string(folder.path().join("out")).unwrap();
    let last = |name: &str| {
        let line = lines.lines().rfind(|line| line.contains(name)).unwrap();
        line.rsplit_once(',').unwrap().1.to_owned()
    };
    // Each group continues where it was; a new one begins.
    let text = "y,site\n0.5,west\n0.5,east\n0.5,north\n0.5,east\n";
    fs::write(folder.path().join("rest"), text).unwrap();
    let out = printed(folder.path(), &["run", "model", "rest"]);
    let rows: Vec<Vec<&str>> = out.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let names: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(names, ["west", "east", "north", "east"]);
    assert!(rows[1][3].is_empty() && !rows[3][3].is_empty());
    // The last group to step has made its forecast with the last weights.
    let newest = lines.lines().last().unwrap().split(',').nth(1).unwrap();
    let generated =
        printed(folder.path(), &["generate", "model", "--steps", "9", "--group", newest]);
    assert_eq!(generated.lines().nth(1).unwrap(), format!("1,{}", last(newest)));
    let names = ["--group: got none", "north, west, south"];
    fails(folder.path(), &["generate", "model", "--steps", "1"], 2, &names);
    let unknown = ["generate", "model", "--steps", "1", "--group", "up"];
    fails(folder.path(), &unknown, 2, &["--group: got \"up\"", "north, west, south"]);
    // Saved after more rows, it has the new group too.
    let more = ["run", "model", "rest", "--learn", "--save", "more"];
    assert_eq!(printed(folder.path(), &more).lines().count(), 5);
    printed(folder.path(), &["generate", "more", "--steps", "1", "--group", "east"]);
    let inspected = printed(folder.path(), &["inspect", "more", "--series", "series"]);
    has_words(&inspected, &["16"]);
}

#[test]
fn too_many_groups_are_refused() {
    let folder = with_series(&series(600));
    let few = [&TRAIN[..], &["--most-groups", "2"]].concat();
    let words = ["column \"site\": got \"south\"", "first 2 groups", "--most-groups", "kB each"];
    fails(folder.path(), &few, 1, &words);
    let table = printed(folder.path(), &[&few[..], &["--on-error", "skip"]].concat());
    has_words(&table, &["2 groups", "skipped", "\"south\""]);
    fails(folder.path(), &[&TRAIN[..4], &["--most-groups", "2"]].concat(), 2, &["--group"]);
    // The answer would choose the state.
    let own = [&TRAIN[..4], &["--group", "y"]].concat();
    fails(folder.path(), &own, 2, &["--group: got the target \"y\""]);
    fails(
        folder.path(),
        &[&TRAIN[..4], &["--group", "sight"]].concat(),
        1,
        &["expected one of site, y, x"],
    );
    fs::write(folder.path().join("series"), "site,y\na,1\n,2\n").unwrap();
    fails(folder.path(), &TRAIN, 1, &["line 3, column \"site\": got \"\", expected a group"]);
    // A row with an error makes no group.
    fs::write(folder.path().join("series"), "site,y\na,1\nb,bad\na,2\nc,3\na,4\n").unwrap();
    let skip = [&TRAIN[..], &["--most-groups", "2", "--on-error", "skip", "--skip", "0"]].concat();
    has_words(&printed(folder.path(), &skip), &["4 rows of 2 groups", "skipped 1 row"]);
}

#[test]
fn a_run_of_groups_is_resumed() {
    let folder = with_series(&series(1500));
    let path = folder.path().join("series");
    let text = fs::read_to_string(&path).unwrap();
    let outputs = ["--predictions", "out", "--save", "model", "--report", "page", "--lags", "3"];
    let train = [&TRAIN[..], &outputs].concat();
    printed(folder.path(), &train);
    let read = |name| fs::read(folder.path().join(name)).unwrap();
    let whole = ["out", "model"].map(read);
    let resumed = [&train[..], &["--checkpoint", "kept", "--resume"]].concat();
    let lines: Vec<&str> = text.lines().collect();
    for rows in [20, 60, 700, 1500] {
        fs::write(&path, lines[..=rows].join("\n") + "\n").unwrap();
        printed(folder.path(), &resumed);
    }
    assert!(["out", "model"].map(read) == whole);
    // A live stream that begins with another group: the numbers of the groups are known.
    fs::write(&path, "site,y,x\nsouth,0.5,1\neast,0.5,1\n").unwrap();
    printed(folder.path(), &[&resumed[..], &["--from-now"]].concat());
    let out = String::from_utf8(read("out")).unwrap();
    let rows: Vec<&str> = out.lines().rev().take(2).collect();
    assert!(rows[1].starts_with("1501,south,0.5,") && !rows[1].contains(",,"), "{rows:?}");
    assert!(rows[0].starts_with("1502,east,0.5,,"), "{rows:?}");
    let other = [&resumed[..4], &resumed[6..]].concat();
    fails(folder.path(), &other, 1, &["--resume: got --group none, expected \"site\""]);
}

/// Several targets and classes of several groups.
#[test]
fn groups_have_targets_of_all_kinds() {
    let folder = with_series(&series(900));
    let options = ["--skip", "10", "--json", "json", "--save", "model"];
    let train = ["train", "series", "--group", "site", "--target"];
    printed(folder.path(), &[&train[..], &["x,y"], &options].concat());
    assert_eq!(json(folder.path())["targets"].as_array().map(Vec::len), Some(2));
    printed(folder.path(), &["run", "model", "series", "--learn"]);
    printed(folder.path(), &[&train[..], &["x", "--classes", "x"], &options].concat());
    let json = json(folder.path());
    assert!(json["groups"][2]["log_loss"].is_number(), "{json}");
    // x counts to four in each group, whose last label tells nothing new.
    assert!(json["accuracy"].as_f64().unwrap() > 0.9, "{json}");
    assert!(json["persistence"]["accuracy"].as_f64().unwrap() < 0.1, "{json}");
    printed(folder.path(), &["run", "model", "series"]);
}
