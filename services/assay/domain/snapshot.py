"""What an aggregator says of its run at one moment: what drivers look at before they decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from assay.domain.lease import QueueState
from assay.domain.report import RunState
from assay.domain.sample import UnscoredReason
from assay.domain.task import TaskCounts, TaskId, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCondition:
    """What workers see of a queue's endpoint as a whole; no sample's failure.

    Attributes:
        usable: whether at least one request got an answer that was not about the whole endpoint.
        reason: a word (`connection_refused`, `unauthorized`, ...); empty: usable.
        message: one sentence with address and cure, no secrets; empty: usable.
        for_seconds: how long it has been like this.
    """

    usable: bool
    reason: str = ""
    message: str = ""
    for_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlineScore:
    """The first of the figures that sum a task up.

    Attributes:
        split: upstream's; empty: it has none.
        lowest, highest: what it can be; infinite: no such bound.
        text: as a person is shown it (`82.00 of 100`).
    """

    name: str
    split: str
    value: float
    lowest: float
    highest: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSnapshot:
    """One task at that moment.

    Attributes:
        committed: completions made durable by this aggregator; for rates.
        message: one sentence where the state needs one; empty: it does not.
        score: None: there is none yet, or it is withheld.
        adopted: samples whose record that counts stands in a former execution.
    """

    id: TaskId
    state: TaskState
    counts: TaskCounts
    unscored_by_reason: Mapping[UnscoredReason, int] = field(default_factory=dict)
    committed: int = 0
    message: str = ""
    score: HeadlineScore | None = None
    adopted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSnapshot:
    """One queue (a model's key) at that moment.

    Attributes:
        workers: workers heard of within their heartbeat.
        endpoint: None: no worker has said anything yet.
        open_count: samples pending or leased; of a judge: requests.
        answered_count: requests of a judge that have an answer; 0 of a model, whose tasks say it.
    """

    queue: str
    state: QueueState
    workers: int = 0
    endpoint: EndpointCondition | None = None
    open_count: int = 0
    answered_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """A run at one moment.

    Attributes:
        epoch: the aggregator's incarnation.
        version: grows with every change within an epoch.
        message: one sentence where the state needs one; empty: it does not.
        started, finished: RFC 3339, UTC; `finished` is empty while it goes on.
    """

    run_id: str
    state: RunState
    tasks: tuple[TaskSnapshot, ...]
    queues: tuple[QueueSnapshot, ...]
    epoch: int
    version: int
    message: str = ""
    started: str = ""
    finished: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run of a store, as a list shows it.

    Attributes:
        name: what the user calls it; empty: nothing.
        started, finished: RFC 3339, UTC; `finished` is empty while it goes on.
        models, datasets: the models' keys, the datasets' names.
        counts: over all tasks; None: not known without taking the run over.
        message: one sentence where the state needs one; empty: it does not.
    """

    run_id: str
    name: str
    state: RunState
    started: str = ""
    finished: str = ""
    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    counts: TaskCounts | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A file of a run's result, as `Report` names it.

    Attributes:
        path: below the run's folder.
        sha256: hex; empty in a list of names.
    """

    path: str
    size: int
    sha256: str = ""
