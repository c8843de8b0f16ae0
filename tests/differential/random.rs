//! A generator of reproducible random numbers (`SplitMix64`).

/// The state of the generator.
pub(super) struct Random(u64);

impl Random {
    /// The generator of one turn of a run, independent of other turns.
    pub(super) fn of(seed: u64, turn: u64) -> Self {
        let mut first = Self(seed);
        let offset = first.next();
        Self(offset ^ turn.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the items.
    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        let count = u64::try_from(of.len()).unwrap();
        let chosen = usize::try_from(self.next() % count).unwrap();
        of[chosen].clone()
    }

    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    /// A subset of the items in order, each with probability `1 / once_in`.
    pub(super) fn some<T: Clone>(&mut self, of: &[T], once_in: u64) -> Vec<T> {
        let chosen = of.iter().filter(|_| self.once_in(once_in));
        chosen.cloned().collect()
    }
}
