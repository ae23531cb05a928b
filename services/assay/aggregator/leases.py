"""Who may ask about which samples of a queue, and until when; pure, the clock is handed in.

`work` calls it for every WorkService call, tasks tell it what was committed. A lease is a hint that
saves double work and never a right: a completion counts with or without one.

After a restart of the aggregator its workers are alive and hold leases that nobody remembers. They
announce them with their first `extend`; until every worker in `expected` has done so, or the grace is
over, nothing is leased. Who is expected is read from the last segments (`takeover`): a fresh start, or a
start long after the last segment, expects nobody and waits for nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from assay.aggregator.pools import MOST_REQUESTS, AskedPool, Pool
from assay.domain.lease import HeldLease
from assay.domain.task import TaskId

MOST_AT_ONCE = 256
"""Samples of one answer: a prompt may be long, and a message is capped."""

_TARGET_SECONDS = 45.0
"""How much work a worker may hold: enough to outlive a restart of the aggregator."""

_LOOK_SECONDS = 0.5
"""How often is looked whether samples that are asked elsewhere have been let go there."""
Asked = Callable[[], Mapping[int, float]]

_RATE_WINDOW = 5.0
_SHORTEST_WINDOW = 0.2


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease as it is given out."""

    lease_id: str
    task: TaskId
    ordinals: tuple[int, ...]


@dataclass(slots=True)
class _Lease:
    worker: str
    task: TaskId
    ordinals: set[int]
    expires: float


