"""The lease loop that infer and judge workers share: lease ahead, ask, commit as answers land, drain.

Wired by `<service>/main.py`. The loop owns what is held; `Dispatcher` owns what is asked, `Committer` what
is handed in. While the aggregator is away it goes on with what it holds; when it comes back the leases are
announced before another one is asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol, TypeVar

import structlog

from assay.domain.completion import Completion
from assay.domain.errors import AssayError, UnavailableError
from assay.domain.lease import (
    CommitOutcome,
    EndpointCondition,
    ExtendGrant,
    HeldLease,
    LeaseGrant,
    QueueState,
)
from assay.domain.run import Model
from assay.worker.commits import CommitClient, Committer
from assay.worker.contact import Contact, Timing
from assay.worker.dispatch import Dispatcher, Engine, Events
from assay.worker.endpoint import EndpointState
from assay.worker.held import HeldSample, Key, LeaseBook
from assay.worker.pictures import PictureReader

_log = structlog.get_logger(__name__)

_AHEAD_MOST = 2_000
"""Samples held beyond those in flight, however fast the endpoint is: more would be kept from others."""
_IDLE_BEAT_SECONDS = 5.0
_EMPTY_PAUSE_SECONDS = 0.05

_T = TypeVar("_T")


class LoopClient(CommitClient, Protocol):
    """WorkService as `assay.rpc.work_client.WorkClient` offers it."""

    async def lease(self, capacity: int, wait: float) -> LeaseGrant:
        """Asks for work."""
        ...

    async def extend(
        self, held: Sequence[HeldLease], endpoint: EndpointCondition | None
    ) -> ExtendGrant:
        """Announces what is held."""
        ...

    async def release(self, lease_ids: Sequence[str]) -> None:
        """Gives samples back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSnapshot:
    """What a worker is doing now, for operators; counts since its start where not said otherwise."""

    in_flight: int
    held: int
    committed: int
    requests: int
    draining: bool
    limit: int = 0
    results: Mapping[str, int] = field(default_factory=dict)


