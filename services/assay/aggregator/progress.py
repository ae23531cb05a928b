"""What a run looks like from outside at one moment; nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable

from assay.aggregator.endpoints import EndpointView
from assay.aggregator.leases import LeaseBook
from assay.aggregator.tasks import Task
from assay.domain.lease import QueueState
from assay.domain.report import RunState
from assay.domain.snapshot import (
    EndpointCondition,
    QueueSnapshot,
    TaskSnapshot,
)
from assay.domain.task import TaskState


def run_state(tasks: Iterable[Task], *, finished: bool, failure: str) -> RunState:
    """RUNNING until the run is finished; then what its tasks have come to."""
    if not finished:
        return RunState.RUNNING
    states = {task.state for task in tasks}
    if failure or TaskState.FAILED in states or not all(s.ended for s in states):
        return RunState.FAILED
    if TaskState.BELOW_COVERAGE in states:
        return RunState.BELOW_COVERAGE
    return RunState.COMPLETE


def task_snapshot(task: Task, queue: LeaseBook) -> TaskSnapshot:
    """One task as drivers see it."""
    return TaskSnapshot(
        id=task.id,
        state=task.state,
        counts=task.counts(queue.leased_count(task.id)),
        unscored_by_reason=task.unscored_by_reason(),
        committed=task.opened.committed if task.opened else 0,
        message=task.failure or task.withheld,
    )


def queue_snapshot(
    state: QueueState,
    queue: LeaseBook,
    tasks: Iterable[Task],
    endpoint: EndpointView | None,
    *,
    name: str,
    now: float,
) -> QueueSnapshot:
    """One queue as drivers see it."""
    return QueueSnapshot(
        queue=name,
        state=state,
        workers=len(queue.live_workers()),
        endpoint=EndpointCondition(
            usable=endpoint.condition.usable,
            reason=endpoint.condition.reason,
            message=endpoint.condition.message,
            for_seconds=now - endpoint.since,
        )
        if endpoint
        else None,
        open_count=sum(t.opened.ledger.open_count for t in tasks if t.opened),
    )
