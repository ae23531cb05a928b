"""Between WorkService's messages and lease records, as the serving side needs them."""

from __future__ import annotations

from collections.abc import Iterable

from assay.domain.lease import (
    CommitOutcome,
    EndpointCondition,
    ExtendGrant,
    HeldLease,
    Lease,
    LeaseGrant,
    QueueState,
)
from assay.rpc.convert import prompt_to_proto, task_id_from_proto, task_id_to_proto
from assay.v1 import work_pb2


def grant_to_proto(grant: LeaseGrant) -> work_pb2.LeaseResponse:
    """The answer to a wish for work."""
    return work_pb2.LeaseResponse(
        leases=[_lease_to_proto(lease) for lease in grant.leases],
        in_flight_limit=grant.in_flight_limit,
        state=_state_to_proto(grant.state),
    )


def extension_to_proto(grant: ExtendGrant) -> work_pb2.ExtendResponse:
    """The answer to an announcement of held leases."""
    return work_pb2.ExtendResponse(
        leases=[
            work_pb2.ExtendedLease(
                lease_id=lease.lease_id, held=lease.held, expires_seconds=lease.expires
            )
            for lease in grant.leases
        ],
        in_flight_limit=grant.in_flight_limit,
        state=_state_to_proto(grant.state),
    )


def outcomes_to_proto(outcomes: Iterable[CommitOutcome]) -> work_pb2.CommitResponse:
    """The answer to a commit."""
    return work_pb2.CommitResponse(
        outcomes=[
            work_pb2.CommitOutcome.Value(f"COMMIT_OUTCOME_{outcome.name}")
            for outcome in outcomes
        ]
    )


def held_from_proto(message: work_pb2.HeldLease) -> HeldLease:
    """A lease as its holder announces it."""
    return HeldLease(
        lease_id=message.lease_id,
        task=task_id_from_proto(message.task),
        open_ordinals=tuple(message.open_ordinals),
    )


def endpoint_from_proto(message: work_pb2.EndpointCondition) -> EndpointCondition:
    """What a worker sees of its endpoint."""
    return EndpointCondition(
        usable=message.usable, reason=message.reason, message=message.message
    )


def _lease_to_proto(lease: Lease) -> work_pb2.Lease:
    return work_pb2.Lease(
        lease_id=lease.lease_id,
        task=task_id_to_proto(lease.task),
        expires_seconds=lease.expires,
        samples=[
            work_pb2.LeasedSample(
                ordinal=sample.ordinal,
                sample_id=sample.sample_id,
                turn=sample.turn,
                history=sample.history,
                prompt=prompt_to_proto(sample.prompt),
            )
            for sample in lease.samples
        ],
    )


def _state_to_proto(state: QueueState) -> work_pb2.QueueState.ValueType:
    return work_pb2.QueueState.Value(f"QUEUE_STATE_{state.name}")
