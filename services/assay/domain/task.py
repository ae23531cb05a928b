"""A task is one (model, dataset) pair of a run: what gets a score."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, order=True)
class TaskId:
    """Names a task within its run: the model's key and the dataset's name."""

    model: str
    dataset: str

    def __str__(self) -> str:
        return f"{self.model}/{self.dataset}"


class TaskState(StrEnum):
    """Where a task is in its life.

    WAITING: its dataset is not prepared yet. INFERRING: samples are open. INFERRED: every sample has
    a prediction or a reason. SCORING: a scorer has it. COMPLETE: scored, coverage reached (or nothing
    to score by design). BELOW_COVERAGE: scored, but the score is withheld. FAILED: its dataset could
    not be prepared, or its scorer failed for good.
    """

    WAITING = "WAITING"
    INFERRING = "INFERRING"
    INFERRED = "INFERRED"
    SCORING = "SCORING"
    COMPLETE = "COMPLETE"
    BELOW_COVERAGE = "BELOW_COVERAGE"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the task without a retry."""
        return self in {TaskState.COMPLETE, TaskState.BELOW_COVERAGE, TaskState.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCounts:
    """Samples of a task by what has become of them; the parts sum to `total`.

    `predicted` have an answer and no verdict yet; `unscored` have a reason instead of a verdict.
    """

    total: int = 0
    pending: int = 0
    leased: int = 0
    predicted: int = 0
    scored: int = 0
    unscored: int = 0