class WorkerLoop:
    """One worker's life; `run` returns when it ends well."""

    def __init__(
        self,
        client: LoopClient,
        engine: Engine,
        model: Model,
        *,
        timing: Timing | None = None,
        drain_seconds: float = 20.0,
        pictures: PictureReader | None = None,
    ) -> None:
        self._client = client
        self._timing = timing or Timing()
        self._drain_seconds = drain_seconds
        self._capacity_at_first = 2 * model.nproc
        self._book = LeaseBook()
        self._contact = Contact(self._timing, time.monotonic)
        self._committer = Committer(
            client, self._contact, self._timing, self._acknowledged
        )
        self._dispatcher = Dispatcher(
            engine,
            model.endpoint,
            self._timing,
            Events(self._completed, self._book.drop, self._condition_changed),
            pictures=pictures,
        )
        self._state = QueueState.OPEN
        self._draining = False
        self._let_go: set[str] = set()
        self._failures = 0
        self._announcing = asyncio.Lock()
        self._need = asyncio.Event()
        self._need.set()
        self._beat = asyncio.Event()
        self._changed = asyncio.Event()

    def drain(self) -> None:
        """Stops leasing and starting; `run` ends when what is in flight has landed. Idempotent."""
        if not self._draining:
            _log.info("draining", held=len(self._book))
        self._draining = True
        self._changed.set()

    def snapshot(self) -> WorkerSnapshot:
        """What the worker is doing now."""
        return WorkerSnapshot(
            in_flight=self._dispatcher.in_flight,
            held=len(self._book),
            committed=self._committer.committed,
            requests=self._dispatcher.requests,
            draining=self._draining,
            limit=self._dispatcher.limit.present,
            results=dict(self._dispatcher.results),
        )

    @property
    def finished(self) -> bool:
        """Whether the queue is closed for good, so that no other worker is needed in this one's place."""
        return self._state is QueueState.CLOSED

    async def run(self) -> None:
        """Works until the queue is closed and nothing is held, or until drained.

        Raises:
            UnavailableError: the aggregator was silent for longer than patience lasts.
            UnauthenticatedError: this worker was started wrongly.
            StoreUnavailableError: pictures cannot be read.
        """
        try:
            async with asyncio.TaskGroup() as group:
                running = [
                    group.create_task(part)
                    for part in (
                        self._committer.run(),
                        self._dispatcher.run(),
                        self._beat_on(),
                    )
                ]
                leasing = group.create_task(self._lease_on())
                await self._ended()
                leasing.cancel()
                await self._leave()
                for part in running:
                    part.cancel()
        except BaseExceptionGroup as failures:
            raise _first_of_ours(failures) from failures
        _log.info("done", committed=self._committer.committed)

    # What follows is told by the dispatcher and the committer.

    def _completed(self, held: HeldSample, completion: Completion) -> None:
        self._committer.add(held.task, completion)
        following = self._book.follow(held, completion)
        if following is not None:
            self._go_on(following)
        if len(self._book) == self._committer.pending:
            self._committer.hurry()
        if self._wanted() > 0:
            self._need.set()

    def _go_on(self, following: HeldSample) -> None:
        """Has the next turn of a conversation asked, unless nobody wants it any more."""
        if self._state is QueueState.CLOSED:
            self._let_go.add(following.lease_id)
            self._book.drop(following)
        else:
            self._dispatcher.go_on(following)

    def _acknowledged(self, key: Key, outcome: CommitOutcome) -> None:
        self._book.acknowledged(key)
        if outcome is not CommitOutcome.WON:
            self._book.forsake(key)
        if not len(self._book):
            self._changed.set()

    def _condition_changed(self, condition: EndpointCondition) -> None:
        self._beat.set()
        self._changed.set()
        if condition.usable:
            self._need.set()

    # Leases.

    async def _lease_on(self) -> None:
        while self._state is QueueState.OPEN and not self._draining:
            await self._need.wait()
            self._need.clear()
            wanted = self._wanted()
            if wanted <= 0:
                continue
            while self._contact.reannounce:
                await self._announce()
            grant = await self._tried(
                self._client.lease(wanted, self._timing.lease_wait)
            )
            if grant is not None:
                self._take(grant)
                if not grant.leases:
                    # The call has waited already; this keeps a hasty server from being asked in circles.
                    await asyncio.sleep(_EMPTY_PAUSE_SECONDS)
            if self._wanted() > 0:
                self._need.set()

    def _wanted(self) -> int:
        """Samples to ask for now; nothing until at least half of what is held ahead is used up."""
        gate, limit = self._dispatcher.gate, self._dispatcher.limit
        if gate.state is EndpointState.DOWN:
            return 0
        unasked = len(self._book) - self._committer.pending
        if not limit.most:
            return self._capacity_at_first if not len(self._book) else 0
        latency = self._dispatcher.latency
        rate = limit.present / latency if latency else limit.most
        ahead = min(_AHEAD_MOST, max(limit.most, ceil(rate * self._timing.ahead)))
        if unasked >= limit.most + ahead // 2:
            return 0
        return limit.most + ahead - unasked

    def _take(self, grant: LeaseGrant) -> None:
        fresh = [held for lease in grant.leases for held in self._book.add(lease)]
        self._granted(grant.in_flight_limit, grant.state)
        if fresh:
            self._dispatcher.add(fresh)
        period = self._book.shortest_period()
        if period is not None and period / 3 < _IDLE_BEAT_SECONDS:
            self._beat.set()  # the pause that is under way is too long for such leases

    def _granted(self, limit: int, state: QueueState) -> None:
        self._dispatcher.grant(limit)
        if state is not self._state:
            _log.info("queue", state=str(state))
            self._state = state
            self._changed.set()
            if state is QueueState.CLOSED:
                self._leave_unasked()

    def _leave_unasked(self) -> None:
        """Nobody wants what is not asked yet, or another execution asks it: it hears so at once."""
        unasked = self._book.unasked()
        for held in unasked:
            self._let_go.add(held.lease_id)
            self._book.drop(held)
        if unasked:
            self._beat.set()

    async def _beat_on(self) -> None:
        while True:
            period = self._book.shortest_period()
            pause = period / 3 if period else _IDLE_BEAT_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._beat.wait()
            self._beat.clear()
            await self._announce()

    async def _announce(self) -> None:
        """Extends every lease; what was lost is dropped."""
        async with self._announcing:
            condition = self._dispatcher.gate.condition
            grant = await self._tried(
                self._client.extend(self._book.announcement(), condition)
            )
            if grant is None:
                return
            self._contact.reannounce = False
            for lease in grant.leases:
                if lease.held:
                    self._book.extended(lease.lease_id, lease.expires)
                else:
                    _log.warning("lease lost", lease_id=lease.lease_id)
                    self._book.lost(lease.lease_id)
            self._granted(grant.in_flight_limit, grant.state)
        self._changed.set()
        self._need.set()

    async def _tried(self, call: Awaitable[_T]) -> _T | None:
        """The answer; None, after a pause, where the aggregator gave none."""
        try:
            answer = await call
        except AssayError as error:
            self._failures += 1
            await asyncio.sleep(self._contact.failed(error, self._failures))
            return None
        self._failures = 0
        self._contact.heard()
        return answer

    # The end.

    async def _ended(self) -> None:
        while not self._over():
            self._changed.clear()
            await self._changed.wait()

    def _over(self) -> bool:
        if self._draining:
            return True
        if self._state is QueueState.OPEN:
            return False
        dead = self._dispatcher.gate.state is EndpointState.DOWN
        return not len(self._book) or (self._state is QueueState.CLOSED and dead)

    async def _leave(self) -> None:
        """Lets requests in flight land, hands in what there is, gives the rest back."""
        self._dispatcher.stop()
        if len(self._book):
            await self._dispatcher.finish(self._drain_seconds)
        try:
            async with asyncio.timeout(self._timing.farewell):
                await self._committer.all_acknowledged()
                if leases := {*self._book.lease_ids(), *self._let_go} - {""}:
                    await self._client.release(sorted(leases))
        except (TimeoutError, AssayError) as error:
            # Leases end by themselves; what was not acknowledged will be asked again.
            unacknowledged = self._committer.pending
            if unacknowledged:
                raise UnavailableError(
                    f"left with {unacknowledged} answers that the aggregator did not acknowledge"
                ) from error
            _log.warning("leases were not given back", error=str(error))


def _first_of_ours(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the worker: ours if there is one, else whatever there is."""
    found: list[BaseException] = []
    queue: list[BaseException] = [failures]
    while queue:
        error = queue.pop()
        if isinstance(error, BaseExceptionGroup):
            queue.extend(error.exceptions)
        else:
            found.append(error)
    ours = [error for error in found if isinstance(error, AssayError)]
    return (ours or found)[0]