class LeaseBook:
    """The leases of one queue."""

    def __init__(
        self,
        *,
        nproc: int,
        lease_seconds: float,
        clock: Callable[[], float],
        expected: Iterable[str] = (),
        grace: float = 0.0,
    ) -> None:
        """Makes an empty book.

        Args:
            nproc: requests in flight over all workers of the queue.
            lease_seconds: how long a lease, and a silent worker's standing, lasts.
            clock: seconds, never set back.
            expected: workers that are thought to hold leases of a former aggregator.
            grace: seconds that they get to announce them.
        """
        self.nproc = nproc
        self._seconds = lease_seconds
        self._clock = clock
        self._pools: dict[TaskId, Pool] = {}
        self._leases: dict[str, _Lease] = {}
        self._elsewhere: dict[TaskId, tuple[Asked, ...]] = {}
        self._seen: dict[str, float] = {}
        self._expected = set(expected)
        self._grace_end = clock() + grace
        self._rate = 0.0
        self._window = (clock(), 0)
        self.issued = 0
        """Leases handed out."""
        self.expired = 0
        """Leases of workers that fell silent."""

    def open(self, task: TaskId, total: int, is_open: Callable[[int], bool]) -> None:
        """Adds a task, or looks at all its samples again after a retry; leases stay as they are."""
        pool = self._pools.setdefault(task, Pool(total, is_open))
        pool.is_open, pool.cursor, pool.returned = is_open, 0, []

    def open_asked(
        self,
        task: TaskId,
        is_asked: Callable[[int], bool],
        is_open: Callable[[int], bool],
    ) -> None:
        """Adds a task whose samples come one by one, through `ask`; leases stay as they are."""
        pool = self._pools.get(task)
        if not isinstance(pool, AskedPool):
            pool = AskedPool(MOST_REQUESTS, is_open, cursor=MOST_REQUESTS)
            self._pools[task] = pool
        pool.is_open, pool.is_asked, pool.returned = is_open, is_asked, []

    def ask(self, task: TaskId, ordinal: int) -> None:
        """Has a sample of an `open_asked` task handed out, unless somebody holds it."""
        pool = self._pools[task]
        if ordinal not in pool.leased:
            heapq.heappush(pool.returned, ordinal)

    def let_go(self, worker: str, task: TaskId, ordinal: int) -> None:
        """Takes back a sample, if it is this worker's, that it does not go on with."""
        lease_id = self._pools[task].leased.get(ordinal)
        if lease_id is not None and self._leases[lease_id].worker == worker:
            self.give_back(lease_id, [ordinal])

    def leased_count(self, task: TaskId) -> int:
        """Samples of a task that somebody holds."""
        pool = self._pools.get(task)
        return len(pool.leased) if pool else 0

    def lease(
        self, worker: str, capacity: int, new_id: Callable[[], str]
    ) -> list[Granted]:
        """Hands out up to `capacity` samples, one lease per task; empty: nothing is free now."""
        self.see(worker)
        self.expire()
        if self._waits_for_announcements() or not self.limit(worker):
            return []
        if not self._rate and not self._window[1]:
            # Time without work says nothing about the pace.
            self._window = (self._clock(), 0)
        wanted = self._share(worker, min(capacity, MOST_AT_ONCE))
        granted = []
        for task, pool in self._pools.items():
            ordinals = pool.take(wanted)
            if not ordinals:
                continue
            lease_id = new_id()
            self._hold(lease_id, worker, task, ordinals)
            granted.append(Granted(lease_id, task, tuple(ordinals)))
            self.issued += 1
            wanted -= len(ordinals)
            if wanted <= 0:
                break
        return granted

    def extend(self, worker: str, held: Sequence[HeldLease]) -> list[bool]:
        """Prolongs leases, and takes leases of a former aggregator over; says which are held.

        A lease is taken over whole or not at all: not where somebody else has one of its samples now.
        """
        self.see(worker)
        self.expire()
        self._expected.discard(worker)
        return [self._extended(worker, lease) for lease in held]

    def shrink(self, worker: str, held: Sequence[HeldLease]) -> None:
        """Takes samples back that the worker's announcement of their lease does not name any more."""
        for announced in held:
            lease = self._leases.get(announced.lease_id)
            if lease is not None and lease.worker == worker:
                gone = lease.ordinals.difference(announced.open_ordinals)
                self.give_back(announced.lease_id, gone)

    def leases_of(self, task: TaskId) -> dict[int, float]:
        """Samples of a task that workers hold now, and until when."""
        pool, now = self._pools.get(task), self._clock()
        held = {
            ordinal: self._leases[lease_id]
            for ordinal, lease_id in (pool.leased if pool else {}).items()
        }
        return {
            ordinal: lease.expires
            for ordinal, lease in held.items()
            if lease.worker and lease.expires > now
        }

    def withhold(self, task: TaskId, asked: Sequence[Asked]) -> None:
        """Hands samples out only while nobody elsewhere asks them.

        Args:
            task: their task, which is open.
            asked: each says which samples of it are asked elsewhere now, and until when at most.
        """
        if asked or task in self._elsewhere:
            self._elsewhere[task] = tuple(asked)
            self._look_elsewhere()

    def _look_elsewhere(self) -> None:
        for task, asked in self._elsewhere.items():
            told = {o: until for each in asked for o, until in each().items()}
            pool, prefix = self._pools[task], f"elsewhere-{task}-"
            for lease_id in [k for k in self._leases if k.startswith(prefix)]:
                if not told.keys() & self._leases[lease_id].ordinals:
                    self._drop(lease_id)
            for ordinal, until in told.items():
                lease_id = f"{prefix}{ordinal}"
                if lease_id in self._leases:
                    self._leases[lease_id].expires = until
                elif pool.is_open(ordinal) and ordinal not in pool.leased:
                    self._leases[lease_id] = _Lease("", task, {ordinal}, until)
                    pool.leased[ordinal] = lease_id

    def release(self, worker: str, lease_ids: Iterable[str]) -> None:
        """Takes leases back at once; unknown ones, and others' are ignored."""
        for lease_id in lease_ids:
            lease = self._leases.get(lease_id)
            if lease is not None and lease.worker == worker:
                self._drop(lease_id)

    def give_back(self, lease_id: str, ordinals: Iterable[int]) -> None:
        """Takes samples out of a lease before it has reached its worker."""
        lease = self._leases.get(lease_id)
        if lease is None:
            return
        pool = self._pools[lease.task]
        for ordinal in lease.ordinals.intersection(ordinals):
            lease.ordinals.discard(ordinal)
            del pool.leased[ordinal]
            pool.give_back(ordinal)
        if not lease.ordinals:
            del self._leases[lease_id]

    def settle(self, task: TaskId, ordinals: Iterable[int]) -> None:
        """Says that samples have a durable completion: nobody needs to hold those that are not open."""
        pool = self._pools[task]
        count = 0
        for ordinal in ordinals:
            if pool.is_open(ordinal):
                # Of a conversation turns are left: who holds it goes on, or else somebody takes it up.
                if ordinal not in pool.leased:
                    pool.give_back(ordinal)
                continue
            count += 1
            lease_id = pool.leased.pop(ordinal, None)
            lease = self._leases.get(lease_id) if lease_id else None
            if lease is not None and lease_id is not None:
                lease.ordinals.discard(ordinal)
                if not lease.ordinals:
                    del self._leases[lease_id]
        self._observe(count)

    def see(self, worker: str) -> None:
        """Notes that a worker is alive; one that sits in its seat now, the former is not.

        A worker's id may name its seat (`<seat>#<incarnation>`): what the seat's former worker held is
        handed out at once instead of when its leases end.
        """
        if worker not in self._seen:
            self._supersede(worker)
        self._seen[worker] = self._clock()

    def forget(self, worker: str) -> None:
        """Notes that a worker has left: the others get its share. Its leases stay until they end."""
        self._seen.pop(worker, None)
        self._expected.discard(worker)

    def live_workers(self) -> list[str]:
        """Workers heard of within a lease's length: those that hold samples first, else as they came."""
        holding = {lease.worker for lease in self._leases.values()}
        return sorted(self._seen, key=lambda worker: worker not in holding)

    def limit(self, worker: str) -> int:
        """How many requests a worker may have in flight now: its part of `nproc`.

        0 where more workers came than there are requests; never for one that holds samples, as the
        order of the workers puts it before those.
        """
        live = self.live_workers()
        share, rest = divmod(self.nproc, max(len(live), 1))
        return share + (worker in live[:rest])

    def expire(self) -> None:
        """Ends leases whose time is up and forgets workers that are silent."""
        self._look_elsewhere()
        now = self._clock()
        for lease_id in [k for k, v in self._leases.items() if v.expires <= now]:
            # Without a worker it stands for samples that are asked in another run.
            self.expired += bool(self._leases[lease_id].worker)
            self._drop(lease_id)
        for worker in [w for w, at in self._seen.items() if at + self._seconds <= now]:
            self.forget(worker)

    def next_change(self) -> float | None:
        """When time alone will next free samples; None: never."""
        ends = [lease.expires for lease in self._leases.values()]
        if self._waits_for_announcements():
            ends.append(self._grace_end)
        if any(not lease.worker for lease in self._leases.values()):
            ends.append(self._clock() + _LOOK_SECONDS)
        return min(ends, default=None)

    def _supersede(self, worker: str) -> None:
        seat = worker.rpartition("#")[0]
        if not seat:
            return
        former = {lease.worker for lease in self._leases.values()}
        former |= self._expected | set(self._seen)
        for other in former:
            if other != worker and other.rpartition("#")[0] == seat:
                held = [k for k, v in self._leases.items() if v.worker == other]
                self.release(other, held)
                self.forget(other)

    def _waits_for_announcements(self) -> bool:
        return bool(self._expected) and self._clock() < self._grace_end

    def _extended(self, worker: str, held: HeldLease) -> bool:
        lease = self._leases.get(held.lease_id)
        if lease is not None:
            if lease.worker == worker:
                lease.expires = self._clock() + self._seconds
            return lease.worker == worker
        pool = self._pools.get(held.task)
        if pool is None:
            return False
        live = [
            o for o in held.open_ordinals if 0 <= o < pool.total and pool.is_open(o)
        ]
        if not live or any(ordinal in pool.leased for ordinal in live):
            return False
        self._hold(held.lease_id, worker, held.task, live)
        return True

    def _hold(
        self, lease_id: str, worker: str, task: TaskId, ordinals: Iterable[int]
    ) -> None:
        lease = _Lease(worker, task, set(ordinals), self._clock() + self._seconds)
        self._leases[lease_id] = lease
        self._pools[task].leased.update(dict.fromkeys(lease.ordinals, lease_id))

    def _drop(self, lease_id: str) -> None:
        lease = self._leases.pop(lease_id)
        pool = self._pools[lease.task]
        for ordinal in lease.ordinals:
            del pool.leased[ordinal]
            pool.give_back(ordinal)

    def _share(self, worker: str, capacity: int) -> int:
        """How many more samples a worker gets: enough to be busy, not so many that others are idle."""
        limit = self.limit(worker)
        held = sum(
            len(lease.ordinals)
            for lease in self._leases.values()
            if lease.worker == worker
        )
        workers = max(len(self._seen), 1)
        # A worker holds what it asks now, what it asks next, and what is answered and not yet durable.
        most = max(4 * limit, int(self._pace() * _TARGET_SECONDS / workers))
        if workers > 1:
            free = sum(
                max(pool.total - pool.cursor, 0) + len(pool.returned)
                for pool in self._pools.values()
            )
            most = min(most, held + -(-free // (2 * workers)))
        return max(min(capacity, max(most, limit) - held), 0)

    def _pace(self) -> float:
        """Answers per second; of the first, unfinished window where there is no other; 0: not known."""
        start, seen = self._window
        elapsed = self._clock() - start
        if self._rate or elapsed < _SHORTEST_WINDOW:
            return self._rate
        return seen / elapsed

    def _observe(self, count: int) -> None:
        start, seen = self._window
        elapsed = self._clock() - start
        self._window = (start, seen + count)
        if elapsed >= _RATE_WINDOW:
            rate = (seen + count) / elapsed
            self._rate = rate if not self._rate else (self._rate + rate) / 2
            self._window = (self._clock(), 0)
