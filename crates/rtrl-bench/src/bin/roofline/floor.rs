//! The minimum time of a deferred step, from what it reads and computes.

use rtrl_kernel::cost::DeferredCost;
use serde::Serialize;

use crate::record::{Peaks, Record};

/// Seconds of a step, on average over a window, with a target and an update at every step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Floor {
    /// One read of p.
    pub(crate) p: f64,
    /// The flush per step, at the peak.
    pub(crate) flush: f64,
    /// One read of half a window of Jacobians: the backward pass, on average.
    pub(crate) window: f64,
}

impl Floor {
    /// That of a record of the deferred engine.
    pub(crate) fn of(record: &Record, peaks: &Peaks) -> Option<Self> {
        let (n, h) = (record.units, record.window?);
        let size = if record.precision == "f32" { 4 } else { 8 };
        let width = (record.inputs + 1 + record.units).next_multiple_of(64 / size);
        let flush = DeferredCost::new(n, n * width, h).flush as f64;
        let (q, n, size) = ((n * width) as f64, n as f64, size as f64);
        let peak = peaks.gflops.iter().find(|peak| peak.name == record.precision)?;
        let window = h as f64 * n * n * size;
        Some(Self {
            p: n * q * size / bandwidth(peaks, n * q * size, record.threads)?,
            flush: flush / (1e9 * peak.on(record.threads)),
            window: 0.5 * window / bandwidth(peaks, window, record.threads)?,
        })
    }

    pub(crate) fn total(self) -> f64 {
        self.p + self.flush + self.window
    }
}

/// Bytes per second of the memory level that was measured with the array closest in size.
fn bandwidth(peaks: &Peaks, bytes: f64, threads: usize) -> Option<f64> {
    let apart = |measured: usize| (bytes / measured as f64).ln().abs();
    let levels = peaks.gigabytes_per_second.iter();
    let nearest = levels.min_by(|a, b| apart(a.bytes).total_cmp(&apart(b.bytes)))?;
    Some(1e9 * nearest.limit.on(threads))
}
