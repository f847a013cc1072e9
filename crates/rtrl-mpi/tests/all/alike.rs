//! What ranks agree on, and what they refuse.

use rtrl_model::{EngineChoice, Learner, Network, Optimizer, Pace, Real, Regime, Threads};
use rtrl_mpi::mpi::traits::Equivalence;
use rtrl_mpi::{Error, Ranks};

use crate::launch::on_ranks;

/// A learner of a network with this seed and learning rate.
fn learner<T: Real + Equivalence>(
    ranks: &Ranks,
    seed: u64,
    rate: f64,
    regime: Regime,
) -> Result<Learner<T>, Error> {
    let network = Network::<T>::builder(6, 1).seed(seed).build()?;
    let builder = Learner::builder(network).regime(regime).optimizer(Optimizer::sgd(rate));
    ranks.build(builder, EngineChoice::Eager, Threads::SERIAL)
}

/// All ranks refuse, and say that rank 2 differs in `what`.
fn expect_difference<T: Real>(refused: Result<Learner<T>, Error>, expected: &str) {
    let error = refused.unwrap_err();
    assert!(matches!(error, Error::Differs { rank: 2, .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn ranks_that_differ_refuse_to_start() {
    on_ranks("alike::ranks_that_differ_refuse_to_start", &[4], |ranks| {
        let late = ranks.rank() >= 2;
        let real_time = Regime::real_time();
        learner::<f32>(&ranks, 1, 0.1, real_time).unwrap();
        let rate = if late { 0.2 } else { 0.1 };
        let refused = learner::<f32>(&ranks, 1, rate, real_time);
        expect_difference(refused, "learning_rate: got 0.2, expected 0.1 as on rank 0");
        let refused = learner::<f32>(&ranks, 1 + u64::from(late), 0.1, real_time);
        expect_difference(refused, "rank 2, weights: got");
        let regime = if late { Regime::Epochwise } else { real_time };
        let refused = learner::<f32>(&ranks, 1, 0.1, regime);
        expect_difference(refused, "description.learner.regime");
        if late {
            let refused = learner::<f64>(&ranks, 1, 0.1, real_time);
            expect_difference(refused, "description.precision");
        } else {
            let refused = learner::<f32>(&ranks, 1, 0.1, real_time);
            expect_difference(refused, "description.precision: got \"f64\", expected \"f32\"");
        }
    });
}

#[test]
fn a_failure_of_one_rank_ends_all() {
    on_ranks("alike::a_failure_of_one_rank_ends_all", &[3], |ranks| {
        let rate = if ranks.rank() == 1 { f64::NAN } else { 0.1 };
        let error = learner::<f32>(&ranks, 1, rate, Regime::real_time()).unwrap_err();
        match ranks.rank() {
            1 => assert!(matches!(error, Error::Model(_)), "{error}"),
            _ => assert!(matches!(error, Error::OtherRank { rank: 1, .. }), "{error}"),
        }
    });
}

#[test]
fn an_even_pace_is_refused() {
    on_ranks("alike::an_even_pace_is_refused", &[2], |ranks| {
        let network = Network::<f32>::builder(6, 1).build().unwrap();
        let even = EngineChoice::Deferred { window: None, pace: Pace::Even };
        let refused = ranks.engine(&network, Regime::Epochwise, even, Threads::SERIAL);
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("pace: got even, expected bursts"), "{message}");
    });
}

/// The ranks that wait for one that panics are ended, as `launch.rs` expects of a failed test.
#[test]
fn a_panic_ends_all_ranks() {
    let test = "alike::a_panic_ends_all_ranks";
    if let Some(ranks) = crate::launch::as_rank(test) {
        assert!(ranks.rank() != 1, "meant to fail");
        let _ = ranks.agree(Ok(()));
        return;
    }
    let _alone = crate::launch::alone();
    let output = crate::launch::command(test, 3, "").output().unwrap();
    assert!(!output.status.success());
    let printed = [output.stdout, output.stderr].concat();
    assert!(String::from_utf8_lossy(&printed).contains("meant to fail"));
}
