"""The worker's side of WorkService: domain records in and out, a deadline on every call."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from assay.domain.completion import Completion
from assay.domain.lease import (
    CommitOutcome,
    EndpointCondition,
    ExtendGrant,
    HeldLease,
    Lease,
    LeasedSample,
    LeaseExtension,
    LeaseGrant,
    QueueState,
)
from assay.domain.task import TaskId
from assay.rpc.convert import (
    completion_to_proto,
    prompt_from_proto,
    task_id_from_proto,
    task_id_to_proto,
)
from assay.rpc.status import error_of
from assay.v1 import work_pb2, work_pb2_grpc

CALL_SECONDS = 10.0
"""Deadline of calls that are answered at once; `lease` adds the time it may wait."""

COMMIT_SECONDS = 60.0
"""Deadline of a commit: it returns only when the store has the answers."""


class WorkClient:
    """Calls WorkService for one worker of one run."""

    def __init__(
        self, channel: grpc.aio.Channel, *, run_id: str, queue: str, worker_id: str
    ) -> None:
        self._stub = work_pb2_grpc.WorkServiceStub(channel)
        self._run_id = run_id
        self._queue = queue
        self._worker_id = worker_id

    async def lease(self, capacity: int, wait: float) -> LeaseGrant:
        """Asks for up to `capacity` more samples, waiting up to `wait` seconds for a first one.

        Raises:
            UnavailableError: the aggregator is away; keep what is held, try again.
            NotFoundError: the run is not open there.
            AssayError: whatever else the other side raised.
        """
        request = work_pb2.LeaseRequest(
            run_id=self._run_id,
            queue=self._queue,
            worker_id=self._worker_id,
            capacity=capacity,
            wait_seconds=wait,
        )
        try:
            answer = await self._stub.Lease(request, timeout=wait + CALL_SECONDS)
        except grpc.RpcError as failure:
            raise error_of(failure, f"lease work from queue {self._queue}") from failure
        return LeaseGrant(
            leases=tuple(_lease_from_proto(lease) for lease in answer.leases),
            in_flight_limit=answer.in_flight_limit,
            state=_state_from_proto(answer.state),
        )

    async def extend(
        self, held: Sequence[HeldLease], endpoint: EndpointCondition | None
    ) -> ExtendGrant:
        """Keeps leases alive, or announces them to an aggregator that came back.

        Raises:
            AssayError: as `lease`.
        """
        request = work_pb2.ExtendRequest(
            run_id=self._run_id,
            queue=self._queue,
            worker_id=self._worker_id,
            held=[
                work_pb2.HeldLease(
                    lease_id=lease.lease_id,
                    task=task_id_to_proto(lease.task),
                    open_ordinals=lease.open_ordinals,
                )
                for lease in held
            ],
        )
        if endpoint is not None:
            request.endpoint.usable = endpoint.usable
            request.endpoint.reason = endpoint.reason
            request.endpoint.message = endpoint.message
        try:
            answer = await self._stub.Extend(request, timeout=CALL_SECONDS)
        except grpc.RpcError as failure:
            raise error_of(failure, f"extend {len(held)} leases") from failure
        return ExtendGrant(
            leases=tuple(
                LeaseExtension(
                    lease_id=lease.lease_id,
                    held=lease.held,
                    expires=lease.expires_seconds,
                )
                for lease in answer.leases
            ),
            in_flight_limit=answer.in_flight_limit,
            state=_state_from_proto(answer.state),
        )

    async def commit(
        self, task: TaskId, completions: Sequence[Completion]
    ) -> tuple[CommitOutcome, ...]:
        """Hands in completions of one task; returns when they are durable, in their order.

        Raises:
            UnavailableError: not durable, or not known to be: send the same again.
            StoreFullError: keep the answers, try again with back-off.
            AssayError: as `lease`.
        """
        request = work_pb2.CommitRequest(
            run_id=self._run_id,
            worker_id=self._worker_id,
            task=task_id_to_proto(task),
            completions=[completion_to_proto(item) for item in completions],
        )
        try:
            answer = await self._stub.Commit(request, timeout=COMMIT_SECONDS)
        except grpc.RpcError as failure:
            attempted = f"commit {len(completions)} completions of {task}"
            raise error_of(failure, attempted) from failure
        return tuple(_outcome_from_proto(outcome) for outcome in answer.outcomes)

    async def release(self, lease_ids: Sequence[str]) -> None:
        """Gives samples back at once.

        Raises:
            AssayError: as `lease`.
        """
        request = work_pb2.ReleaseRequest(
            run_id=self._run_id, worker_id=self._worker_id, lease_ids=lease_ids
        )
        try:
            await self._stub.Release(request, timeout=CALL_SECONDS)
        except grpc.RpcError as failure:
            raise error_of(failure, f"release {len(lease_ids)} leases") from failure


def _lease_from_proto(message: work_pb2.Lease) -> Lease:
    return Lease(
        lease_id=message.lease_id,
        task=task_id_from_proto(message.task),
        expires=message.expires_seconds,
        samples=tuple(
            LeasedSample(
                ordinal=sample.ordinal,
                sample_id=sample.sample_id,
                turn=sample.turn,
                history=tuple(sample.history),
                prompt=prompt_from_proto(sample.prompt),
            )
            for sample in message.samples
        ),
    )


def _state_from_proto(value: work_pb2.QueueState.ValueType) -> QueueState:
    return QueueState[work_pb2.QueueState.Name(value).removeprefix("QUEUE_STATE_")]


def _outcome_from_proto(value: work_pb2.CommitOutcome.ValueType) -> CommitOutcome:
    name = work_pb2.CommitOutcome.Name(value)
    return CommitOutcome[name.removeprefix("COMMIT_OUTCOME_")]
