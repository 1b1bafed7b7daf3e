//! How large the world is that is explored, and what is wrong in it on purpose.

use tollbooth_ledger::Defect;

/// What a record of an input is, in the order of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Work that succeeded, reported for the first time: an entry.
    Charge(u8),
    /// The same work reported once more, as a retry: no entry.
    Again(u8),
    /// No record at all: a dead letter.
    Broken,
}

/// A mistake that somebody could make in the worker, beside those that can be [planted](tollbooth_ledger::planted) there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// The ledger's end is asked for before the predecessor is fenced.
    EndBeforeFence,
    /// What is open or aborted is folded, too.
    ReadsUncommitted,
    /// The inputs' offsets are committed by themselves, after the transaction.
    OffsetsOutside,
    /// What the group has committed is not asked for: only the ledger's word counts.
    ForgetsGroup,
    /// A restored state goes on from where its copy ends.
    SkipsTail,
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) meters: u8,
    /// Records of `usage`, and how many of them are there from the begin.
    pub(super) usage: &'static [Input],
    pub(super) there: u8,
    /// How many commands follow the one that opens the account.
    pub(super) commands: u8,
    /// How often the group gives the partition to another meter.
    pub(super) handovers: u8,
    pub(super) crashes: u8,
    /// How often the broker asks for an abort.
    pub(super) aborts: u8,
    /// How often the coordinator ends a transaction that was open for too long.
    pub(super) timeouts: u8,
    /// How often a state is written to the disk of its meter.
    pub(super) writes: u8,
    /// How often such a copy becomes the checkpoint.
    pub(super) checkpoints: u8,
    pub(super) defect: Option<Defect>,
    pub(super) mistake: Option<Mistake>,
}

impl Bounds {
    /// Two meters, and nothing that goes wrong.
    const CALM: Self = Self {
        meters: 2,
        usage: &[Input::Charge(0), Input::Broken],
        there: 2,
        commands: 0,
        handovers: 0,
        crashes: 0,
        aborts: 0,
        timeouts: 0,
        writes: 0,
        checkpoints: 0,
        defect: None,
        mistake: None,
    };

    /// Every kind of record, all there from the begin, and a crash.
    pub(super) const CRASHES: Self = Self {
        usage: &[Input::Charge(0), Input::Again(0), Input::Broken],
        there: 3,
        handovers: 1,
        crashes: 1,
        ..Self::CALM
    };

    /// Copies of states: old ones, torn ones, none.
    pub(super) const COPIES: Self =
        Self { usage: &[Input::Charge(0), Input::Charge(1)], crashes: 2, writes: 2, ..Self::CALM };

    /// Another meter's copy.
    pub(super) const CHECKPOINT: Self =
        Self { usage: &[Input::Charge(0), Input::Charge(1)], handovers: 1, writes: 1, checkpoints: 1, ..Self::CALM };

    /// What every run of the tests has time for.
    pub(super) const SMALL: [(&str, Self); 7] = [
        ("late records", Self { there: 2, crashes: 0, ..Self::CRASHES }),
        ("crashes", Self::CRASHES),
        ("aborts and time-outs", Self { handovers: 1, aborts: 1, timeouts: 1, ..Self::CALM }),
        ("copies", Self::COPIES),
        ("checkpoint", Self::CHECKPOINT),
        ("commands", Self { usage: &[Input::Charge(0)], there: 1, commands: 1, handovers: 1, ..Self::CALM }),
        ("three meters", Self { meters: 3, usage: &[Input::Broken], there: 1, handovers: 2, ..Self::CALM }),
    ];

    /// What a night has time for.
    pub(super) const LARGE: [(&str, Self); 7] = [
        ("there and back", Self { handovers: 2, crashes: 0, ..Self::CRASHES }),
        ("crashes, there and back", Self { handovers: 2, crashes: 1, ..Self::CALM }),
        ("crashes, aborts and time-outs", Self { handovers: 1, crashes: 1, aborts: 1, timeouts: 1, ..Self::CALM }),
        ("copies and hand-over", Self { crashes: 1, ..Self::CHECKPOINT }),
        (
            "commands and crashes",
            Self { usage: &[Input::Charge(0)], there: 1, commands: 1, handovers: 1, crashes: 1, ..Self::CALM },
        ),
        (
            "three meters and an abort",
            Self { meters: 3, usage: &[Input::Broken], there: 1, handovers: 2, aborts: 1, ..Self::CALM },
        ),
        (
            "three meters and a crash",
            Self { meters: 3, usage: &[Input::Charge(0)], there: 1, handovers: 1, crashes: 1, ..Self::CALM },
        ),
    ];

    pub(super) fn is(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    pub(super) fn are_kept(&self) -> bool {
        self.writes > 0
    }

    /// How many records the inputs come to: of usage, and of commands with the one that opens the account.
    pub(super) fn ends(&self) -> [u8; 2] {
        [u8::try_from(self.usage.len()).expect("few"), self.commands + 1]
    }
}
