"""A WorkService in memory behind a real server, so that a worker meets losses, restarts and drains."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.domain.completion import Completion
from assay.domain.errors import AssayError, UnavailableError
from assay.domain.prompt import Prompt, TextPart, Turn
from assay.domain.task import TaskId
from assay.rpc.callers import SharedToken
from assay.rpc.convert import (
    completion_from_proto,
    prompt_to_proto,
    task_id_from_proto,
    task_id_to_proto,
)
from assay.rpc.server import Registration, RpcServer, serve
from assay.v1 import work_pb2, work_pb2_grpc

TOKEN = "work-fake-token"
TASK = TaskId("m", "D")

Key = tuple[TaskId, int]


def question(ordinal: int) -> Prompt:
    return Prompt((Turn((TextPart(f"question {ordinal}"),)),))


@dataclass
class Work:
    """What an aggregator keeps: samples, who has them, what came back. Survives restarts of the server."""

    samples: dict[Key, Prompt]
    limit: int = 4
    lease_seconds: float = 30.0
    lease_size: int = 16
    closes: bool = True
    """The queue is closed once everything is committed."""
    state: str = "OPEN"
    leased: dict[Key, str] = field(default_factory=dict)
    given: list[list[int]] = field(default_factory=list)
    committed: dict[Key, Completion] = field(default_factory=dict)
    commits: Counter[Key] = field(default_factory=Counter)
    released: list[str] = field(default_factory=list)
    extends: list[work_pb2.ExtendRequest] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    lose_acks: int = 0
    fail_commits: AssayError | None = None
    forget_leases: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(cls, count: int, **settings: Any) -> Work:
        return cls({(TASK, n): question(n) for n in range(count)}, **settings)

    def present_state(self) -> work_pb2.QueueState.ValueType:
        done = self.closes and len(self.committed) == len(self.samples)
        name = "CLOSED" if done and self.state == "OPEN" else self.state
        return work_pb2.QueueState.Value(f"QUEUE_STATE_{name}")

    def free(self) -> list[Key]:
        return [
            key
            for key in self.samples
            if key not in self.leased and key not in self.committed
        ]

    def notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Waits for something this work sees."""
        async with asyncio.timeout(seconds):
            while not condition():
                event = self.changed
                try:
                    async with asyncio.timeout(0.02):
                        await event.wait()
                except TimeoutError:
                    continue


class FakeWorkServicer(work_pb2_grpc.WorkServiceServicer):
    """Serves `Work`; each start is another incarnation, whose lease ids differ."""

    _incarnations = 0

    def __init__(self, work: Work) -> None:
        type(self)._incarnations += 1
        self._epoch = type(self)._incarnations
        self.work = work
        self._leases = 0

    async def Lease(  # noqa: N802
        self, request: work_pb2.LeaseRequest, context: Any
    ) -> work_pb2.LeaseResponse:
        work = self.work
        work.calls.append("lease")
        deadline = time.monotonic() + request.wait_seconds
        while (
            not work.free()
            and work.present_state() == work_pb2.QUEUE_STATE_OPEN
            and time.monotonic() < deadline
        ):
            event = work.changed
            try:
                async with asyncio.timeout(0.05):
                    await event.wait()
            except TimeoutError:
                continue
        leases = []
        if work.present_state() == work_pb2.QUEUE_STATE_OPEN:
            leases = self._grant(work.free()[: request.capacity])
        return work_pb2.LeaseResponse(
            leases=leases, in_flight_limit=work.limit, state=work.present_state()
        )

    def _grant(self, keys: Sequence[Key]) -> list[work_pb2.Lease]:
        by_task: dict[TaskId, list[int]] = {}
        for task, ordinal in keys:
            by_task.setdefault(task, []).append(ordinal)
        leases = []
        for task, ordinals in by_task.items():
            for at in range(0, len(ordinals), self.work.lease_size):
                piece = ordinals[at : at + self.work.lease_size]
                self._leases += 1
                lease_id = f"{self._epoch}-{self._leases}"
                self.work.leased.update(
                    dict.fromkeys([(task, n) for n in piece], lease_id)
                )
                self.work.given.append(piece)
                leases.append(
                    work_pb2.Lease(
                        lease_id=lease_id,
                        task=task_id_to_proto(task),
                        expires_seconds=self.work.lease_seconds,
                        samples=[
                            work_pb2.LeasedSample(
                                ordinal=n,
                                sample_id=str(n),
                                prompt=prompt_to_proto(self.work.samples[task, n]),
                            )
                            for n in piece
                        ],
                    )
                )
        return leases

    async def Extend(  # noqa: N802
        self, request: work_pb2.ExtendRequest, context: Any
    ) -> work_pb2.ExtendResponse:
        work = self.work
        work.calls.append("extend")
        work.extends.append(request)
        held = not work.forget_leases
        for lease in request.held:
            keys = [(task_id_from_proto(lease.task), n) for n in lease.open_ordinals]
            for key in keys:
                if held and key not in work.committed:
                    work.leased[key] = lease.lease_id
                else:
                    work.leased.pop(key, None)
        work.notify()
        return work_pb2.ExtendResponse(
            leases=[
                work_pb2.ExtendedLease(
                    lease_id=lease.lease_id,
                    held=held,
                    expires_seconds=work.lease_seconds if held else 0,
                )
                for lease in request.held
            ],
            in_flight_limit=work.limit,
            state=work.present_state(),
        )

    async def Commit(  # noqa: N802
        self, request: work_pb2.CommitRequest, context: Any
    ) -> work_pb2.CommitResponse:
        work = self.work
        work.calls.append("commit")
        if work.fail_commits is not None:
            raise work.fail_commits
        task = task_id_from_proto(request.task)
        outcomes = []
        for message in request.completions:
            key = (task, message.ordinal)
            known = key in work.committed
            if not known:
                work.committed[key] = completion_from_proto(message)
            work.commits[key] += 1
            work.leased.pop(key, None)
            outcomes.append(
                work_pb2.COMMIT_OUTCOME_LOST if known else work_pb2.COMMIT_OUTCOME_WON
            )
        work.notify()
        if work.lose_acks:
            work.lose_acks -= 1
            raise UnavailableError("the acknowledgement got lost")
        return work_pb2.CommitResponse(outcomes=outcomes)

    async def Release(  # noqa: N802
        self, request: work_pb2.ReleaseRequest, context: Any
    ) -> work_pb2.ReleaseResponse:
        self.work.calls.append("release")
        self.work.released.extend(request.lease_ids)
        for key, lease_id in list(self.work.leased.items()):
            if lease_id in request.lease_ids:
                del self.work.leased[key]
        self.work.notify()
        return work_pb2.ReleaseResponse()


async def serve_work(work: Work, listen: str = "127.0.0.1:0") -> RpcServer:
    """Serves `work` with production interceptors; on the former address: a restart."""
    servicer = FakeWorkServicer(work)
    registration = Registration(
        "assay.v1.WorkService",
        lambda server: work_pb2_grpc.add_WorkServiceServicer_to_server(
            servicer, server
        ),
    )
    return await serve([registration], listen=listen, authenticator=SharedToken(TOKEN))
