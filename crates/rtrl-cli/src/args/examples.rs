//! The examples at the end of each `--help`, which can be pasted into a shell in this order. The
//! tests of the program run all of them.

pub(super) const RTRL: &str = "\
Examples:
  rtrl tasks emit henon --steps 20000 > henon.csv
  rtrl train henon.csv --target x --save henon.model
  rtrl run henon.model henon.csv > forecasts.csv";

pub(super) const TRAIN: &str = "\
Examples:
  rtrl tasks emit henon --steps 20000 > henon.csv
  rtrl train henon.csv --target x --save henon.model
  rtrl train henon.csv --target x --cell gru --report henon.html
  rtrl train henon.csv --target x --units 64 --heads-of 8 --verbose
  rtrl train henon.csv --target next_x --horizon 0 --json errors.json
  rtrl tasks emit xor-2 --steps 20000 > xor.csv
  rtrl train xor.csv --target xor --classes xor --horizon 0
  rtrl tasks emit lorenz --steps 5000 > lorenz.csv
  rtrl train lorenz.csv --target x-z --predictions forecasts.csv
  awk 'NR>1{print NR%3\",\"$0;next}{print \"site,\"$0}' henon.csv > sites.csv
  rtrl train sites.csv --target x --group site
  gzip --stdout henon.csv | rtrl train - --target x --baselines none
  rtrl train henon.csv --target x --checkpoint kept --every 5000
  rtrl train henon.csv --target x --checkpoint kept --every 5000 --resume";

pub(super) const RUN: &str = "\
Examples:
  rtrl tasks emit lorenz --steps 5000 > lorenz.csv
  rtrl train lorenz.csv --target x --inputs x-z --save lorenz.model
  rtrl run lorenz.model lorenz.csv > forecasts.csv
  tail -n +1 lorenz.csv | rtrl run lorenz.model --live --format jsonl
  rtrl run lorenz.model lorenz.csv --learn --save later.model > out.csv";

pub(super) const GENERATE: &str = "\
Examples:
  rtrl tasks emit henon --steps 20000 > henon.csv
  rtrl train henon.csv --target x --save henon.model
  rtrl generate henon.model --steps 100 > generated.csv";

pub(super) const TRACE: &str = "\
Examples, with a case of the source code:
  rtrl trace tests/cases/leaky-forced.json --out trace.json
  rtrl trace tests/cases/leaky-forced.json --window 5 --out trace.json";

pub(super) const INSPECT: &str = "\
Examples:
  rtrl tasks emit henon --steps 20000 > henon.csv
  rtrl train henon.csv --target x --save henon.model
  rtrl inspect henon.model --series henon.csv --report henon.html
  rtrl paper xor-2 --seeds 1 --save models
  rtrl inspect models/xor-2-units4-rate1-free-seed1.safetensors --task xor-2";

pub(super) const PAPER: &str = "\
Examples:
  rtrl paper --quick --seeds 2
  rtrl paper xor-2 sine --seeds 2 --report page.html --save models
  rtrl paper sine --seeds 2 --compare";

pub(super) const TASKS: &str = "\
Examples:
  rtrl tasks list
  rtrl tasks emit henon --steps 1000 > henon.csv";

pub(super) const LIST: &str = "\
Examples:
  rtrl tasks list";

pub(super) const EMIT: &str = "\
Examples:
  rtrl tasks emit henon --steps 1000 --seed 2 > henon.csv
  rtrl tasks emit xor-2 --steps 5000 | rtrl train - --target xor --horizon 0";

pub(super) const COMPARE: &str = "\
Examples:
  rtrl tasks compare --quick --seeds 1
  rtrl tasks compare henon --quick --json scores.json";
