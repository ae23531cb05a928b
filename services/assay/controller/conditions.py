"""The status of an EvalRun, as the API server keeps it: conditions, counts, scores and former executions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

LONGEST_MESSAGE = 2000
"""Of a condition, in characters; the API server takes more, people do not."""


class Kind(StrEnum):
    """The conditions of an EvalRun: all present from first sight, in this order."""

    ACCEPTED = "Accepted"
    DATASET_READY = "DatasetReady"
    INFERRING = "Inferring"
    JUDGING = "Judging"
    SCORED = "Scored"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"


class _Slim(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Fields are named as Python does here and as Kubernetes does on the wire."""


class Condition(_Slim, frozen=True, kw_only=True):
    """One condition; its transition time moves only when its status does."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class TaskStatus(_Slim, frozen=True, kw_only=True):
    """One task's counts and score; null score: it has none (yet)."""

    model: str
    dataset: str
    state: str
    total: int = 0
    answered: int = 0
    scored: int = 0
    unscored: int = 0
    score: float | None = None
    message: str = ""


class Execution(_Slim, frozen=True, kw_only=True):
    """One execution of an EvalRun; absent times are empty."""

    run_id: str
    spec_digest: str
    state: str
    generation: int = 0
    started: str = ""
    finished: str = ""


class EvalRunStatus(_Slim, frozen=True, kw_only=True):
    """Everything the controller tells; lists are null where nothing was told yet."""

    observed_generation: int = 0
    run_id: str = ""
    spec_digest: str = ""
    state: str = ""
    models: str = ""
    datasets: str = ""
    judge: str = ""
    progress: str = ""
    score: str = ""
    store: str = ""
    conditions: list[Condition] | None = None
    tasks: list[TaskStatus] | None = None
    executions: list[Execution] | None = None

    def condition(self, kind: Kind) -> Condition | None:
        """The condition of that kind; None: it was not told yet."""
        return next((c for c in self.conditions or () if c.type == kind), None)


@dataclass(frozen=True, slots=True)
class Word:
    """What a condition is to say; `status` None: unknown."""

    status: bool | None
    reason: str
    message: str = ""


def yes(reason: str, message: str = "") -> Word:
    """It is so."""
    return Word(status=True, reason=reason, message=message)


def no(reason: str, message: str = "") -> Word:
    """It is not so."""
    return Word(status=False, reason=reason, message=message)


def unknown(reason: str, message: str = "") -> Word:
    """Nobody knows yet."""
    return Word(status=None, reason=reason, message=message)


def conditions(
    words: Mapping[Kind, Word], former: EvalRunStatus, *, generation: int, now: str
) -> list[Condition]:
    """The conditions of now; a transition time moves only where the status does.

    Args:
        words: one for each kind.
        former: the status as it was last.
        generation: of the spec that they speak of.
        now: RFC 3339, UTC, whole seconds.
    """
    return [
        _condition(kind, words[kind], former.condition(kind), generation, now)
        for kind in Kind
    ]


def _condition(
    kind: Kind, word: Word, before: Condition | None, generation: int, now: str
) -> Condition:
    status = "Unknown" if word.status is None else str(word.status)
    same = before is not None and before.status == status
    return Condition(
        type=kind,
        status=status,
        reason=word.reason,
        message=word.message[:LONGEST_MESSAGE],
        last_transition_time=before.last_transition_time if before and same else now,
        observed_generation=generation,
    )
