"""What `decide` asks a driver to do; every driver carries out the same words with its own means.

Every action may be asked for again while its effect has not been observed: a driver carries it out
once and leaves alone what is under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from assay.domain.run import PicturePolicy
from assay.domain.task import TaskId


class Service(StrEnum):
    """What serves a run."""

    DATASET = "dataset"
    AGGREGATOR = "aggregator"


@dataclass(frozen=True, slots=True)
class StartService:
    """Have this service up, at the place where its callers look for it."""

    service: Service


@dataclass(frozen=True, slots=True)
class OpenRun:
    """Tell the aggregator which run it is about."""


@dataclass(frozen=True, slots=True)
class RetryUnscored:
    """Make samples that ended without a verdict pending again."""


@dataclass(frozen=True, slots=True)
class PrepareDataset:
    """Have a dataset prepared under one picture policy."""

    dataset: str
    pictures: PicturePolicy


@dataclass(frozen=True, slots=True)
class AttachDataset:
    """Pin the prepared dataset for these models' tasks."""

    dataset: str
    models: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class FailDataset:
    """Say why these models' tasks on a dataset cannot be had."""

    dataset: str
    models: tuple[str, ...]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class EnsureWorkers:
    """Have this many workers draw from a model's queue."""

    model: str
    replicas: int


@dataclass(frozen=True, slots=True)
class StopWorkers:
    """Let a model's workers finish what is in flight and go."""

    model: str


@dataclass(frozen=True, slots=True)
class StartScorer:
    """Have a task scored."""

    task: TaskId


@dataclass(frozen=True, slots=True)
class StopScorer:
    """End a task's scorer; nothing of it is kept, it may be started again."""

    task: TaskId


@dataclass(frozen=True, slots=True)
class FinishRun:
    """Close the run and write its report.

    Attributes:
        failure: why it ends before every task has ended; empty: it does not.
    """

    failure: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before this moment unless something happens.

    Attributes:
        until: on the clock of `Observed.now`; None: until something happens.
    """

    until: float | None = None


class Outcome(StrEnum):
    """How a driver's work on a run ends."""

    FINISHED = "FINISHED"
    INTERRUPTED = "INTERRUPTED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is left to do: let everything go.

    Attributes:
        outcome: FINISHED: the run's own state says how.
        message: one sentence; empty for FINISHED.
    """

    outcome: Outcome
    message: str = ""


Action = (
    StartService
    | OpenRun
    | RetryUnscored
    | PrepareDataset
    | AttachDataset
    | FailDataset
    | EnsureWorkers
    | StopWorkers
    | StartScorer
    | StopScorer
    | FinishRun
    | Wait
    | Leave
)
