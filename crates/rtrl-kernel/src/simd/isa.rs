//! Which instruction set runs, and how to force one.

use std::fmt;
use std::str::FromStr;

use pulp::{Arch, Scalar, Simd, WithSimd};

use crate::error::Error;

/// An instruction set that this processor has. A value of this type is the proof of it.
///
/// Results do not depend on it: every set gives the same bits.
#[derive(Clone, Copy)]
pub struct Isa(Arch);

impl Isa {
    /// The environment variable that forces an instruction set: `scalar`, `v3` (AVX2 and FMA), `v4`
    /// (AVX-512), `neon` or `wasm`.
    pub const VARIABLE: &'static str = "RTRL_ISA";

    /// The widest set of this processor.
    pub fn best() -> Self {
        Self(Arch::new())
    }

    /// Plain scalar code, which runs everywhere.
    pub fn scalar() -> Self {
        Self(Arch::Scalar)
    }

    /// The set named by [`Isa::VARIABLE`], or the best one where that is unset or empty.
    ///
    /// # Errors
    /// [`Error::Isa`] if the name is unknown or the processor lacks the set.
    pub fn from_env() -> Result<Self, Error> {
        match std::env::var_os(Self::VARIABLE) {
            Some(name) if !name.is_empty() => name.to_string_lossy().parse(),
            _ => Ok(Self::best()),
        }
    }

    /// Every set of this processor, narrowest first.
    pub fn available() -> Vec<Self> {
        let mut sets = vec![Self::scalar()];
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        {
            sets.extend(pulp::x86::V3::try_new().map(|simd| Self(Arch::V3(simd))));
            sets.extend(pulp::x86::V4::try_new().map(|simd| Self(Arch::V4(simd))));
        }
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
        if Self::best().name() != "scalar" {
            sets.push(Self::best());
        }
        sets
    }

    /// The name that [`Isa::VARIABLE`] takes.
    pub fn name(self) -> &'static str {
        match self.0 {
            Arch::Scalar => "scalar",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Arch::V3(_) => "v3",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Arch::V4(_) => "v4",
            #[cfg(target_arch = "aarch64")]
            Arch::Neon(_) => "neon",
            #[cfg(target_arch = "wasm32")]
            Arch::Simd128(_) => "wasm",
            #[allow(unreachable_patterns, reason = "pulp's list is non-exhaustive on some targets")]
            _ => "other",
        }
    }

    /// Runs `work` compiled for this set. Only what is inlined into it uses the set.
    #[inline(always)]
    pub(crate) fn run<W: Work>(self, work: &mut W) -> W::Output {
        match self.0 {
            // Inlined here, its registers would be saved on the way to every other set.
            Arch::Scalar => run_scalar(work),
            arch => arch.dispatch(Dispatched(work)),
        }
    }
}

/// What a loop does, given registers. It is handed on by reference: a call costs a small network a
/// hundredth of its step, and copying the arguments as much again.
pub(crate) trait Work {
    /// What it returns.
    type Output;
    /// All of it, inlined into code that may use the instruction set of `simd`.
    fn run<S: Simd>(&mut self, simd: S) -> Self::Output;
}

/// [`Isa::run`] without vectors.
#[inline(never)]
fn run_scalar<W: Work>(work: &mut W) -> W::Output {
    work.run(Scalar)
}

/// Work on its way through pulp.
struct Dispatched<'a, W>(&'a mut W);

impl<W: Work> WithSimd for Dispatched<'_, W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> W::Output {
        self.0.run(simd)
    }
}

impl FromStr for Isa {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let available = Self::available();
        available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| Error::Isa {
            requested: name.to_owned(),
            available: available.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", "),
        })
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl PartialEq for Isa {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Isa {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_set_is_found_by_its_name() {
        for isa in Isa::available() {
            assert_eq!(isa.name().parse::<Isa>(), Ok(isa));
        }
    }

    #[test]
    fn an_unknown_set_is_an_error_that_lists_the_known_ones() {
        let message = "avx9".parse::<Isa>().unwrap_err().to_string();
        assert!(message.contains("avx9") && message.contains("scalar"), "{message}");
    }

    /// A set that the processor has but that is never chosen would leave its tests unrun.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_sets_of_the_processor_are_all_there() {
        let has = |name| Isa::available().iter().any(|isa| isa.name() == name);
        assert_eq!(has("v3"), is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"));
        assert_eq!(
            has("v4"),
            is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq")
        );
    }
}
