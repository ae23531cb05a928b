"""What a run's report is made of; `report/` turns it into files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from assay.domain.run import Run
from assay.domain.sample import UnscoredReason
from assay.domain.score import Metric
from assay.domain.task import TaskCounts, TaskId, TaskState


class RunState(StrEnum):
    """Where a run is; all but RUNNING are final until a retry or a resume, CANCELLED for good.

    SUPERSEDED: another execution of the same evaluation follows it.
    """

    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    BELOW_COVERAGE = "BELOW_COVERAGE"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """One task as it ended.

    Attributes:
        judge: who decided where matching alone could not (`exact_matching`: nobody).
        metrics: upstream's figures; empty where withheld or nothing is to be scored.
        withheld: why there are no metrics; empty: there are.
        message: one sentence where the state needs one; empty: it does not.
        files: upstream's files, relative to the run's folder.
        samples: the sample table, relative to the run's folder; empty: there is none.
        prepared_digest, source_digest, task_digest: hex; empty where never known.
        provenance: versions and limits in force where it was scored.
        exhausted: scored samples whose judge replies cannot be read and that upstream scores all the same.
        adopted: samples that former executions answered, by their run ids.
    """

    id: TaskId
    state: TaskState
    counts: TaskCounts
    unscored_by_reason: Mapping[UnscoredReason, int]
    judge: str
    metrics: tuple[Metric, ...] = ()
    withheld: str = ""
    message: str = ""
    files: tuple[str, ...] = ()
    samples: str = ""
    prepared_digest: str = ""
    source_digest: str = ""
    task_digest: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    exhausted: int = 0
    adopted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTally:
    """What a judge has cost in one run.

    Attributes:
        calls: requests made, those made again included.
        answers, failures: what they came to, each request once.
        prompt_tokens, completion_tokens: as the endpoint counted.
    """

    calls: int = 0
    answers: int = 0
    failures: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """One run as it ended.

    Attributes:
        started, finished: RFC 3339, UTC.
        message: one sentence where the state needs one; empty: it does not.
        provenance: versions of what ran it (assay, Python, ...).
        judge: what the judge model has cost; None: there is none.
    """

    run_id: str
    run: Run
    state: RunState
    spec_digest: str
    started: str
    finished: str
    tasks: tuple[TaskReport, ...]
    message: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    judge: JudgeTally | None = None
