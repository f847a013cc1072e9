//! Starting ranks.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rtrl_mpi::Ranks;

/// The variable that tells a rank which test it runs.
const TEST: &str = "RTRL_MPI_TEST";

/// The numbers of ranks on which everything is tested.
pub(crate) const COUNTS: [usize; 5] = [1, 2, 3, 4, 7];

/// One test at a time starts ranks, which need all cores.
static ONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ranks, if this process is one that runs the test `test`.
pub(crate) fn as_rank(test: &str) -> Option<Ranks> {
    let started = std::env::var(TEST).is_ok_and(|running| running == test);
    started.then(|| Ranks::start().unwrap())
}

/// Runs `work` on as many ranks as each of `counts` says, and expects all to succeed. Their
/// argument is an empty folder.
pub(crate) fn on_ranks(test: &str, counts: &[usize], work: impl FnOnce(Ranks)) {
    if let Some(ranks) = as_rank(test) {
        return work(ranks);
    }
    let _alone = alone();
    for &count in counts {
        let folder = tempfile::tempdir().unwrap();
        let argument = folder.path().to_str().unwrap();
        let output = command(test, count, argument).output().expect("mpirun is installed");
        check(&output, &format!("{test} on {count} ranks"));
    }
}

pub(crate) fn check(output: &Output, what: &str) {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{what}:\n{stdout}\n{stderr}");
    // A name that no test has would run none, successfully.
    assert!(stdout.contains("1 passed"), "{what}:\n{stdout}\n{stderr}");
}

/// `mpirun` with this program, which runs `test` with `argument` in the variable [`ARGUMENT`].
pub(crate) fn command(test: &str, ranks: usize, argument: &str) -> Command {
    let mut command = mpirun(ranks, &std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(TEST, test)
        .env(ARGUMENT, argument);
    command
}

/// `mpirun` with a program.
pub(crate) fn mpirun(ranks: usize, program: &Path) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["-n", &ranks.to_string()])
        .arg(program)
        // Of Open MPI: more ranks than cores, which then wait politely, also in a container.
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("OMPI_MCA_mpi_yield_when_idle", "1")
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        // Ranks that wait for each other for ever must not wait here.
        .env("MPIEXEC_TIMEOUT", "600");
    command
}

/// The variable with a test's argument, for example a folder.
const ARGUMENT: &str = "RTRL_MPI_ARGUMENT";

pub(crate) fn argument() -> String {
    std::env::var(ARGUMENT).unwrap()
}
