"""An EvalRun's status as a run's snapshot: what draws the progress of `assay run` draws it, too."""

from __future__ import annotations

from contextlib import suppress

from assay.cluster.evalruns import EvalRun, Task
from assay.domain.report import RunState
from assay.domain.snapshot import RunSnapshot, TaskSnapshot
from assay.domain.task import TaskCounts, TaskId, TaskState


def snapshot_of(item: EvalRun) -> RunSnapshot:
    """As much of a snapshot as a status has: its tasks, or, of very many, one that sums them up."""
    status = item.status
    tasks = [task for each in status.tasks or () for task in _task(each)]
    return RunSnapshot(
        run_id=status.run_id,
        state=RunState.RUNNING,
        tasks=tuple(tasks or _whole(item)),
        queues=(),
        epoch=0,
        version=0,
    )


def _task(task: Task) -> list[TaskSnapshot]:
    """The task; none where its state is a word of another version."""
    with suppress(ValueError):
        counts = TaskCounts(
            total=task.total,
            pending=max(task.total - task.answered, 0),
            predicted=max(task.answered - task.scored - task.unscored, 0),
            scored=task.scored,
            unscored=task.unscored,
        )
        return [
            TaskSnapshot(
                id=TaskId(task.model, task.dataset),
                state=TaskState(task.state),
                counts=counts,
                message=task.message,
            )
        ]
    return []


def _whole(item: EvalRun) -> list[TaskSnapshot]:
    answered, _, total = item.status.progress.partition("/")
    if not (answered.isdecimal() and total.isdecimal()):
        return []
    counts = TaskCounts(
        total=int(total),
        pending=int(total) - int(answered),
        predicted=int(answered),
    )
    name = TaskId(item.status.models, item.status.datasets)
    return [TaskSnapshot(id=name, state=TaskState.INFERRING, counts=counts)]
