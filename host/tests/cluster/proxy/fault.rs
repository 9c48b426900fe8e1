//! What goes wrong, and when: the plan.
//!
//! Each decision comes of the seed, of what is asked, and of how often that was asked before, not of the order in which
//! requests happen to come: so a seed gives much the same faults again.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::asked::{Asked, Verb};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// The connection ends before the API server sees anything.
    Refused,
    /// The connection ends in the middle of the answer.
    Cut,
    /// It all takes its time; a watch lags.
    Latency,
    /// Answered with this code, and a word on when to come again, before the API server sees it.
    Status(u16),
    /// The write happens, and nobody is told: an error is the answer, or none.
    LostAnswer,
    /// A write is answered with 409, and does not happen.
    Conflict,
    /// A watch is answered with 410, and again as long as it begins at that version.
    Expired,
    /// A watch ends with the event that tells of a 410.
    ExpiredEvent,
    /// A watch that says nothing from the start.
    Silent,
    /// A watch that falls silent.
    FallsSilent,
    /// Half of an answer, as if it were all; of a watch, half a line.
    Truncated,
    /// What is no JSON, or only its beginning, or not what was asked for.
    Garbage,
    /// The same, as one line of a watch in place of an event.
    GarbageEvent,
    /// Never answered, not even with a status.
    Unanswered,
}

/// All that end by themselves within a moment.
pub(crate) const QUICK: [Fault; 13] = [
    Fault::Refused,
    Fault::Cut,
    Fault::Latency,
    Fault::Status(429),
    Fault::Status(500),
    Fault::Status(503),
    Fault::LostAnswer,
    Fault::Conflict,
    Fault::Expired,
    Fault::ExpiredEvent,
    Fault::Truncated,
    Fault::Garbage,
    Fault::GarbageEvent,
];

/// Those that the host has to notice by its own clock.
pub(crate) const SILENT: [Fault; 3] = [Fault::Silent, Fault::FallsSilent, Fault::Unanswered];

impl Fault {
    fn fits(self, asked: &Asked) -> bool {
        let watch = asked.verb == Verb::Watch;
        match self {
            Self::LostAnswer | Self::Conflict => asked.changes(),
            Self::Expired | Self::ExpiredEvent | Self::GarbageEvent | Self::Silent | Self::FallsSilent => watch,
            Self::Garbage => !watch,
            _ => true,
        }
    }

    /// Of a watch: it begins well.
    fn is_of_events(self) -> bool {
        !matches!(self, Self::Refused | Self::Status(_) | Self::Unanswered)
    }
}

/// A fault that was drawn, with the dice for its details.
pub(super) struct Drawn {
    pub(super) fault: Fault,
    pub(super) dice: StdRng,
}

/// Which faults, how often.
pub(crate) struct Plan {
    faults: Vec<Fault>,
    often: Often,
    only: fn(&Asked) -> bool,
    /// An object is spared after this many in a round: backoff doubles, so that a few more would outlast what a test waits for.
    patience: u32,
    seed: u64,
    asked: HashMap<String, u64>,
    suffered: HashMap<String, u32>,
    /// What was asked for, and at which version.
    expired: HashSet<(String, String)>,
    /// By kind, those that did happen.
    pub(crate) injected: BTreeMap<Fault, u32>,
}

enum Often {
    Chance(f64),
    /// The first time that something is asked for.
    First,
}

impl Plan {
    pub(crate) fn none() -> Self {
        Self::first(&[])
    }

    /// Each request that a fault fits suffers one with this chance, of a third at most; a watch, which is one request for many
    /// events, the first time for certain and then with three times that, where its events suffer.
    pub(crate) fn chance(chance: f64, faults: &[Fault]) -> Self {
        let (asked, suffered, expired, injected) = Default::default();
        let (faults, only, often) = (faults.to_vec(), (|_| true) as fn(&Asked) -> bool, Often::Chance(chance));
        Self { faults, often, only, patience: 4, seed: seed(), asked, suffered, expired, injected }
    }

    /// What is asked for the first time suffers one, an object just once.
    pub(crate) fn first(faults: &[Fault]) -> Self {
        Self { often: Often::First, patience: 1, ..Self::chance(0.0, faults) }
    }

    /// Of these requests only.
    pub(crate) fn only(self, only: fn(&Asked) -> bool) -> Self {
        Self { only, ..self }
    }

    /// From now on nothing goes wrong any more; what went wrong stays counted.
    pub(crate) fn calm(&mut self) {
        self.faults.clear();
    }

    /// Objects that have suffered enough may suffer again.
    pub(crate) fn next_round(&mut self) {
        self.suffered.clear();
    }

    /// What goes wrong with this request?
    pub(super) fn draw(&mut self, asked: &Asked) -> Option<Drawn> {
        let what = asked.what();
        let (mut dice, nth) = self.dice(&what);
        let version = (what, asked.version.clone());
        if asked.verb == Verb::List {
            // Who lists has a newer version then.
            self.expired.retain(|(what, _)| !what.contains(&asked.resource));
        } else if asked.verb == Verb::Watch && self.expired.contains(&version) {
            return Some(Drawn { fault: Fault::Expired, dice });
        }
        let fitting: Vec<Fault> = self.faults.iter().copied().filter(|fault| fault.fits(asked)).collect();
        if fitting.is_empty() || !(self.only)(asked) {
            return None;
        }
        let fault = fitting[dice.random_range(..fitting.len())];
        let so = match self.often {
            Often::Chance(chance) if asked.verb == Verb::Watch && fault.is_of_events() => {
                nth == 1 || dice.random_bool(3.0 * chance)
            }
            Often::Chance(chance) => dice.random_bool(chance),
            Often::First => nth == 1,
        };
        if !so {
            return None;
        }
        if !asked.name.is_empty() {
            let suffered = self.suffered.entry(asked.name.clone()).or_default();
            if *suffered == self.patience {
                return None;
            }
            *suffered += 1;
        }
        if fault == Fault::Expired {
            self.expired.insert(version);
        }
        Some(Drawn { fault, dice })
    }

    /// Dice for this, and how often they were asked for.
    fn dice(&mut self, what: &str) -> (StdRng, u64) {
        let nth = self.asked.entry(what.to_owned()).or_default();
        *nth += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, what, *nth).hash(&mut hasher);
        (StdRng::seed_from_u64(hasher.finish()), *nth)
    }
}

/// Of all that is random in a test: `OPERON_TEST_SEED`, otherwise another each time.
pub(crate) fn seed() -> u64 {
    static SEED: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("OPERON_TEST_SEED").ok();
        given.map_or_else(rand::random, |seed| seed.parse().expect("OPERON_TEST_SEED has to be a number"))
    })
}
