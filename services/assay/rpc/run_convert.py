"""Between RunService's messages and run snapshots."""

from __future__ import annotations

from assay.domain.lease import QueueState
from assay.domain.report import RunState
from assay.domain.snapshot import (
    EndpointCondition,
    QueueSnapshot,
    RunSnapshot,
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
    )


def snapshot_from_proto(message: run_pb2.RunView) -> RunSnapshot:
    """A snapshot from a message.

    Raises:
        KeyError: a state this version does not know.
    """
    state = run_pb2.RunState.Name(message.state).removeprefix("RUN_STATE_")
    return RunSnapshot(
        run_id=message.run_id,
        state=RunState[state],
        tasks=tuple(_task_from_proto(task) for task in message.tasks),
        queues=tuple(_queue_from_proto(queue) for queue in message.queues),
        epoch=message.epoch,
        version=message.version,
        message=message.message,
    )


def _task_to_proto(task: TaskSnapshot) -> run_pb2.TaskView:
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
    )


def _queue_to_proto(queue: QueueSnapshot) -> run_pb2.QueueView:
    message = run_pb2.QueueView(
        queue=queue.queue,
        state=work_pb2.QueueState.Value(f"QUEUE_STATE_{queue.state.name}"),
        worker_count=queue.workers,
        open_count=queue.open_count,
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
    )
