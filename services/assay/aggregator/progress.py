"""What a run looks like from outside at one moment; nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, fields
from math import isfinite
from typing import TYPE_CHECKING

from assay.aggregator.endpoints import EndpointView
from assay.aggregator.leases import LeaseBook
from assay.aggregator.tasks import Task
from assay.domain.judge import JUDGE_QUEUE
from assay.domain.lease import QueueState
from assay.domain.report import RunState
from assay.domain.snapshot import (
    EndpointCondition,
    HeadlineScore,
    QueueSnapshot,
    RunSnapshot,
    TaskSnapshot,
)
from assay.domain.task import TaskCounts, TaskState
from assay.report.headline import figure, headline_metrics, scale_words

if TYPE_CHECKING:
    from assay.aggregator.runbook import RunBook


def end_state(tasks: Iterable[Task], *, failure: str) -> RunState:
    """What the tasks of a run that is finished have come to."""
    states = {task.state for task in tasks}
    if failure or TaskState.FAILED in states or not all(s.ended for s in states):
        return RunState.FAILED
    if TaskState.BELOW_COVERAGE in states:
        return RunState.BELOW_COVERAGE
    return RunState.COMPLETE


def run_snapshot(book: RunBook) -> RunSnapshot:
    """A run as drivers see it.

    Raises:
        NotFoundError: it was never opened.
    """
    pinned, now = book.pinned, book.means.clock()
    book.meters.mark(book.tasks.values())
    return RunSnapshot(
        run_id=pinned.run_id,
        state=book.standing.state,
        tasks=tuple(
            _task_snapshot(task, book.queue(task.id.model))
            for task in book.tasks.values()
        ),
        queues=tuple(
            _queue_snapshot(
                book.queue_state(name),
                book.queue(name),
                _open_count(book, name),
                board.view(),
                name=name,
                answered_count=book.bench.answered_count if name == JUDGE_QUEUE else 0,
                now=now,
            )
            for name, board in book.boards.items()
        ),
        epoch=book.epoch.number,
        version=book.changes.version,
        message=book.standing.message or book.trouble,
        started=pinned.started,
        finished=book.standing.finished,
    )


def _task_snapshot(task: Task, queue: LeaseBook) -> TaskSnapshot:
    """One task as drivers see it."""
    return TaskSnapshot(
        id=task.id,
        state=task.state,
        counts=task.counts(queue.leased_count(task.id)),
        unscored_by_reason=task.unscored_by_reason(),
        committed=task.opened.committed if task.opened else 0,
        message=task.failure or task.withheld,
        score=_headline(task),
        adopted=task.opened.ledger.adopted_count if task.opened else 0,
    )


def total_counts(tasks: Iterable[Task]) -> TaskCounts:
    """Samples of all tasks by what has become of them."""
    counts = [task.counts(0) for task in tasks]
    names = [field.name for field in fields(TaskCounts)]
    return TaskCounts(**{n: sum(getattr(each, n) for each in counts) for n in names})


def _headline(task: Task) -> HeadlineScore | None:
    """The first of the figures that a table shows for it; None: there is none, or it is withheld."""
    score = task.score
    if score is None or task.withheld or not task.state.ended:
        return None
    first = next(iter(headline_metrics([asdict(m) for m in score.metrics])), None)
    if first is None or first["value"] is None:
        return None
    value, (low, high) = first["value"], first["scale"]
    shown_high = high if isfinite(high) else None
    return HeadlineScore(
        name=first["name"],
        split="" if first["split"].lower() == "none" else first["split"],
        value=value,
        lowest=low,
        highest=high,
        text=figure(value, shown_high) + scale_words(low, shown_high),
    )


def _open_count(book: RunBook, queue: str) -> int:
    if queue == JUDGE_QUEUE:
        return book.bench.ledger.open_count
    return sum(t.opened.ledger.open_count for t in book.tasks_of(queue) if t.opened)


def _queue_snapshot(
    state: QueueState,
    queue: LeaseBook,
    open_count: int,
    endpoint: EndpointView | None,
    *,
    name: str,
    answered_count: int,
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
        open_count=open_count,
        answered_count=answered_count,
    )
