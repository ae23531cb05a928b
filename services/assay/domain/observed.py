"""What a driver sees of the world around a run before it asks `decide`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from assay.domain.judge import JUDGE_QUEUE
from assay.domain.run import PicturePolicy
from assay.domain.snapshot import RunSnapshot
from assay.domain.task import TaskId


class Ending(StrEnum):
    """How a part ended.

    DONE: it says its work is over. MUST_GO: it had to leave, its work did not end. CRASHED: it failed
    or was killed. REFUSED: it cannot run as it was told to. HELD: somebody else has the run.
    """

    DONE = "DONE"
    MUST_GO = "MUST_GO"
    CRASHED = "CRASHED"
    REFUSED = "REFUSED"
    HELD = "HELD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """One end of one incarnation of a part.

    Attributes:
        at: when, on the clock of `Observed.now`.
        lived: seconds from its start.
        progress: `progress_of` the run at that moment, so that deaths in a row without any can be told.
        message: its last words, one sentence; empty: none are known.
    """

    at: float
    lived: float
    ending: Ending
    progress: int
    message: str = ""


class Presence(StrEnum):
    """Whether a part is there."""

    ABSENT = "ABSENT"
    STARTING = "STARTING"
    READY = "READY"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """A service, a scorer, or the workers of one model.

    Attributes:
        count: how many are there (workers), 0 where `presence` is ABSENT.
        deaths: oldest first.
        journal: where a person finds what it wrote; empty: nowhere.
    """

    presence: Presence = Presence.ABSENT
    count: int = 0
    deaths: tuple[Death, ...] = ()
    journal: str = ""


ABSENT = PartView()


class PreparationState(StrEnum):
    """Where a dataset is on its way to being prepared."""

    NONE = "NONE"
    PREPARING = "PREPARING"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One dataset under one picture policy.

    Attributes:
        digest: of the prepared dataset; empty unless READY.
        reason: a reason word of `domain.errors`; empty unless FAILED.
        message: one sentence; empty unless FAILED.
        transient: whether trying again unchanged may help.
        failures: how often it failed so far.
        failed_at: when it failed last, on the clock of `Observed.now`.
    """

    state: PreparationState = PreparationState.NONE
    digest: str = ""
    reason: str = ""
    message: str = ""
    transient: bool = False
    failures: int = 0
    failed_at: float = 0.0


UNPREPARED = Preparation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The world at one moment.

    Attributes:
        now: seconds on a clock that never goes back.
        opened: whether the aggregator that is up now has accepted the run.
        snapshot: the last one seen, even if the aggregator is away; None: never one.
        snapshot_at: when it was seen.
        going_on: the user asked to go on with an earlier run (resume, retry).
        retry_asked: the user asked for what is unscored to be asked again.
        retried: that was done.
        drain: the user asked to stop.
        early_workers: workers may wait for their first sample at no cost.
        replicas: workers per model; a model not named has one.
        scorer_slots: scorers that may be there at a time.
        sequential: models' workers and the judge's share what there is one of: never both at a time.
        fatal: a call that can never succeed, in one sentence; empty: none.
    """

    now: float
    opened: bool = False
    snapshot: RunSnapshot | None = None
    snapshot_at: float = 0.0
    services: Mapping[str, PartView] = field(default_factory=dict)
    workers: Mapping[str, PartView] = field(default_factory=dict)
    scorers: Mapping[TaskId, PartView] = field(default_factory=dict)
    preparations: Mapping[tuple[str, PicturePolicy], Preparation] = field(
        default_factory=dict
    )
    going_on: bool = False
    retry_asked: bool = False
    retried: bool = False
    drain: bool = False
    early_workers: bool = False
    replicas: Mapping[str, int] = field(default_factory=dict)
    scorer_slots: int = 1
    sequential: bool = False
    fatal: str = ""

    def must_wait(self, model: str) -> bool:
        """Whether workers that must not be there at the same time as this queue's are still there."""
        if not self.sequential:
            return False
        return any(
            view.count
            for other, view in self.workers.items()
            if (other == JUDGE_QUEUE) != (model == JUDGE_QUEUE)
        )
