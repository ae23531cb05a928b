"""Between RunService's messages and run snapshots."""

from __future__ import annotations

from assay.domain.lease import QueueState
from assay.domain.report import RunState
from assay.domain.snapshot import (
    EndpointCondition,
    HeadlineScore,
    QueueSnapshot,
    ResultFile,
    RunSnapshot,
    RunSummary,
    TaskSnapshot,
)
from assay.rpc.convert import (
    counts_from_proto,
    counts_to_proto,
    reason_from_proto,
    reason_to_proto,
    task_id_from_proto,
    task_id_to_proto,
    task_state_from_proto,
    task_state_to_proto,
)
from assay.v1 import run_pb2, work_pb2


def snapshot_to_proto(snapshot: RunSnapshot) -> run_pb2.RunView:
    """A snapshot as a message."""
    return run_pb2.RunView(
        run_id=snapshot.run_id,
        state=run_pb2.RunState.Value(f"RUN_STATE_{snapshot.state.name}"),
        tasks=[_task_to_proto(task) for task in snapshot.tasks],
        queues=[_queue_to_proto(queue) for queue in snapshot.queues],
        epoch=snapshot.epoch,
        version=snapshot.version,
        message=snapshot.message,
        started=snapshot.started,
        finished=snapshot.finished,
    )


def snapshot_from_proto(message: run_pb2.RunView) -> RunSnapshot:
    """A snapshot from a message.

    Raises:
        KeyError: a state this version does not know.
    """
    return RunSnapshot(
        run_id=message.run_id,
        state=_state_from_proto(message.state),
        tasks=tuple(_task_from_proto(task) for task in message.tasks),
        queues=tuple(_queue_from_proto(queue) for queue in message.queues),
        epoch=message.epoch,
        version=message.version,
        message=message.message,
        started=message.started,
        finished=message.finished,
    )


def summary_to_proto(summary: RunSummary) -> run_pb2.RunSummary:
    """A line of a list as a message."""
    return run_pb2.RunSummary(
        run_id=summary.run_id,
        name=summary.name,
        state=run_pb2.RunState.Value(f"RUN_STATE_{summary.state.name}"),
        started=summary.started,
        finished=summary.finished,
        models=summary.models,
        datasets=summary.datasets,
        counts=None if summary.counts is None else counts_to_proto(summary.counts),
        message=summary.message,
    )


def summary_from_proto(message: run_pb2.RunSummary) -> RunSummary:
    """A line of a list from a message.

    Raises:
        KeyError: a state this version does not know.
    """
    return RunSummary(
        run_id=message.run_id,
        name=message.name,
        state=_state_from_proto(message.state),
        started=message.started,
        finished=message.finished,
        models=tuple(message.models),
        datasets=tuple(message.datasets),
        counts=counts_from_proto(message.counts)
        if message.HasField("counts")
        else None,
        message=message.message,
    )


def file_to_proto(file: ResultFile) -> run_pb2.ReportPart:
    """A file's head as a message."""
    head = run_pb2.ReportFile(path=file.path, byte_count=file.size, sha256=file.sha256)
    return run_pb2.ReportPart(file=head)


def file_from_proto(message: run_pb2.ReportFile) -> ResultFile:
    """A file's head from a message."""
    return ResultFile(path=message.path, size=message.byte_count, sha256=message.sha256)


def _state_from_proto(state: run_pb2.RunState.ValueType) -> RunState:
    return RunState[run_pb2.RunState.Name(state).removeprefix("RUN_STATE_")]


def _task_to_proto(task: TaskSnapshot) -> run_pb2.TaskView:
    score = task.score
    return run_pb2.TaskView(
        id=task_id_to_proto(task.id),
        state=task_state_to_proto(task.state),
        counts=counts_to_proto(task.counts),
        unscored_by_reason=[
            run_pb2.ReasonCount(reason=reason_to_proto(reason), count=count)
            for reason, count in task.unscored_by_reason.items()
        ],
        committed_count=task.committed,
        message=task.message,
        score=None
        if score is None
        else run_pb2.HeadlineScore(
            name=score.name,
            split=score.split,
            value=score.value,
            lowest=score.lowest,
            highest=score.highest,
            text=score.text,
        ),
        adopted_count=task.adopted,
    )


def _task_from_proto(message: run_pb2.TaskView) -> TaskSnapshot:
    return TaskSnapshot(
        id=task_id_from_proto(message.id),
        state=task_state_from_proto(message.state),
        counts=counts_from_proto(message.counts),
        unscored_by_reason={
            reason_from_proto(each.reason): each.count
            for each in message.unscored_by_reason
        },
        committed=message.committed_count,
        message=message.message,
        score=_score_from_proto(message.score) if message.HasField("score") else None,
        adopted=message.adopted_count,
    )


def _score_from_proto(message: run_pb2.HeadlineScore) -> HeadlineScore:
    return HeadlineScore(
        name=message.name,
        split=message.split,
        value=message.value,
        lowest=message.lowest,
        highest=message.highest,
        text=message.text,
    )


def _queue_to_proto(queue: QueueSnapshot) -> run_pb2.QueueView:
    message = run_pb2.QueueView(
        queue=queue.queue,
        state=work_pb2.QueueState.Value(f"QUEUE_STATE_{queue.state.name}"),
        worker_count=queue.workers,
        open_count=queue.open_count,
        answered_count=queue.answered_count,
    )
    if queue.endpoint is not None:
        message.endpoint.usable = queue.endpoint.usable
        message.endpoint.reason = queue.endpoint.reason
        message.endpoint.message = queue.endpoint.message
        message.endpoint.for_seconds = queue.endpoint.for_seconds
    return message


def _queue_from_proto(message: run_pb2.QueueView) -> QueueSnapshot:
    state = work_pb2.QueueState.Name(message.state).removeprefix("QUEUE_STATE_")
    endpoint = message.endpoint
    return QueueSnapshot(
        queue=message.queue,
        state=QueueState[state],
        workers=message.worker_count,
        endpoint=EndpointCondition(
            usable=endpoint.usable,
            reason=endpoint.reason,
            message=endpoint.message,
            for_seconds=endpoint.for_seconds,
        )
        if message.HasField("endpoint")
        else None,
        open_count=message.open_count,
        answered_count=message.answered_count,
    )
