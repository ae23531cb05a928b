"""What a person should be told when a run's snapshot changes, so that nothing is said twice."""

from __future__ import annotations

from collections.abc import Iterator

from assay.domain.observed import Death
from assay.domain.report import RunState
from assay.domain.run import Run
from assay.domain.snapshot import QueueSnapshot, RunSnapshot
from assay.domain.task import TaskCounts, TaskState


def news(run: Run, before: RunSnapshot | None, now: RunSnapshot) -> Iterator[str]:
    """One sentence for each thing that has just become so."""
    queues = {queue.queue: queue for queue in before.queues} if before else {}
    for queue in now.queues:
        yield from _of_endpoint(run, queues.get(queue.queue), queue)
    states = {task.id: task.state for task in before.tasks} if before else {}
    for task in now.tasks:
        failed = task.state is TaskState.FAILED
        if failed and states.get(task.id) is not TaskState.FAILED:
            yield f"{task.id} failed: {task.message or 'see its log'}"


class Troubles:
    """What keeps a running run from keeping answers: said once, until one is kept again."""

    def __init__(self) -> None:
        self._said: tuple[str, ...] = ()
        self._kept = 0

    def news(self, now: RunSnapshot) -> Iterator[str]:
        """One sentence where trouble has begun, changed its kind, or ended."""
        if now.state is not RunState.RUNNING:
            return
        kept = sum(_kept(task.counts) for task in now.tasks)
        if now.message:
            kind = _kind(now.message)
            if kind != self._said:
                self._said, self._kept = kind, kept
                yield f"{now.message}; waiting for it, answers are kept meanwhile"
        elif self._said and kept > self._kept:
            # A new aggregator has no trouble yet: only an answer shows that it is over.
            yield "answers can be kept again"
            self._said = ()


class Deaths:
    """Parts that ended: of a crash loop the first death is told; that it is given up, the run says."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}

    def news(self, role: str, death: Death) -> Iterator[str]:
        """One sentence, unless the last of this role said the same and nothing came of it since."""
        words = death.message, death.progress
        if self._last.get(role) != words:
            self._last[role] = words
            yield f"{role} ended: {death.message}"


def _kind(message: str) -> tuple[str, ...]:
    """A message without its places: a full disk is one trouble, whatever cannot be written there."""
    return tuple(word for word in message.split() if "/" not in word)


def _kept(counts: TaskCounts) -> int:
    return counts.predicted + counts.scored + counts.unscored


def _of_endpoint(
    run: Run, before: QueueSnapshot | None, now: QueueSnapshot
) -> Iterator[str]:
    dead_before = before is not None and _dead(before)
    if now.endpoint is None or dead_before == _dead(now):
        return
    if _dead(now):
        why = now.endpoint.message or now.endpoint.reason
        yield (
            f"the endpoint of model {now.queue} is unusable: {why}; "
            f"waiting up to {run.endpoint_patience:g} s for it"
        )
    else:
        yield f"the endpoint of model {now.queue} answers again"


def _dead(queue: QueueSnapshot) -> bool:
    return queue.endpoint is not None and not queue.endpoint.usable
