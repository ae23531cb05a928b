"""What a person should be told when a run's snapshot changes; pure, so that nothing is said twice."""

from __future__ import annotations

from collections.abc import Iterator

from assay.domain.report import RunState
from assay.domain.run import Run
from assay.domain.snapshot import QueueSnapshot, RunSnapshot
from assay.domain.task import TaskState


def news(run: Run, before: RunSnapshot | None, now: RunSnapshot) -> Iterator[str]:
    """One sentence for each thing that has just become so."""
    yield from _of_trouble(before, now)
    queues = {queue.queue: queue for queue in before.queues} if before else {}
    for queue in now.queues:
        yield from _of_endpoint(run, queues.get(queue.queue), queue)
    states = {task.id: task.state for task in before.tasks} if before else {}
    for task in now.tasks:
        failed = task.state is TaskState.FAILED
        if failed and states.get(task.id) is not TaskState.FAILED:
            yield f"{task.id} failed: {task.message or 'see its log'}"


def _of_trouble(before: RunSnapshot | None, now: RunSnapshot) -> Iterator[str]:
    """What keeps a running run from keeping answers, and the end of it."""
    if now.state is not RunState.RUNNING:
        return
    said = before.message if before and before.state is RunState.RUNNING else ""
    if now.message and now.message != said:
        yield f"{now.message}; waiting for it, answers are kept meanwhile"
    elif said and not now.message:
        yield "answers can be kept again"


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
