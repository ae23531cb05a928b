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
class TaskSnapshot:
    """One task at that moment.

    Attributes:
        committed: completions made durable by this aggregator; for rates.
        message: one sentence where the state needs one; empty: it does not.
    """

    id: TaskId
    state: TaskState
    counts: TaskCounts
    unscored_by_reason: Mapping[UnscoredReason, int] = field(default_factory=dict)
    committed: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSnapshot:
    """One queue (a model's key) at that moment.

    Attributes:
        workers: workers heard of within their heartbeat.
        endpoint: None: no worker has said anything yet.
        open_count: samples pending or leased.
    """

    queue: str
    state: QueueState
    workers: int = 0
    endpoint: EndpointCondition | None = None
    open_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """A run at one moment.

    Attributes:
        epoch: the aggregator's incarnation.
        version: grows with every change within an epoch.
        message: one sentence where the state needs one; empty: it does not.
    """

    run_id: str
    state: RunState
    tasks: tuple[TaskSnapshot, ...]
    queues: tuple[QueueSnapshot, ...]
    epoch: int
    version: int
    message: str = ""
